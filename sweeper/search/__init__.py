"""Decides what to try next: settings proposed by Optuna, a Sobol sequence, a grid or plain chance.

Independent trials (`random`, `qmc`, `grid`, and TPE's start-up trials) are a pure function of the
experiment's seed, the arm and the trial's number. What all arms share (`[space]`, the trial's seed) is drawn
without the arm's name, so trial *n* of every arm has the same batch size, initial weights and data order:
common random numbers. Guided trials come from Optuna's studies, in memory, rebuilt from the store after an
interruption.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from sweeper.experiment import Experiment
from sweeper.records import Phase, Prior, StoredTrial, Trial, TrialState
from sweeper.search.joint import JointSearch
from sweeper.search.per_optimizer import PerOptimizerSearch

__all__ = ["Search"]

Priors = Mapping[str, Sequence[Prior]]


class _Mode(Protocol):
    def ask(self) -> Trial | None: ...

    def tell(self, trial: Trial, state: TrialState, objective_value: float | None, epoch: int) -> None: ...


class Search:
    """What an experiment has left to try, and what its results teach.

    `known` are the trials that the store already holds, whatever their state; those of other phases than the
    search are ignored. `priors` are what an earlier sweep knew of each arm's settings (see `search.priors`):
    TPE learns from them before anything else, and they count nowhere.
    """

    def __init__(
        self, experiment: Experiment, known: Iterable[StoredTrial] = (), priors: Priors | None = None
    ) -> None:
        stored = [trial for trial in known if trial.key.phase is Phase.SEARCH]
        mode = JointSearch if experiment.search.mode == "joint" else PerOptimizerSearch
        self._mode: _Mode = mode(experiment, stored, priors or {})

    def ask(self) -> Trial | None:
        """The next trial; None where nothing is left to try.

        With a search per optimizer it belongs to the arm that has begun the fewest.
        """
        return self._mode.ask()

    def tell(self, trial: Trial, state: TrialState, objective_value: float | None, epoch: int = 0) -> None:
        """Learn from a finished trial: its state, and its objective's raw value after `epoch`, its last."""
        self._mode.tell(trial, state, objective_value, epoch)
