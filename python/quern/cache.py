"""quern.compile(..., cache=True): artefacts that all processes of a user share.

A model is compiled ahead of time into a file of the cache folder ($QUERN_CACHE_DIR, else quern
in $XDG_CACHE_HOME or ~/.cache), unless one has been made of the same bytes with the same options
by the same Quern for the same CPU; then it is loaded, which takes some milliseconds. What a
model file holds is looked at when the file is new or has changed: beside the artefacts are notes
of the files that they were made of. Of processes that want an artefact at the same time, one
compiles and the others wait. The files used least recently go when they are more than 4 GB
together.
"""
from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import pathlib
import re
import tempfile
import time
from typing import Any, Callable, Iterator, Optional, TypeVar, Union

from . import _quern
from .errors import FileError, IncompatibleError, InvalidModelError, UsageError

Result = TypeVar("Result")
log = logging.getLogger("quern")
MOST_BYTES = 4 << 30
# Notes are of 64 bytes each.
MOST_NOTES = 4096
# A file that changed less long ago is not noted: a change right after that might bear the same
# time, as file systems count it.
SETTLED_NS = 2_000_000_000
# How the entry "location" of a tensor with external data begins in a model.
_EXTERNAL = b"\x08location"
_NAME = re.compile(r"[0-9a-f]{64}")
# What is wrong with a file of the cache, not with what is asked of it.
_DAMAGE = (FileError, IncompatibleError, InvalidModelError)


def _digest_of(what: list[Any]) -> Any:
    """A hash of these facts, and of the library and machine that artefacts are made with."""
    library = os.stat(_quern.__file__)
    facts = [_quern.__version__, library.st_size, library.st_mtime_ns, _quern.host_cpu(), *what]
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=list).encode())


def key(model: bytes, options: dict[str, Any]) -> str:
    """Names the artefact of a model, given as bytes, with these options of quern.aot."""
    if _EXTERNAL in model:
        raise UsageError("the model has external data, which the cache does not look at; "
                         "quern.aot writes an artefact of it")
    digest = _digest_of([options])
    digest.update(model)
    name: str = digest.hexdigest()
    return name


class Sighting:
    """A model file as it is before it is read, and whether a note about it can be trusted."""

    def __init__(self, path: Union[str, os.PathLike[str]], options: dict[str, Any]) -> None:
        status = os.stat(path)
        self._path = path
        self._facts = [os.path.realpath(path), status.st_dev, status.st_ino, status.st_size,
                       status.st_mtime_ns, status.st_ctime_ns]
        changed = max(status.st_mtime_ns, status.st_ctime_ns)
        self._settled = time.time_ns() - changed > SETTLED_NS
        self._note = f"{_digest_of(['file', self._facts, options]).hexdigest()}.note"

    def recall(self, read: Callable[[str], Result]) -> Optional[Result]:
        """What `read(path)` makes of the artefact of this file; None when there is no note of it,
        or no such artefact that can be read."""
        with contextlib.suppress(OSError, UnicodeDecodeError, *_DAMAGE):
            note = folder() / self._note
            name = note.read_text("ascii")
            if _NAME.fullmatch(name):
                path = note.with_name(f"{name}.so")
                os.utime(path)
                os.utime(note)
                return read(os.fspath(path))
        return None

    def remember(self, name: str) -> None:
        """Notes that the artefact is of this file, unless that has changed since."""
        with contextlib.suppress(OSError):
            if self._settled and Sighting(self._path, {})._facts == self._facts:
                _write(folder() / self._note, name)


def sighting(path: Union[str, os.PathLike[str]], options: dict[str, Any]) -> Optional[Sighting]:
    """None when there is no such file: reading it will say so."""
    try:
        return Sighting(path, options)
    except OSError:
        return None


def folder() -> pathlib.Path:
    """The cache folder, made when it is not there. UsageError when there is none, or others than
    this user could have written to it: what is in there is code that will run."""
    path = _quern.cache_folder()
    if not path:
        raise UsageError("there is no folder for the cache: set QUERN_CACHE_DIR, or HOME")
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
        status = os.stat(path)
    except OSError as error:
        raise FileError(f"cannot use the cache folder '{path}': {error.strerror}") from error
    if status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise UsageError(f"the cache folder '{path}' is not this user's alone")
    return pathlib.Path(path)


def _write(path: pathlib.Path, text: str) -> None:
    """Whole, or not at all."""
    file, written = tempfile.mkstemp(dir=path.parent, prefix=".note")
    try:
        with os.fdopen(file, "w") as stream:
            stream.write(text)
        os.replace(written, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(written)
        raise


def _oldest_first(where: pathlib.Path, pattern: str) -> list[tuple[int, int, pathlib.Path]]:
    """(time of use, bytes, path)"""
    files = []
    for path in where.glob(pattern):
        with contextlib.suppress(OSError):
            status = path.stat()
            files.append((status.st_mtime_ns, status.st_size, path))
    return sorted(files)


def _make_room(where: pathlib.Path) -> None:
    files = _oldest_first(where, "*.so")
    total = sum(size for _, size, _ in files)
    for _, size, path in files[:-1]:
        if total <= MOST_BYTES:
            break
        with contextlib.suppress(OSError):
            path.unlink()
            path.with_suffix(".lock").unlink()
        total -= size
    notes = _oldest_first(where, "*.note")
    for _, _, path in notes[:max(len(notes) - MOST_NOTES, 0)]:
        with contextlib.suppress(OSError):
            path.unlink()


@contextlib.contextmanager
def _locked(path: pathlib.Path) -> Iterator[None]:
    """One process at a time has the artefact `path`. The lock's file stays beside it, and goes
    when there is none: a failure leaves nothing."""
    name = path.with_suffix(".lock")
    while True:
        is_there = False
        with open(name, "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            # Who had it may have taken the file away: another one is waited for by now.
            with contextlib.suppress(FileNotFoundError):
                is_there = os.path.samestat(os.fstat(lock.fileno()), os.stat(name))
            if not is_there:
                continue
            try:
                yield
            finally:
                if not path.exists():
                    name.unlink(missing_ok=True)
            return


def load(name: str, write: Callable[[str], object], read: Callable[[str], Result]) -> Result:
    """What `read(path)` makes of the artefact with this name, which `write(path)` writes when it
    is not there, or can no longer be read."""
    try:
        path = folder() / f"{name}.so"
        with _locked(path):
            if path.exists():
                with contextlib.suppress(*_DAMAGE):
                    os.utime(path)
                    return read(os.fspath(path))
                log.warning("%s could not be loaded: it is made again", path)
            write(os.fspath(path))
            _make_room(path.parent)
            return read(os.fspath(path))
    except OSError as error:
        # A disk that is full or read-only costs time, no answer.
        log.warning("nothing is kept in the cache: %s", error)
    with tempfile.TemporaryDirectory() as place:
        scratch = os.path.join(place, f"{name}.so")
        write(scratch)
        return read(scratch)
