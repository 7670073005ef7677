"""Who is shown how a sweep goes."""

from collections.abc import Sequence
from typing import Protocol

from sweeper.experiment import Experiment
from sweeper.records import EpochRecord, FinalScore, StoredTrial, Trial, TrialKey, TrialState
from sweeper.watcher import Watcher


class Display(Watcher, Protocol):
    """Shows a person how a sweep goes."""

    def begins(
        self, sweep: str, experiment: Experiment, known: Sequence[StoredTrial], notes: Sequence[str]
    ) -> None:
        """The sweep is about to hand out its first trial; `known` are those the store already holds."""
        ...


class Silent:
    """A display that shows nothing."""

    def begins(
        self, sweep: str, experiment: Experiment, known: Sequence[StoredTrial], notes: Sequence[str]
    ) -> None:
        """Say nothing."""

    def note(self, line: str) -> None:
        """Say nothing."""

    def advanced(self, trial: Trial, records: Sequence[EpochRecord]) -> None:
        """Say nothing."""

    def finished(
        self, trial: Trial, state: TrialState, last: EpochRecord | None, test: FinalScore | None
    ) -> None:
        """Say nothing."""

    def lost(self, key: TrialKey, attempt: int, cause: str) -> None:
        """Say nothing."""

    def finals_chosen(self, n_finals: int, n_left: int) -> None:
        """Say nothing."""
