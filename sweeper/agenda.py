"""What a sweep has to train, in order: the search's trials, then, once all of them are over, the finals."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from sweeper.experiment import Experiment
from sweeper.finals import Finals
from sweeper.records import EpochRecord, Phase, StoredTrial, Trial, TrialState

if TYPE_CHECKING:
    from sweeper.search import Search


class Agenda:
    """Gives trial after trial, and learns how they end. `known` are those that the store already holds."""

    def __init__(self, experiment: Experiment, search: "Search", known: Iterable[StoredTrial] = ()) -> None:
        stored = list(known)
        self._objective = experiment.objective
        self._search = search
        self._finals = Finals(experiment, stored)
        self._n_open = sum(t.key.phase is Phase.SEARCH and not t.state.is_finished for t in stored)
        self._searched_all = False
        self._has_chosen = False

    @property
    def awaits_choice(self) -> bool:
        """Whether the search is over and the finals' settings are not chosen yet."""
        return self._searched_all and not self._n_open and not self._has_chosen

    @property
    def n_finals(self) -> int:
        """How many finals there are in all; known once they are chosen."""
        return self._finals.n_chosen

    @property
    def n_finals_left(self) -> int:
        """How many finals `ask` has left to give."""
        return self._finals.n_left

    def ask(self) -> Trial | None:
        """The next trial; None where nothing is left, or not before a search trial that is open has ended."""
        if self._has_chosen:
            return self._finals.ask()
        trial = self._search.ask()
        if trial is None:
            self._searched_all = True
        else:
            self._n_open += 1
            self._finals.planned(trial)
        return trial

    def choose(self) -> Mapping[str, frozenset[int]]:
        """Choose the finals' settings, when `awaits_choice`: the trial numbers, for each optimizer."""
        assert self.awaits_choice, "the search goes on"
        self._has_chosen = True
        return self._finals.choose()

    def tell(self, trial: Trial, state: TrialState, last: EpochRecord | None) -> None:
        """Learn how a trial ended; `last` is its last record."""
        if trial.key.phase is not Phase.SEARCH:
            return
        self._n_open -= 1
        value = getattr(last, self._objective) if last else None
        self._search.tell(trial, state, value, last.epoch if last else 0)
        self._finals.tell(trial, state, value)
