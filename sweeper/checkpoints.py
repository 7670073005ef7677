"""Checkpoint files: a trial's state as bytes, under a name that tells trial, attempt and epoch.

Which of them counts is the store's to say. Nothing here knows what is in them; `training.state` does.
"""

import contextlib
import errno
import os
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, unquote

from sweeper.crashpoints import Point, reach
from sweeper.errors import CheckpointError
from sweeper.records import Checkpoint, TrialKey

SUFFIX = ".checkpoint"
PARTIAL = ".partial"
"""What is added to the name of a file that is being written."""


@dataclass(frozen=True, slots=True)
class CheckpointFiles:
    """The checkpoints of one sweep, in a `directory` of its own: a local path or an fsspec URL."""

    directory: str

    def require_writable(self) -> None:
        """Make the directory, write a file there and remove it. Raises CheckpointError."""
        with self._told("written"):
            _place(self.directory).probe()

    def save(self, key: TrialKey, checkpoint: Checkpoint, state: bytes) -> None:
        """Write a checkpoint, whole or not at all. Raises CheckpointError."""
        name = _name(key, checkpoint)
        with self._told("written", name):
            _place(self.directory).write(name, state)
        reach(Point.AFTER_CHECKPOINT)

    def load(self, key: TrialKey, checkpoint: Checkpoint) -> bytes:
        """The state that was saved. Raises CheckpointError."""
        name = _name(key, checkpoint)
        with self._told("read", name):
            return _place(self.directory).read(name)

    def forget(self, key: TrialKey, keep: Checkpoint | None = None) -> None:
        """Remove the trial's checkpoints before `keep`, or all of them, as far as they can be removed.

        Later ones stay: a worker may have saved one that nobody has heard of yet.
        """
        own = re.compile(rf"{re.escape(_stem(key))}-attempt-(\d+)-epoch-(\d+){_ENDING}")
        with contextlib.suppress(Exception):
            place = _place(self.directory)
            for name in place.names():
                found = own.fullmatch(name)
                if found and (keep is None or (int(found[1]), int(found[2])) < (keep.attempt, keep.epoch)):
                    _remove(place, name)

    def forget_all(self) -> None:
        """Remove the sweep's directory, as far as it can be removed; files of others in it stay."""
        with contextlib.suppress(Exception):
            place = _place(self.directory)
            for name in place.names():
                if re.search(f"{_ENDING}$", name):
                    _remove(place, name)
            place.remove_directory()

    def path(self, key: TrialKey, checkpoint: Checkpoint) -> str:
        """Where a checkpoint lies, as it may be printed: without passwords."""
        return printable(f"{self.directory}/{_name(key, checkpoint)}", self.directory)

    @contextlib.contextmanager
    def _told(self, done: str, name: str = "") -> Iterator[None]:
        """Turns whatever a file system says into one line."""
        try:
            yield
        except Exception as error:  # each fsspec file system has errors of its own
            where = printable(f"{self.directory}/{name}" if name else self.directory, self.directory)
            why = printable(_reason(error), self.directory)
            raise CheckpointError(f"{where}: can't be {done}: {why}") from None


def directory_of(root: str, sweep: str, created_at: datetime) -> str:
    """A sweep's own directory below the configured one; a later sweep of the same name has another.

    A local path is made absolute, since workers may run elsewhere. Raises CheckpointError as `absolute` does.
    """
    own = f"{quote(sweep, safe='')}-{created_at.astimezone(UTC):%Y%m%dT%H%M%S%fZ}"
    root = absolute(root)
    return f"{root}{own}" if root.endswith("/") else f"{root}/{own}"


def absolute(root: str) -> str:
    """The configured directory as it is called from anywhere; a URL stays as it is.

    Raises CheckpointError for the home directory of a user who doesn't exist.
    """
    if _is_url(root):
        return root
    try:
        return str(Path(root).expanduser().absolute())
    except RuntimeError:
        raise CheckpointError(f"checkpoint.directory = {root!r}: there is no such user") from None


def printable(text: str, directory: str | None = None) -> str:
    """`text` without what of the URL `directory`, or of `text` itself, is a secret."""
    for secret in _secrets(text if directory is None else directory):
        text = text.replace(secret, "***")
    return text


def fault(directory: str) -> str | None:
    """Why `directory` can't be the configured one whatever the machine, or None."""
    if "\0" in directory:
        return "must be a local path or an fsspec URL"
    if not _is_url(directory):
        return None
    import fsspec

    known = fsspec.available_protocols()
    for part in directory.split("::"):
        protocol = part.partition("://")[0]
        if protocol not in known:
            return f"unknown protocol {protocol!r}; legal: a local path, or an fsspec URL such as s3://BUCKET/DIR"
    return None


_ENDING = rf"{re.escape(SUFFIX)}(?:{re.escape(PARTIAL)})?"


def _stem(key: TrialKey) -> str:
    return f"{quote(key.optimizer, safe='')}-{key.phase}-{key.number:05d}"


def _name(key: TrialKey, checkpoint: Checkpoint) -> str:
    return f"{_stem(key)}-attempt-{checkpoint.attempt}-epoch-{checkpoint.epoch}{SUFFIX}"


def _probe() -> str:
    """A name that no file has: the directory may hold other things."""
    return f"sweeper-probe-{uuid.uuid4().hex}"


def _is_url(directory: str) -> bool:
    return "://" in directory


def _secrets(directory: str) -> list[str]:
    """What of a URL must not be printed: user and password, and the query; the longest first."""
    if not _is_url(directory):
        return []
    users = re.findall(r"://([^/?#\s]+)@", directory)
    passwords = [user.partition(":")[2] for user in users]
    queries = re.findall(r"\?([^#\s]+)", directory)
    found = {*users, *passwords, *queries}
    return sorted((found | set(map(unquote, found))) - {""}, key=len, reverse=True)


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return os.strerror(errno.ENOENT)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


class _Place(Protocol):
    """A directory somewhere. Any of its calls may raise whatever its file system raises."""

    def probe(self) -> None: ...

    def write(self, name: str, data: bytes) -> None: ...

    def read(self, name: str) -> bytes: ...

    def names(self) -> list[str]: ...

    def remove(self, name: str) -> None: ...

    def remove_directory(self) -> None: ...


def _place(directory: str) -> _Place:
    if not _is_url(directory):
        return _Local(Path(directory))
    import fsspec
    from fsspec.implementations.local import LocalFileSystem

    system, path = fsspec.url_to_fs(directory)
    return _Local(Path(path)) if isinstance(system, LocalFileSystem) else _Remote(system, path)


def _remove(place: _Place, name: str) -> None:
    with contextlib.suppress(Exception):
        place.remove(name)


class _Local:
    """A directory of this machine, or one that is mounted on it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def probe(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        probe = self._directory / _probe()
        probe.write_bytes(b"")
        probe.unlink()

    def write(self, name: str, data: bytes) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        partial = self._directory / f"{name}{PARTIAL}"
        half, view = len(data) // 2, memoryview(data)
        try:
            with partial.open("wb") as file:
                file.write(view[:half])
                file.flush()
                reach(Point.BEFORE_CHECKPOINT)
                file.write(view[half:])
                file.flush()
                os.fsync(file.fileno())
            partial.replace(self._directory / name)
            self._sync()
        finally:
            partial.unlink(missing_ok=True)

    def _sync(self) -> None:
        """Make the new name last; not every system can open a directory."""
        with contextlib.suppress(OSError):
            descriptor = os.open(self._directory, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def read(self, name: str) -> bytes:
        return (self._directory / name).read_bytes()

    def names(self) -> list[str]:
        return [path.name for path in self._directory.iterdir()]

    def remove(self, name: str) -> None:
        (self._directory / name).unlink()

    def remove_directory(self) -> None:
        self._directory.rmdir()


class _Remote:
    """A directory of an fsspec file system: an object store, where a file appears whole when it is closed."""

    def __init__(self, system: Any, directory: str) -> None:
        self._system = system
        self._directory = directory

    def probe(self) -> None:
        probe = _probe()
        self._put(probe, b"")
        self._system.rm_file(self._path(probe))

    def write(self, name: str, data: bytes) -> None:
        reach(Point.BEFORE_CHECKPOINT)
        self._put(name, data)

    def _put(self, name: str, data: bytes) -> None:
        try:
            self._system.pipe_file(self._path(name), data)
        except Exception:  # the directory may be missing; object stores need none, and may forbid to make one
            self._system.makedirs(self._directory, exist_ok=True)
            self._system.pipe_file(self._path(name), data)

    def read(self, name: str) -> bytes:
        found: bytes = self._system.cat_file(self._path(name))
        return found

    def names(self) -> list[str]:
        self._system.invalidate_cache()
        return [path.rpartition("/")[2] for path in self._system.ls(self._directory, detail=False)]

    def remove(self, name: str) -> None:
        self._system.rm_file(self._path(name))

    def remove_directory(self) -> None:
        self._system.rmdir(self._directory)

    def _path(self, name: str) -> str:
        return f"{self._directory.rstrip('/')}/{name}"
