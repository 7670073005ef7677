"""How far a sweep is: what of its search and of its finals has ended, and what is still to come."""

from dataclasses import dataclass

import pandas as pd

from sweeper.analysis import scores
from sweeper.experiment import Experiment
from sweeper.records import Origin, Phase, TrialState


@dataclass(frozen=True, slots=True)
class Progress:
    """Trials of the search, and finals, that have ended, and how many there will be.

    Before the search is over nobody knows how many finals there will be: `n_finals` is then the most.
    """

    n_searched: int
    n_trials: int
    n_finals_done: int
    n_finals: int

    @property
    def searched_all(self) -> bool:
        """Whether the search is over."""
        return self.n_searched >= self.n_trials

    @property
    def n_finals_missing(self) -> int:
        """Finals that are still to come."""
        return max(0, self.n_finals - self.n_finals_done)


def progress(trials: pd.DataFrame, experiment: Experiment) -> Progress:
    """How far the sweep is whose frame is `trials`; superseded finals don't count."""
    ended = trials["state"].isin([state for state in TrialState if state.is_finished])
    n_searched = int((ended & (trials["phase"] == Phase.SEARCH)).sum())
    if experiment.imported:
        n_finals = int((ended & (trials["origin"] == Origin.FINAL)).sum())
        return Progress(n_searched=n_searched, n_trials=n_searched, n_finals_done=n_finals, n_finals=n_finals)
    is_over = n_searched >= experiment.n_trials
    return Progress(
        n_searched=n_searched,
        n_trials=experiment.n_trials,
        n_finals_done=int((ended & (trials["origin"] == Origin.FINAL)).sum()),
        n_finals=_n_finals(trials, experiment) if is_over else experiment.n_finals,
    )


def _n_finals(trials: pd.DataFrame, experiment: Experiment) -> int:
    """How many finals a finished search leads to: each seed trains the picks of one repeat."""
    final, repeats = experiment.final, experiment.search.repeats
    if not final.top_k:
        return 0
    candidates = scores.proposed(trials[trials["phase"] == Phase.SEARCH])
    total = 0
    for arm in experiment.arms:
        repeat_of = candidates.loc[candidates["optimizer"] == arm.name, "number"] % repeats
        for seed in range(final.seeds):
            n_picks = int((repeat_of == seed % repeats).sum())
            total += min(final.top_k, n_picks) + final.untuned
    return total
