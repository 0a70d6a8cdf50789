"""Who took some CPUs of this machine meanwhile: a process with its descendants, or others."""
import os
import time

_TICKS = os.sysconf("SC_CLK_TCK")


class Shares:
    """From its making on, of these CPUs (all that this process may use). What other processes took is
    what a measurement was disturbed by."""

    def __init__(self, cpus=None):
        self._cpus = os.sched_getaffinity(0) if cpus is None else set(cpus)
        self._began, self._busy = time.perf_counter(), _busy(self._cpus)
        self._taken = _by_process()

    def _whole(self):
        return max(time.perf_counter() - self._began, 1e-9) * len(self._cpus)

    def of(self, pid):
        """Of a process and its descendants, which use no other CPUs."""
        now, family = _by_process(), {pid}
        while more := {child for child, (parent, _) in now.items() if parent in family} - family:
            family |= more
        spent = sum(now[one][1] - self._taken.get(one, (0, 0))[1] for one in family if one in now)
        return spent / self._whole()

    def others(self, *pids):
        """Of all but these, each with its descendants."""
        busy = (_busy(self._cpus) - self._busy) / self._whole()
        return max(busy - sum(map(self.of, pids)), 0)


def _busy(cpus):
    """Seconds, waiting and idling left out."""
    found = 0
    with open("/proc/stat", encoding="ascii") as file:
        for line in file:
            name, *times = line.split()
            if name[:3] == "cpu" and name[3:].isdigit() and int(name[3:]) in cpus:
                user, nice, system, _, _, irq, softirq, steal = map(int, times[:8])
                found += user + nice + system + irq + softirq + steal
    return found / _TICKS


def _by_process():
    """{process: (parent, seconds)}; of children that have ended, too, once they were waited for"""
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            continue
        found[int(name)] = int(fields[1]), sum(map(int, fields[11:15])) / _TICKS
    return found
