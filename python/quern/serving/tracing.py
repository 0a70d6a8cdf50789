"""Spans of OpenTelemetry, where its API is installed: one for each request, one for each run."""
from __future__ import annotations

import contextlib
from typing import Any, Iterator, Mapping, Optional, Sequence

try:
    from opentelemetry import propagate, trace
except ImportError:
    trace = None  # type: ignore[assignment]


def begin_request(model: str, version: str, headers: Optional[Mapping[str, str]]) -> Any:
    """The span of a request, below that of the client when `headers` say which; None without
    OpenTelemetry."""
    if trace is None:
        return None
    context = propagate.extract(headers or {})
    return trace.get_tracer("quern.serving").start_span(
        "quern.request", context=context, kind=trace.SpanKind.SERVER,
        attributes={"quern.model": model, "quern.version": version})


def end_request(span: Any, error: Optional[BaseException]) -> None:
    if span is None:
        return
    if error is not None:
        span.record_exception(error)
        span.set_status(trace.Status(trace.StatusCode.ERROR, str(error)))
    span.end()


@contextlib.contextmanager
def run_span(model: str, rows: int, requests: Sequence[Any]) -> Iterator[None]:
    """Of a run, linked to the requests that share it; below the first one."""
    if trace is None or requests[0].span is None:
        yield
        return
    links = [trace.Link(request.span.get_span_context()) for request in requests
             if request.span is not None]
    with trace.get_tracer("quern.serving").start_as_current_span(
            "quern.run", context=trace.set_span_in_context(requests[0].span), links=links,
            attributes={"quern.model": model, "quern.rows": rows,
                        "quern.requests": len(requests)}):
        yield
