"""The conformance cases as older releases of ONNX had them, in the opsets of their time.

    tests/models/run_releases.py --fetch [--folder DIR] [VERSION...]
    tests/models/run_releases.py --quern FILE [--folder DIR] [--backend NAME] [--filter REGEX]
                                 [VERSION...]

The cases lie in the wheels of PyPI's package onnx; --fetch downloads these (which is all that is
done with them: nothing is installed) and unpacks the cases below DIR, by default
build/onnx-releases. Without them the test is skipped: exit code 77. Each release is run by
scripts/conformance. The test fails when a case does that CHANGED does not name.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build" / "onnx-releases"
VERSIONS = "1.2.2 1.3.0 1.4.1 1.5.0 1.6.0 1.7.0 1.8.1 1.9.0 1.10.2".split()
# Wheels of their time: of pythons and platforms that are no more.
PYTHONS = [("3.7", "cp37m"), ("3.6", "cp36m"), ("3.5", "cp35m"), ("2.7", "cp27mu")]
PLATFORMS = "manylinux1 manylinux2010 manylinux_2_12 manylinux2014 manylinux_2_17".split()
DATA = "onnx/backend/test/data/"
SKIPPED = 77
# Cases that contradict themselves or the text, by the releases that have them so: the form that
# a later release gave them passes (of test_adam_multiple the data say epsilon 0.01, the model not;
# the strings of 1.4.1 are addresses in the memory of who wrote them).
CHANGED = {
    "test_adam_multiple": "1.7.0 1.8.1 1.9.0 1.10.2",
    "test_cast_FLOAT_to_STRING": "1.4.1",
    "test_convtranspose_autopad_same": "1.9.0",
    "test_mod_float_mixed_sign_example": "1.5.0",
    "test_momentum": "1.7.0",
    "test_momentum_multiple": "1.7.0",
    "test_nesterov_momentum": "1.7.0",
    "test_resize_upsample_sizes_nearest_ceil_half_pixel": "1.6.0",
    "test_resize_upsample_sizes_nearest_floor_align_corners": "1.6.0",
    "test_resize_upsample_sizes_nearest_round_prefer_ceil_asymmetric": "1.6.0",
    "test_sequence_insert_at_front": "1.8.1",
    "test_unique_not_sorted_without_axis": "1.6.0",
}


def download(version, folder):
    """The wheel of a release for some Linux on x86-64, or None."""
    for python, abi in PYTHONS:
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps",
                   "--only-binary=:all:", "--python-version", python, "--implementation", "cp",
                   "--abi", abi, f"onnx=={version}", "-d", folder]
        for platform in PLATFORMS:
            command += ["--platform", platform + "_x86_64"]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            return next(pathlib.Path(folder).glob("*.whl"))
    return None


def unpack(wheel, folder):
    """Writes the cases of a wheel as FOLDER/KIND/CASE; gives their number."""
    count = 0
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            place = pathlib.PurePosixPath(name[len(DATA):])
            if not name.startswith(DATA) or name.endswith("/") or ".." in place.parts:
                continue
            if place.parts[0] == "real":  # models to download
                continue
            target = folder / place
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(archive.read(name))
            count += place.name == "model.onnx"
    return count


def fetch(folder, versions):
    missing = 0
    for version in versions:
        with tempfile.TemporaryDirectory() as scratch:
            wheel = download(version, scratch)
            missing += wheel is None
            print(f"onnx {version}: " + (f"{unpack(wheel, folder / version)} cases" if wheel
                                         else "no wheel could be downloaded from PyPI"))
    return 1 if missing else 0


def run(arguments, version):
    """(passed, names and reasons of failures) of a release."""
    command = [sys.executable, ROOT / "scripts" / "conformance", "--json", "--quern",
               arguments.quern, "--cases", arguments.folder / version]
    if arguments.backend:
        command += ["--backend", arguments.backend]
    if arguments.filter:
        command += ["--filter", arguments.filter]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    if done.returncode not in (0, 1):
        return 0, [("scripts/conformance", f"exit code {done.returncode}")]
    report = json.loads(done.stdout)
    return report["passed"], [(case["name"], case["reason"]) for case in report["failed"]]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("versions", nargs="*", metavar="VERSION", default=VERSIONS)
    parser.add_argument("--fetch", action="store_true")
    parser.add_argument("--folder", type=pathlib.Path, default=FOLDER)
    parser.add_argument("--quern", type=pathlib.Path, default=ROOT / "build/release/bin/quern")
    parser.add_argument("--backend", choices=("interpreter", "native"))
    parser.add_argument("--filter", metavar="REGEX")
    arguments = parser.parse_args()
    if arguments.fetch:
        return fetch(arguments.folder, arguments.versions)
    there = [version for version in arguments.versions if (arguments.folder / version).is_dir()]
    if not there:
        print(f"skipped: no cases of older ONNX releases in {arguments.folder}; "
              "tests/models/run_releases.py --fetch gets them from PyPI")
        return SKIPPED
    wrong = 0
    for version in there:
        passed, failures = run(arguments, version)
        unknown = [(name, reason) for name, reason in failures
                   if version not in CHANGED.get(name, "").split()]
        wrong += len(unknown)
        print(f"onnx {version}: {passed} passed, {len(unknown)} failed, "
              f"{len(failures) - len(unknown)} changed by a later release", flush=True)
        for name, reason in unknown:
            print(f"  {name}: {reason}", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
