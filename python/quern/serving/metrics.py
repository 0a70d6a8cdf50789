"""What a server counts, for Prometheus; nothing is counted where prometheus_client is missing."""
from __future__ import annotations

import threading
from typing import Any, Optional

try:
    import prometheus_client
except ImportError:
    prometheus_client = None  # type: ignore[assignment]

_SECONDS = (.0005, .001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10, 30, 60)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
# name: (kind, what it is, labels, buckets)
_ROWS_OF_TABLE: dict[str, tuple[str, str, tuple[str, ...], Optional[tuple[float, ...]]]] = {
    "requests": ("Counter", "Requests by what became of them", ("model", "outcome"), None),
    "request_seconds": ("Histogram", "From a request's arrival to its answer", ("model",), _SECONDS),
    "queue_seconds": ("Histogram", "What requests have waited for a run", ("model",), _SECONDS),
    "run_seconds": ("Histogram", "Runs of the model", ("model",), _SECONDS),
    "batch_rows": ("Histogram", "Rows of requests that ran together", ("model",), _ROWS),
    "padded_rows": ("Counter", "Rows computed for nobody, to reach a listed size", ("model",), None),
    "new_sizes": ("Counter", "Runs of sizes that nothing was warmed up for: they plan, and compile "
                             "kernels that are missing", ("model",), None),
    "queue_length": ("Gauge", "Requests that wait", ("model",), None),
    "bytes_in_flight": ("Gauge", "Bytes that requests hold", (), None),
    "loads": ("Counter", "Versions loaded, and those that could not be", ("model", "outcome"), None),
    "load_seconds": ("Gauge", "What loading the newest version took, warm-up included", ("model",),
                     None),
}


class Metrics:
    """One series for each row of the table, as an attribute: `metrics.loads("m", "ready").inc()`.
    They are in `registry`, or in one of their own."""

    def __init__(self, registry: Any = None) -> None:
        self._series: dict[str, Any] = {}
        # By the name of a row and labels: finding a series takes longer than counting in it.
        self._found: dict[tuple[str, ...], Any] = {}
        if prometheus_client is None:
            return
        registry = prometheus_client.CollectorRegistry() if registry is None else registry
        for name, (kind, text, labels, buckets) in _ROWS_OF_TABLE.items():
            named: dict[str, Any] = {} if buckets is None else {"buckets": buckets}
            self._series[name] = getattr(prometheus_client, kind)(f"quern_{name}", text, labels,
                                                                  registry=registry, **named)

    def __getattr__(self, name: str) -> Any:
        if name not in _ROWS_OF_TABLE:
            raise AttributeError(name)
        series = self._series.get(name)

        def of(*labels: str) -> Any:
            if series is None:
                return _NOTHING
            found = self._found.get((name, *labels))
            if found is None:
                found = self._found[name, *labels] = series.labels(*labels) if labels else series
            return found
        self.__dict__[name] = of
        return of

    def forget(self, model: str) -> None:
        """The gauges of a model that is no longer there."""
        for name in ("queue_length", "load_seconds"):
            if name in self._series:
                self._found.pop((name, model), None)
                try:
                    self._series[name].remove(model)
                except KeyError:
                    pass


class _Nothing:
    """Counts nothing."""

    def inc(self, amount: float = 1) -> None: ...
    def set(self, value: float) -> None: ...
    def observe(self, value: float) -> None: ...
    def set_function(self, function: Any) -> None: ...


_NOTHING = _Nothing()
_shared: Optional[Metrics] = None
_lock = threading.Lock()


def shared_metrics() -> Metrics:
    """Those of the process, in prometheus_client's own registry, which servers show."""
    global _shared
    with _lock:
        if _shared is None:
            _shared = Metrics(prometheus_client.REGISTRY if prometheus_client else None)
        return _shared
