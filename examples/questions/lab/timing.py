"""Times of several calls, taken in turns, and what is to be known of the machine."""
import dataclasses
import datetime
import gc
import importlib
import os
import platform
import statistics
import time


@dataclasses.dataclass
class Timing:
    """Of one call, in milliseconds: the median of the rounds, and between which values the middle half of them lies."""

    ms: float
    low: float
    high: float

    def cells(self):
        """Its part of a row."""
        return {"ms": self.ms, "low": self.low, "high": self.high}


def _seconds(call, count):
    began = time.perf_counter()
    for _ in range(count):
        call()
    return time.perf_counter() - began


def _calls_for(call, seconds):
    """How many calls take that long."""
    count, taken = 1, _seconds(call, 1)
    while taken < seconds / 2 and count < 1 << 20:
        count *= 2
        taken = _seconds(call, count)
    return max(1, round(count * seconds / max(taken, 1e-9)))


class Fresh:
    """A call that is made for each of its turns and gone afterwards: threads of its own that wait
    for work in a loop would take time from the others."""

    def __init__(self, make):
        self.make = make


def _ready(call):
    """As it is when it has been used."""
    call = call.make() if isinstance(call, Fresh) else call
    began = time.perf_counter()
    call()  # what the one before has left in the caches is not its fault
    while time.perf_counter() - began < 2e-4:
        call()
    return call


def in_turns(calls, small=False):
    """The Timing of each of {name: call or Fresh}. All take their turn in each round, so that what
    else happens on the machine meets them alike; every other round goes backwards."""
    rounds, seconds = (3, 2e-4) if small else (21, 4e-3)
    counts = {name: _calls_for(_ready(call), seconds) for name, call in calls.items()}
    samples = {name: [] for name in calls}
    collecting = gc.isenabled()
    gc.disable()
    try:
        for number in range(rounds):
            for name in list(calls)[::-1 if number % 2 else 1]:
                call = _ready(calls[name])
                samples[name].append(1e3 * _seconds(call, counts[name]) / counts[name])
                del call
    finally:
        if collecting:
            gc.enable()
    return {name: timing_of(values) for name, values in samples.items()}


def timing_of(values):
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return Timing(statistics.median(values), low, high)


def _cpu():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def version_of(module):
    """None where it is not installed."""
    try:
        return getattr(importlib.import_module(module), "__version__", "unknown")
    except ImportError:
        return None


def machine(peers):
    """Where and when it was measured, and with what."""
    import quern
    return {"date": datetime.date.today().isoformat(), "cpu": _cpu(),
            "target": quern.host_cpu()["cpu"],
            "threads": len(os.sched_getaffinity(0)),
            "versions": {"Python": platform.python_version(),
                         **{name: version_of(name) for name in ("quern", "numpy", *peers)}}}
