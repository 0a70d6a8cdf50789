"""What tests on models of real exporters share: where the models are, the options, the report."""
import argparse
import os
import pathlib
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHARED = pathlib.Path(os.environ.get("QUERN_SHARED", ROOT.parent / "shared"))
EXPORTED = SHARED / "models/exported"
EXIT_SKIPPED = 77


def run(description, check, options=()):
    """Calls `check(args, model, folder)` for each model that is asked for: it gives what is wrong,
    or an empty string, and what there is to say. Prints a line for each; gives the exit code."""
    parser = argparse.ArgumentParser(description=description,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL",
                        help="files, or names (default: all there are)")
    parser.add_argument("--quern", default=ROOT / "build/release/bin/quern",
                        help="the program to test (default: %(default)s)")
    for name, settings in options:
        parser.add_argument(name, **settings)
    args = parser.parse_args()
    if not args.models and not EXPORTED.is_dir():
        print(f"skipped: {EXPORTED} is not there")
        return EXIT_SKIPPED
    models = [pathlib.Path(name) if name.endswith(".onnx") else EXPORTED / f"{name}.onnx"
              for name in args.models] or sorted(EXPORTED.glob("*.onnx"))
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for model in models:
            wrong, line = check(args, model, pathlib.Path(folder))
            failed += bool(wrong)
            print(f"{model.stem}: {'WRONG: ' + wrong if wrong else line}", flush=True)
    return 1 if failed else 0
