"""Errors, by kind. All are QuernError; some are Python's own kinds, too."""


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
    IncompatibleError, InvalidInputError, ResourceLimitError, FileError, CancelledError)}
__all__ = ["QuernError", *(kind.__name__ for kind in _BY_CODE.values())]


def error_of(code, message):
    """The exception for a status of the library."""
    return _BY_CODE.get(code, InternalError)(message)
