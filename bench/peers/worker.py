"""One system with one model in a process of its own, which bench/run talks to.

    worker.py SYSTEM MODEL INPUTS.npz THREADS

Answers each line of stdin with a line of JSON on stdout: first, unasked, the system's version and
how long loading and the first run took, or why it cannot be used ("error"); `turn SECONDS`: the median of that many seconds; `save FILE`: the outputs, written
to a .npz file; `end`: the most memory that was needed, beyond an empty Python with NumPy.
"""
import json
import pathlib
import statistics
import sys
import time

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from systems import SYSTEMS, arrays_of

# A turn has at least so many runs, however long they take.
FEWEST_RUNS = 3


def peak_memory():
    """In MB. (getrusage would begin with what the parent process had.)"""
    status = pathlib.Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def milliseconds(function):
    start = time.perf_counter()
    function()
    return 1e3 * (time.perf_counter() - start)


def turn(system, seconds):
    system.run()  # warms up
    times, end = [], time.perf_counter() + seconds
    while len(times) < FEWEST_RUNS or time.perf_counter() < end:
        times.append(milliseconds(system.run))
    return {"p50_ms": statistics.median(times), "runs": len(times)}


def say(answer):
    print(json.dumps(answer), flush=True)


def main():
    name, model, inputs, threads = sys.argv[1:]
    feeds = dict(np.load(inputs))
    empty = peak_memory()
    try:
        version = SYSTEMS[name].version()
        start = time.perf_counter()
        system = SYSTEMS[name](model, feeds, int(threads))
        loaded = time.perf_counter()
        first = milliseconds(system.run)
    except Exception as error:  # whatever the system raises is its answer
        say({"error": f"{type(error).__name__}: {error}"})
        sys.exit(1)
    say({"version": version, "load_ms": 1e3 * (loaded - start), "first_run_ms": first})
    for line in sys.stdin:
        command, _, argument = line.strip().partition(" ")
        if command == "turn":
            say(turn(system, float(argument)))
        elif command == "save":
            np.savez(argument, **arrays_of(system.outputs()))
            say({})
        else:
            say({"peak_mb": peak_memory() - empty})
            return


if __name__ == "__main__":
    main()
