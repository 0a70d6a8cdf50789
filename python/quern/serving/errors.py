"""What a server answers when it does not answer with a result: one table for HTTP and gRPC."""
from __future__ import annotations

from ..errors import (CancelledError, InvalidInputError, QuernError, ResourceLimitError,
                      UnsupportedError, UsageError)


class UnknownModelError(QuernError):
    """A model or version that is not there."""


class OverloadedError(QuernError):
    """What does not fit into the queue, or into the memory that requests may hold, just now."""


class TooLargeError(QuernError):
    """A request that is larger than any may be."""


class StoppingError(QuernError):
    """The server no longer takes requests."""


class DeadlineError(QuernError):
    """A request that was not answered in time."""


# The status of HTTP, the code of gRPC, and what the metrics call it. The first row that fits.
_ANSWERS = (
    (UnknownModelError, 404, "NOT_FOUND", "unknown_model"),
    (OverloadedError, 429, "UNAVAILABLE", "overloaded"),
    (TooLargeError, 413, "RESOURCE_EXHAUSTED", "too_large"),
    (StoppingError, 503, "UNAVAILABLE", "stopping"),
    (DeadlineError, 504, "DEADLINE_EXCEEDED", "deadline"),
    (CancelledError, 499, "CANCELLED", "cancelled"),
    (InvalidInputError, 400, "INVALID_ARGUMENT", "invalid"),
    (UsageError, 400, "INVALID_ARGUMENT", "invalid"),
    (UnsupportedError, 400, "INVALID_ARGUMENT", "invalid"),
    (ResourceLimitError, 503, "RESOURCE_EXHAUSTED", "limit"),
)


def answer_for(error: BaseException) -> tuple[int, str, str]:
    """The status of HTTP, the code of gRPC and the word of the metrics."""
    for kind, status, code, word in _ANSWERS:
        if isinstance(error, kind):
            return status, code, word
    return 500, "INTERNAL", "error"


def message_of(error: BaseException) -> str:
    """What the client is told: what is wrong in here is not for strangers."""
    return str(error) if isinstance(error, QuernError) else "internal error"
