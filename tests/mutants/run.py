#!/usr/bin/python3
"""Proves that the tests notice bugs: applies each mutant to a copy of the tree and runs them.

    tests/mutants/run.py [NAME...] [--tree FOLDER]

A mutant is a patch beside this script; its first line says what is wrong then. The copy (of
HEAD) is made in build/mutants and kept, so that a second run builds little. For each mutant it
is built again; the random models run first, for they are quick, then all other tests, until one
fails. Prints a line for each mutant with the test that caught it. Exit code 1 when one survives.
Takes about a minute for each; not part of CI.
"""
import argparse
import pathlib
import re
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
# What is built and run together, the quick and likely first. A test must fail twice: some that
# depend on signals and time may fail on a busy machine.
STAGES = [
    (["RandomModelTests"], ["-R", "RandomModels.*/[0-4]$"]),
    (["QuernFrontendTests", "quern-opt"], ["-R", "Import|lit$|NodeConformance", "-L",
                                           "frontend|ir|passes"]),
    (["NativeGraphTests", "NativeKernelTests", "PlanTests"], ["-L", "native|plan"]),
    ([], ["-E", "RandomModels.*/[0-4]$"]),
]


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these (default: all)")
    parser.add_argument("--tree", type=pathlib.Path, default=ROOT / "build/mutants",
                        help="where the copy is (default: build/mutants)")
    return parser.parse_args()


def call(*command, cwd, check=True):
    """Runs a command; its output goes into the error when it fails and must not."""
    done = subprocess.run(command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace")
    if check and done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stdout[-4000:]}")
    return done


def prepare(tree):
    """A copy of HEAD, configured."""
    head = call("git", "rev-parse", "HEAD", cwd=ROOT).stdout.strip()
    if not (tree / ".git").exists():
        call("git", "clone", "--quiet", "--no-checkout", ROOT, tree, cwd=ROOT)
    call("git", "fetch", "--quiet", ROOT, "HEAD", cwd=tree)
    call("git", "checkout", "--quiet", "--force", head, cwd=tree)
    call("cmake", "--preset", "release", "-Wno-dev", cwd=tree)


def build(tree, targets):
    return call("cmake", "--build", "--preset", "release", *[t for name in targets
                for t in ("--target", name)], cwd=tree, check=False)


def first_failure(tree):
    """The test that catches what is wrong with the tree; None when none does."""
    for targets, selection in STAGES:
        built = build(tree, targets)
        if built.returncode != 0:
            error = re.search(r".*(?:error:|FAILED:).*", built.stdout)
            return f"the build ({error.group(0).strip() if error else 'see its output'})"
        tests = call("ctest", "--test-dir", tree / "build/release", "--stop-on-failure", "--parallel",
                     "2", "--repeat", "until-pass:2", *selection, cwd=tree, check=False)
        if tests.returncode != 0:
            failed = re.search(r"The following tests FAILED:\n\s*\d+ - (\S+)", tests.stdout)
            return failed.group(1) if failed else "ctest"
    return None


def main():
    args = parse_arguments()
    mutants = [patch for patch in sorted(HERE.glob("*.patch"))
               if not args.names or patch.stem in args.names]
    if not mutants:
        sys.exit("no such mutant")
    print(f"copying and building {args.tree}", file=sys.stderr, flush=True)
    prepare(args.tree)
    if build(args.tree, []).returncode != 0:
        sys.exit("the tree does not build without mutants")
    survivors = 0
    for patch in mutants:
        start = time.monotonic()
        call("git", "apply", patch, cwd=args.tree)
        caught = first_failure(args.tree)
        call("git", "checkout", "--quiet", "--force", ".", cwd=args.tree)
        survivors += caught is None
        print(f"{patch.stem:34} {'caught by ' + caught if caught else 'SURVIVES':60} "
              f"{time.monotonic() - start:4.0f} s", flush=True)
    print(f"{len(mutants) - survivors} of {len(mutants)} caught")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
