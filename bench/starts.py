#!/usr/bin/python3
"""How long a process takes from its start to the first result: where no kernel is kept, and where
all are.

    bench/starts.py [--quern build/release/bin/quern] [--runs 7] MODEL [OPTIONS OF quern run]

Each turn starts with an empty cache folder (cold), then runs again (warm), and once without
kernels in the folder or any left there (off). Wall-clock and CPU milliseconds; the least of a few
runs is what the machine can do, the median what it did.
"""
import argparse
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent


def run(arguments, environment):
    """Wall-clock and CPU milliseconds of a process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    done = subprocess.run(arguments, env=environment, stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        sys.exit(done.stderr)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall * 1e3, cpu * 1e3


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quern", default=str(ROOT / "build/release/bin/quern"))
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("model")
    options, rest = parser.parse_known_args()
    command = [options.quern, "run", options.model, *rest, "-q"]
    times = {"cold": [], "warm": [], "off": []}
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "QUERN_CACHE_DIR": folder, "QUERN_KERNEL_CACHE": ""}
        for _ in range(options.runs):
            shutil.rmtree(folder)
            os.mkdir(folder)
            times["cold"].append(run(command, environment))
            times["warm"].append(run(command, environment))
            times["off"].append(run([*command, "--no-kernel-cache"], environment))
    print(f"{'':6} {'wall ms: least':>15} {'median':>8} {'CPU ms: least':>15} {'median':>8}")
    for name, runs in times.items():
        walls, cpus = zip(*runs)
        print(f"{name:6} {min(walls):15.1f} {statistics.median(walls):8.1f} {min(cpus):15.1f} "
              f"{statistics.median(cpus):8.1f}")


if __name__ == "__main__":
    main()
