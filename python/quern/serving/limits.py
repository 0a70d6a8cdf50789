"""What requests may take: bytes, elements, time; all of them together, too."""
from __future__ import annotations

import dataclasses
import math
import threading
from typing import Sequence

from ..errors import InvalidInputError
from .errors import OverloadedError, TooLargeError

# What a byte of JSON may become: "0," is a pointer and a number in Python, and 8 bytes in NumPy.
JSON_GROWTH = 16
_MOST_DIMS = 32


@dataclasses.dataclass(frozen=True)
class Limits:
    """Of a server. Bytes are those of bodies; of JSON each counts `JSON_GROWTH` times."""

    request_bytes: int = 64 << 20
    json_bytes: int = 16 << 20
    request_elements: int = 1 << 26
    # Of all requests that are being read, wait, run or are answered.
    bytes_in_flight: int = 1 << 30
    # Waiting for one model.
    queue: int = 256
    # Of a request, from its arrival on; the client may ask for less.
    seconds: float = 60.0

    def check_body(self, size: int, is_json: bool) -> None:
        """TooLargeError, before anything is allocated."""
        most = self.json_bytes if is_json else self.request_bytes
        if size > most:
            raise TooLargeError(f"the request has {size} bytes of {'JSON' if is_json else 'body'}; "
                                f"at most {most} are taken")

    def elements_of(self, name: str, shape: Sequence[object]) -> int:
        """The number of elements of a shape that a stranger has sent."""
        if not isinstance(shape, (list, tuple)) or len(shape) > _MOST_DIMS:
            raise InvalidInputError(f"input '{name}': its shape is no list of at most "
                                    f"{_MOST_DIMS} sizes")
        for size in shape:
            if type(size) is not int or not 0 <= size < 1 << 62:
                raise InvalidInputError(f"input '{name}': a size of its shape is {size!r:.40}")
        count = math.prod(shape)  # type: ignore[arg-type]
        if count > self.request_elements:
            raise TooLargeError(f"input '{name}' has {count} elements; at most "
                                f"{self.request_elements} are taken")
        return count


class Budget:
    """Bytes that requests hold together. Whoever takes some gives them back."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self.used = 0

    def take(self, size: int) -> None:
        with self._lock:
            if self.used + size > self._most:
                raise OverloadedError(f"requests hold {self.used} bytes and at most {self._most} "
                                      f"are taken at a time; {size} more are too many just now")
            self.used += size

    def give(self, size: int) -> None:
        with self._lock:
            self.used -= size
