"""quern.compile(..., cache=True): artefacts that all processes of a user share.

A model is compiled ahead of time into a file of the cache folder ($QUERN_CACHE_DIR, else quern
in $XDG_CACHE_HOME or ~/.cache), unless one has been made of the same bytes with the same options
by the same Quern for the same CPU; then it is loaded, which takes less than a millisecond. Of
processes that want one at the same time, one compiles and the others wait. The files used least
recently go when they are more than 4 GB together.
"""
import contextlib
import fcntl
import hashlib
import json
import logging
import os
import pathlib
import tempfile

from . import _quern
from .errors import FileError, IncompatibleError, InvalidModelError, UsageError

log = logging.getLogger("quern")
MOST_BYTES = 4 << 30
# How the entry "location" of a tensor with external data begins in a model.
_EXTERNAL = b"\x08location"


def key(model, options):
    """Names the artefact of a model, given as bytes, with these options of quern.aot."""
    if _EXTERNAL in model:
        raise UsageError("the model has external data, which the cache does not look at; "
                         "quern.aot writes an artefact of it")
    library = os.stat(_quern.__file__)
    facts = [_quern.__version__, library.st_size, library.st_mtime_ns, _quern.host_cpu(), options]
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True, default=list).encode())
    digest.update(model)
    return digest.hexdigest()


def folder():
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


def _make_room(where):
    files = []
    for path in where.glob("*.so"):
        with contextlib.suppress(OSError):
            files.append((path.stat().st_mtime_ns, path.stat().st_size, path))
    total = sum(size for _, size, _ in files)
    for _, size, path in sorted(files)[:-1]:
        if total <= MOST_BYTES:
            break
        with contextlib.suppress(OSError):
            path.unlink()
            path.with_suffix(".lock").unlink()
        total -= size


def load(name, write, read):
    """What `read(path)` makes of the artefact with this name, which `write(path)` writes when it
    is not there, or can no longer be read."""
    try:
        path = folder() / f"{name}.so"
        with open(path.with_suffix(".lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if path.exists():
                with contextlib.suppress(FileError, IncompatibleError, InvalidModelError):
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
        path = os.path.join(place, f"{name}.so")
        write(path)
        return read(path)
