"""Errors, by kind. All are QuernError; some are Python's own kinds, too."""
from __future__ import annotations

import functools
import os
import re
from collections.abc import Mapping
from typing import Any, Callable, TypeVar, cast

Function = TypeVar("Function", bound=Callable[..., Any])


class QuernError(RuntimeError):
    """What Quern cannot do, with the reason; `code` is the exit code of the command `quern`."""

    code = 1


class InternalError(QuernError):
    """A bug of Quern's."""


class UsageError(QuernError, ValueError):
    """Options that make no sense."""

    code = 2


class InvalidModelError(QuernError, ValueError):
    """A model that breaks the rules of its format."""

    code = 3


class UnsupportedError(QuernError, NotImplementedError):
    """A model with ops, types or attributes that Quern does not have."""

    code = 4


class AccuracyError(QuernError):
    """Results that differ by more than the tolerance."""

    code = 5


class TooSlowError(QuernError):
    """What is not as fast as it must be."""

    code = 6


class IncompatibleError(QuernError):
    """An artefact or a CPU that does not fit."""

    code = 7


class InvalidInputError(QuernError, ValueError):
    """Inputs that do not fit the model."""

    code = 8


class ResourceLimitError(QuernError, MemoryError):
    """A limit on time, memory or size was reached."""

    code = 9


class FileError(QuernError, OSError):
    """Reading or writing failed."""

    code = 10


class CancelledError(QuernError):
    """Work that was ended on request."""

    code = 130


_BY_CODE = {kind.code: kind for kind in (
    InternalError, UsageError, InvalidModelError, UnsupportedError, AccuracyError,
    TooSlowError, IncompatibleError, InvalidInputError, ResourceLimitError, FileError, CancelledError)}
__all__ = ["QuernError", *(kind.__name__ for kind in _BY_CODE.values())]


class _ArgumentError(UsageError, TypeError):
    """Arguments of types that a function does not take."""


# What the library says in the words of the command `quern`, and the arguments that these are.
_PYTHONS_WORDS = [(re.compile(words), ours) for words, ours in (
    (r" with --shape or --dim$", " with shapes= or dims="),
    (r" \(--max-iterations\)$", " (max_iterations=)"),
    (r"\(raise --duration\)$", "(raise seconds=)"),
    (r"; --threads (\d+) may be faster", r"; threads=\1 may be faster"),
    (r"--threads (\d+)", r"threads=\1"),
    (r"--(precision|weights) (\w+)", r"\1='\2'"),
    (r"--target-cpu (\w+)", r"target_cpu='\1'"),
    (r"\(--dim (\w+)=(\w+)\)", r"(dims={'\1': \2})"),
    (r"\(no --no-kernel-cache\), or quern compile the model", "(kernel_cache), or use quern.aot"),
    (r": quern check -v$", ""),
    (r"; quern check --json lists them$", ""),
    (r"tuning \(quern tune\)", "tuning (tune_seconds=)"),
    (r"with quern quantize\b", "with quern.quantize"),
    (r"^quern compile makes a library", "quern.aot makes a library"),
    (r"; --weights=file has no such limit", "; weights='file' has no such limit"),
    (r"\bquern run MODEL --input (NAME=)?FILE\b", r"quern.compile(MODEL)(\1array)"),
    (r"what quern compile makes\b", "what quern.aot makes"),
    (r"that quern compile has (made|written)\b", r"that quern.aot has \1"),
)]


def in_pythons_words(message: str) -> str:
    """A message of the library, in which arguments have the names that they have here."""
    for words, ours in _PYTHONS_WORDS:
        message = words.sub(ours, message)
    return message


def error_of(code: int, message: str) -> QuernError:
    """The exception for a status of the library."""
    return _BY_CODE.get(code, InternalError)(in_pythons_words(message))


def path_of(path: Any) -> str:
    """A path as a string."""
    try:
        return cast(str, os.fspath(path))
    except TypeError:
        raise _ArgumentError(f"wanted a path, found {type(path).__name__}") from None


def _check_common(named: dict[str, Any]) -> None:
    """The arguments that many functions have."""
    for name in ("shapes", "dims"):
        if not isinstance(named.get(name), (Mapping, type(None))):
            raise _ArgumentError(f"{name}= is a dict by name, not {type(named[name]).__name__}")
    if named.get("progress") is not None and not callable(named["progress"]):
        raise _ArgumentError(f"progress= is a function, not {type(named['progress']).__name__}")


def refuses_types(function: Function) -> Function:
    """A function that raises a UsageError, which is a TypeError too, where the part of quern in
    C++ is given a type that it does not take."""
    @functools.wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        _check_common(named)
        try:
            return function(*arguments, **named)
        except TypeError as error:
            text = str(error)
            if isinstance(error, QuernError) or "incompatible function arguments" not in text:
                raise
            given = text.partition("Invoked with types: ")[2]
            raise _ArgumentError(f"{function.__name__}() does not take arguments of these types: "
                                 f"{given}") from None
    return cast(Function, call)


def wraps_errors(doing: str) -> Callable[[Function], Function]:
    """Of a function that calls other packages: what they raise becomes an UnsupportedError that
    says so, with the error as its cause."""
    def decorate(function: Function) -> Function:
        @functools.wraps(function)
        def call(*arguments: Any, **named: Any) -> Any:
            try:
                return function(*arguments, **named)
            except QuernError:
                raise
            except MemoryError as error:
                raise ResourceLimitError(f"out of memory while {doing}") from error
            except Exception as error:
                lines = [line.strip() for line in str(error).splitlines() if line.strip()]
                raise UnsupportedError(f"{doing} failed: {type(error).__name__}: "
                                       f"{lines[0] if lines else 'no reason given'}") from error
        return cast(Function, call)
    return decorate
