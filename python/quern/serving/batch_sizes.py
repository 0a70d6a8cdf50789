"""From a number of rows to runs of the sizes that there is code for."""
from __future__ import annotations

from typing import Mapping, Sequence


class BatchSizes:
    """The sizes that runs may have, and what a run of each takes. Rows are covered by the cheapest
    runs, the last of which may have more rows than are left: these are padding. Times only decide
    what is cheapest, so they need not be exact."""

    def __init__(self, seconds: Mapping[int, float]) -> None:
        """`seconds`: what a run of each size takes."""
        self.sizes: Sequence[int] = sorted(seconds)
        # For each number of rows up to the largest size: the cost, and the size to begin with.
        self._best: list[tuple[float, int]] = [(0.0, 0)]
        for rows in range(1, self.sizes[-1] + 1):
            self._best.append(min((seconds[size] + self._best[max(rows - size, 0)][0], size)
                                  for size in self.sizes))

    @property
    def largest(self) -> int:
        return self.sizes[-1]

    def cover(self, rows: int) -> list[int]:
        """The sizes of the runs, the largest first: their sum is at least `rows`."""
        runs = []
        while rows > self.largest:
            runs.append(self.largest)
            rows -= self.largest
        rest = []
        while rows > 0:
            rest.append(self._best[rows][1])
            rows -= rest[-1]
        return runs + sorted(rest, reverse=True)
