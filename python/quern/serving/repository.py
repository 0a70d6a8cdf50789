"""A folder of models: NAME/VERSION/model.onnx (.tflite, .so), and NAME/settings.json.

Versions are numbers. What appears, changes or goes is noticed by looking, so that a folder that
is mounted or copied to works as well; a version is loaded when its files have stayed the same from
one look to the next. The versions that are served stay until those that replace them are ready, and
then until their last request is answered.
"""
from __future__ import annotations

import dataclasses
import logging
import os
import pathlib
import re
import threading
import time
from typing import Optional, Union

from ..errors import FileError, InvalidModelError, QuernError
from .errors import UnknownModelError
from .limits import Limits
from .metrics import Metrics
from .served import ServedVersion
from .settings import FILE_NAME, Settings, read_settings

log = logging.getLogger("quern.serving")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,127}")
_VERSION = re.compile(r"[1-9][0-9]{0,17}")
_FILES = ("model.onnx", "model.tflite", "model.so")
# Of a version that is replaced, for the requests that it has.
_RETIRE_SECONDS = 300.0

# What a version is made of: the path, size, time and inode of each file.
Fingerprint = tuple[tuple[str, int, int, int], ...]


@dataclasses.dataclass
class _Model:
    """The versions of one name, and what could not be loaded, each with the files it was."""

    versions: dict[int, ServedVersion] = dataclasses.field(default_factory=dict)
    loaded: dict[int, Fingerprint] = dataclasses.field(default_factory=dict)
    failed: dict[int, tuple[Fingerprint, str]] = dataclasses.field(default_factory=dict)


class Repository:
    """The models of a folder, kept up to date until it is closed."""

    def __init__(self, folder: Union[str, os.PathLike[str]], *, settings: Settings = Settings(),
                 limits: Limits = Limits(), metrics: Optional[Metrics] = None,
                 poll_seconds: float = 2.0) -> None:
        """Loads all there is; FileError when there is no such folder. With `poll_seconds` 0 it
        looks again only when `refresh` is called."""
        self._folder = pathlib.Path(folder)
        if not self._folder.is_dir():
            raise FileError(f"{self._folder}: no folder of models")
        self._settings, self._limits = settings, limits
        self._metrics = metrics if metrics is not None else Metrics()
        self._models: dict[str, _Model] = {}
        # Names that were taken out by request, until they are asked for again.
        self._hidden: set[str] = set()
        self._seen: dict[tuple[str, int], Fingerprint] = {}
        self._lock, self._refreshing = threading.Lock(), threading.Lock()
        self._retiring: list[threading.Thread] = []
        self._stop = threading.Event()
        self.refresh(settled=True)
        self._watcher: Optional[threading.Thread] = None
        if poll_seconds > 0:
            self._watcher = threading.Thread(target=self._watch, args=(poll_seconds,),
                                             name="quern.repository", daemon=True)
            self._watcher.start()

    def names(self) -> list[str]:
        """The models that have a version which is ready."""
        with self._lock:
            return sorted(name for name, model in self._models.items() if model.versions)

    def versions(self, name: str) -> list[int]:
        with self._lock:
            model = self._models.get(name)
            return sorted(model.versions) if model else []

    def failures(self) -> dict[str, str]:
        """What could not be loaded, by "NAME/VERSION", or NAME where the settings are wrong, and why."""
        with self._lock:
            return {f"{name}/{version}" if version else name: reason for name, model in self._models.items()
                    for version, (_, reason) in model.failed.items()}

    def get(self, name: str, version: str = "") -> ServedVersion:
        """The newest version, or this one; UnknownModelError when it is not there."""
        with self._lock:
            model = self._models.get(name)
            versions = model.versions if model else {}
            if not versions:
                raise UnknownModelError(f"there is no model '{name:.128}'")
            if not version:
                return versions[max(versions)]
            if not _VERSION.fullmatch(version) or int(version) not in versions:
                raise UnknownModelError(f"model '{name}' has no version '{version:.32}'; it has "
                                        f"{', '.join(map(str, sorted(versions)))}")
            return versions[int(version)]

    def load(self, name: str) -> None:
        """Looks at this model now; raises why none of its versions is ready."""
        self._hidden.discard(name)
        self.refresh(settled=True, only=name)
        if not self.versions(name):
            reasons = [reason for key, reason in self.failures().items()
                       if key.partition("/")[0] == name]
            raise UnknownModelError(reasons[0] if reasons else f"there is no model '{name:.128}'")

    def unload(self, name: str) -> None:
        """Takes a model out until `load` is called for it."""
        self.get(name)
        self._hidden.add(name)
        self.refresh(only=name)

    def close(self, seconds: Optional[float] = None) -> bool:
        """Answers all requests that wait, for at most `seconds`; whether all were answered."""
        self._stop.set()
        if self._watcher is not None:
            self._watcher.join(seconds)
        with self._lock:
            versions = [version for model in self._models.values()
                        for version in model.versions.values()]
            self._models.clear()
        end = None if seconds is None else time.monotonic() + seconds
        done = [version.close(None if end is None else max(end - time.monotonic(), 0))
                for version in versions]
        for thread in self._retiring:
            thread.join(None if end is None else max(end - time.monotonic(), 0))
        return all(done)

    def refresh(self, settled: bool = False, only: Optional[str] = None) -> None:
        """Looks at the folder, and loads and lets go what has changed. `settled`: without waiting
        for a second look at what is new."""
        with self._refreshing:
            found = self._look()
            for name in sorted(set(found).union(self._models)):
                if only is None or name == only:
                    self._refresh_model(name, found.get(name, {}), settled)

    def _watch(self, seconds: float) -> None:
        while not self._stop.wait(seconds):
            try:
                self.refresh()
            except Exception:
                log.exception("looking at %s failed", self._folder)

    def _look(self) -> dict[str, dict[int, Fingerprint]]:
        found: dict[str, dict[int, Fingerprint]] = {}
        for folder in _folders(self._folder):
            if _NAME.fullmatch(folder.name) and folder.name not in self._hidden:
                versions = {int(place.name): _fingerprint(place) for place in _folders(folder)
                            if _VERSION.fullmatch(place.name)}
                found[folder.name] = {v: files for v, files in versions.items() if files}
        return found

    def _refresh_model(self, name: str, found: dict[int, Fingerprint], settled: bool) -> None:
        model = self._models.setdefault(name, _Model())
        try:
            settings = read_settings(self._folder / name, self._settings)
        except QuernError as error:
            self._note_failure(model, name, 0, (), error)
            return
        model.failed.pop(0, None)
        wanted = settings.served(list(found))
        ready = True
        for version in reversed(wanted):
            files = found[version]
            if model.loaded.get(version) == files:
                continue
            if version in model.failed and model.failed[version][0] == files:
                ready = False
            elif settled or self._seen.get((name, version)) == files:
                ready = self._load(model, name, version, files, settings) and ready
            else:
                ready = False
            self._seen[(name, version)] = files
        # What is there serves on while what is to replace it is not ready, though its files be gone.
        for version in [v for v in model.versions if v not in wanted and (ready or not wanted)]:
            self._retire(name, model, version)
        for version in [v for v in model.failed if v and v not in found]:
            del model.failed[version]
        if not found and not model.versions:
            with self._lock:
                del self._models[name]
            self._metrics.forget(name)

    def _load(self, model: _Model, name: str, version: int, files: Fingerprint,
              settings: Settings) -> bool:
        try:
            path = _model_file(self._folder / name / str(version))
            made = ServedVersion(name, version, path, settings, self._limits, self._metrics)
        except QuernError as error:
            self._note_failure(model, name, version, files, error)
            return False
        with self._lock:
            before = model.versions.get(version)
            model.versions[version] = made
            model.loaded[version] = files
            model.failed.pop(version, None)
        self._metrics.loads(name, "ready").inc()
        self._metrics.load_seconds(name).set(made.load_seconds)
        self._metrics.queue_length(name).set_function(lambda: self._waiting(name))
        if before is not None:
            self._let_go(before)
        return True

    def _note_failure(self, model: _Model, name: str, version: int, files: Fingerprint,
                      error: QuernError) -> None:
        reason = str(error)
        if model.failed.get(version) != (files, reason):
            log.error("%s cannot be served: %s", f"{name} version {version}" if version else name,
                      reason)
            self._metrics.loads(name, "failed").inc()
        with self._lock:
            model.failed[version] = (files, reason)

    def _waiting(self, name: str) -> int:
        with self._lock:
            model = self._models.get(name)
            return sum(map(len, model.versions.values())) if model else 0

    def _retire(self, name: str, model: _Model, version: int) -> None:
        with self._lock:
            gone = model.versions.pop(version)
            model.loaded.pop(version, None)
        log.info("%s version %d is no longer served", name, version)
        self._let_go(gone)

    def _let_go(self, version: ServedVersion) -> None:
        """Beside what goes on: it answers what it has been given."""
        self._retiring = [thread for thread in self._retiring if thread.is_alive()]
        thread = threading.Thread(target=version.close, args=(_RETIRE_SECONDS,), daemon=True,
                                  name="quern.retiring")
        thread.start()
        self._retiring.append(thread)


def _folders(folder: pathlib.Path) -> list[pathlib.Path]:
    try:
        return [path for path in folder.iterdir() if path.is_dir()]
    except OSError:
        return []  # it went while it was looked at


def _fingerprint(folder: pathlib.Path) -> Fingerprint:
    """Of all files of a version and the settings beside it: weights may lie in others than the
    model's. Empty when there is no model."""
    files = []
    try:
        paths = [path for path in folder.iterdir() if path.is_file()]
        if not any(path.name in _FILES for path in paths):
            return ()
        for path in [*sorted(paths), folder.parent / FILE_NAME]:
            if path.exists():
                status = path.stat()
                files.append((path.name, status.st_size, status.st_mtime_ns, status.st_ino))
    except OSError:
        return ()
    return tuple(files)


def _model_file(folder: pathlib.Path) -> pathlib.Path:
    found = [folder / name for name in _FILES if (folder / name).is_file()]
    if len(found) != 1:
        raise InvalidModelError(f"{folder}: wanted one of {', '.join(_FILES)}, found "
                                f"{', '.join(path.name for path in found) or 'none'}")
    return found[0]

