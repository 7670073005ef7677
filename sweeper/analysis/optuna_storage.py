"""Where Optuna studies are written: a journal file, or any database that Optuna opens."""

import contextlib
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import BaseJournalBackend, JournalFileBackend

from sweeper.errors import UsageError
from sweeper.printable import one_line
from sweeper.store.foreign import require_foreign
from sweeper.store.url import without_password


@contextlib.contextmanager
def storage_at(location: str | Path) -> Iterator[BaseStorage]:
    """Optuna's storage at a database URL, or in a journal file.

    What is written to a journal stands there when this ends, all of it or, after an error, nothing. Raises
    UsageError where it can't be opened or written, or is a store of Sweeper.
    """
    if isinstance(location, str):
        # The driver that Sweeper comes with; which one SQLAlchemy takes by itself depends on its version.
        location = re.sub("^postgresql://", "postgresql+psycopg://", location)
        require_foreign(location)
    where = one_line(str(location) if isinstance(location, Path) else without_password(location))
    try:
        journal = _Gathered(location) if isinstance(location, Path) else None
        storage = JournalStorage(journal) if journal else RDBStorage(str(location))
    except Exception as error:  # SQLAlchemy's, Optuna's, or an unknown driver's ImportError
        raise UsageError(f"Optuna storage {where}: can't be opened: {_cause(error)}") from None
    try:
        yield storage
        if journal:
            journal.write()
    except (OSError, optuna.exceptions.OptunaError) as error:
        raise UsageError(f"Optuna storage {where}: can't be written: {_cause(error)}") from None
    finally:
        if isinstance(storage, RDBStorage):
            storage.remove_session()
            storage.engine.dispose()


def _cause(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error).split("\n")[0]


class _Gathered(BaseJournalBackend):
    """A journal file to which all is appended at once; Optuna's own waits for the disk at each entry."""

    def __init__(self, path: Path) -> None:
        path.open("ab").close()  # whether it can be written is known before any work
        self._path = path
        self._file = JournalFileBackend(str(path))
        self._known = list(self._file.read_logs(0))
        with path.open("rb") as lines:
            if sum(1 for _ in lines) != len(self._known):  # what follows a torn entry nobody could read
                raise ValueError("an entry of it is damaged")
        self._new: list[dict[str, Any]] = []

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        """The entries from that number on."""
        beyond = log_number_from - len(self._known)
        return self._new[beyond:] if beyond >= 0 else [*self._known[log_number_from:], *self._new]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Gather entries."""
        self._new += [json.loads(json.dumps(entry)) for entry in logs]  # as they will be read

    def write(self) -> None:
        """Append to the file. Raises UsageError where another process has written to it meanwhile."""
        if any(True for _ in self._file.read_logs(len(self._known))):
            raise UsageError(f"{self._path}: another process writes to it; export again when it is done")
        if self._new:
            self._file.append_logs(self._new)
