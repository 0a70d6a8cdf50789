"""What threads do in Quern, recorded."""
from __future__ import annotations

import contextlib
import os
from typing import Iterator, Union

from ._quern import begin_trace, end_trace
from .errors import refuses_types


@refuses_types
@contextlib.contextmanager
def trace(path: Union[str, os.PathLike[str]]) -> Iterator[None]:
    """Records what all threads of this process do in Quern (loading, compiling, each step of each
    run) in the `with` block, and writes it to `path`, which https://ui.perfetto.dev opens:

        with quern.trace("trace.json"):
            model(array)

    One at a time."""
    with open(path, "a", encoding="utf-8"):
        pass  # it can be written: to be known before long work
    begin_trace()
    try:
        yield
    finally:
        recorded = end_trace()
        with open(path, "w", encoding="utf-8") as file:
            file.write(recorded)
