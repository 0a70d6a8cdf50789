"""What compiled models were compiled from, for CompiledModel.compare."""
from __future__ import annotations

import dataclasses
import os
import weakref
from typing import Any, Callable, Optional

from ._quern import CompiledModel


@dataclasses.dataclass
class Origin:
    """`model` gives the original, or None when it is gone."""

    model: Callable[[], Any]
    example_inputs: Any
    options: dict[str, Any]


_ORIGINS: weakref.WeakKeyDictionary[CompiledModel, Origin] = weakref.WeakKeyDictionary()


def remember(compiled: CompiledModel, original: Any, example_inputs: Any,
             options: dict[str, Any]) -> None:
    """Holds paths, and of objects a weak reference, so that no weights are in memory twice for it."""
    reference: Callable[[], Any]
    if isinstance(original, (str, os.PathLike)):
        reference = lambda: original
    else:
        try:
            reference = weakref.ref(original)
        except TypeError:  # bytes and such
            reference = lambda: None
    _ORIGINS[compiled] = Origin(reference, example_inputs, dict(options))


def origin_of(compiled: CompiledModel) -> Optional[Origin]:
    return _ORIGINS.get(compiled)
