"""Searches run to their end with made-up results: what the tests of the search share."""

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import replace

from sweeper.records import StoredTrial, Trial, TrialState
from sweeper.search import Search


def ask_all(search: Search, value: Callable[[Trial], float | None] = lambda trial: 1.0) -> list[Trial]:
    """Every trial that is left, each told as complete before the next is asked for."""
    trials = []
    while (trial := search.ask()) is not None:
        trials.append(trial)
        search.tell(trial, TrialState.COMPLETE, value(trial))
    return trials


def stored(
    trial: Trial, state: TrialState = TrialState.COMPLETE, val_loss: float | None = 1.0, epochs: int = 2
) -> StoredTrial:
    """The trial as the store gives it back: its values have been JSON in between."""
    params, proposal = (json.loads(json.dumps(dict(values))) for values in (trial.params, trial.proposal))
    again = replace(trial, params=params, proposal=proposal)
    return StoredTrial(again, state, 1, 0, epochs, 1.0, val_loss, 0.5, None)


def distance_from_1e_2(trial: Trial) -> float:
    """A loss that is lowest, 0, at lr 0.01; two decades away it is 0.5."""
    return abs(math.log10(float(trial.params["lr"])) + 2) / 4


def settings(trials: Iterable[Trial], optimizer: str) -> list[tuple[object, ...]]:
    """The parameters of an optimizer's trials, to be compared."""
    return [tuple(trial.params.items()) for trial in trials if trial.key.optimizer == optimizer]
