"""Who is told how a sweep goes: a progress display, a log."""

from collections.abc import Sequence
from typing import Protocol

from sweeper.records import EpochRecord, FinalScore, Trial, TrialKey, TrialState


class Watcher(Protocol):
    """Is told by the coordinator, in its own thread, so it should be quick."""

    def advanced(self, trial: Trial, records: Sequence[EpochRecord]) -> None:
        """A trial reported epochs, at least one."""
        ...

    def finished(
        self, trial: Trial, state: TrialState, last: EpochRecord | None, test: FinalScore | None
    ) -> None:
        """A trial ended and its end is stored; `test` is a final's score."""
        ...

    def lost(self, key: TrialKey, attempt: int, cause: str) -> None:
        """An attempt was lost."""
        ...

    def note(self, line: str) -> None:
        """Something worth a line."""
        ...

    def finals_chosen(self, n_finals: int, n_left: int) -> None:
        """The search is over: so many finals there are in all, and so many of them are left to train."""
        ...


class Watchers:
    """Several, each told everything in turn."""

    def __init__(self, *watchers: Watcher) -> None:
        self._watchers = watchers

    def advanced(self, trial: Trial, records: Sequence[EpochRecord]) -> None:
        """A trial reported epochs."""
        for watcher in self._watchers:
            watcher.advanced(trial, records)

    def finished(
        self, trial: Trial, state: TrialState, last: EpochRecord | None, test: FinalScore | None
    ) -> None:
        """A trial ended."""
        for watcher in self._watchers:
            watcher.finished(trial, state, last, test)

    def lost(self, key: TrialKey, attempt: int, cause: str) -> None:
        """An attempt was lost."""
        for watcher in self._watchers:
            watcher.lost(key, attempt, cause)

    def note(self, line: str) -> None:
        """Something worth a line."""
        for watcher in self._watchers:
            watcher.note(line)

    def finals_chosen(self, n_finals: int, n_left: int) -> None:
        """The search is over."""
        for watcher in self._watchers:
            watcher.finals_chosen(n_finals, n_left)
