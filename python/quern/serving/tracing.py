"""Spans of OpenTelemetry, where its API is installed: one for each request, one for each run."""
from __future__ import annotations

import contextlib
import functools
from typing import Any, Iterator, Mapping, Optional, Sequence

try:
    from opentelemetry import propagate, trace
    from opentelemetry.context import Context
except ImportError:
    trace = None  # type: ignore[assignment]

# Of the API alone it makes nothing, until a program sets what records spans.
_tracer = trace.get_tracer("quern.serving") if trace is not None else None


def begin_request(model: str, version: str, headers: Optional[Mapping[str, str]]) -> Any:
    """The span of a request, below that of the client when `headers` say which; None when nothing
    records it."""
    if _tracer is None:
        return None
    textmap = propagate.get_global_textmap()
    context = (Context() if not headers or _fields_of(textmap).isdisjoint(headers) else
               textmap.extract(headers))
    span = _tracer.start_span(
        "quern.request", context=context, kind=trace.SpanKind.SERVER,
        attributes={"quern.model": model, "quern.version": version})
    return span if span.is_recording() else None


@functools.lru_cache(maxsize=1)
def _fields_of(textmap: Any) -> frozenset[str]:
    """The headers that say which span a client's is."""
    return frozenset(textmap.fields)


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
    if _tracer is None or requests[0].span is None:
        yield
        return
    links = [trace.Link(request.span.get_span_context()) for request in requests
             if request.span is not None]
    with _tracer.start_as_current_span(
            "quern.run", context=trace.set_span_in_context(requests[0].span), links=links,
            attributes={"quern.model": model, "quern.rows": rows,
                        "quern.requests": len(requests)}):
        yield
