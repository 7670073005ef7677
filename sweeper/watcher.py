"""Who is told how a sweep goes: a progress display, a log."""

from typing import Protocol

from sweeper.records import EpochRecord, FinalScore, Trial, TrialKey, TrialState


class Watcher(Protocol):
    """Is told by the coordinator, in its own thread, so it should be quick."""

    def advanced(self, trial: Trial, record: EpochRecord) -> None:
        """A trial reported an epoch."""
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
