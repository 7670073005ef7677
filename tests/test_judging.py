"""What the judges make of a sweep that the store already holds."""

from collections.abc import Callable

import pytest

from sweeper.experiment import Experiment
from sweeper.judging import Judges
from sweeper.records import EpochRecord, StoredTrial, Trial, TrialState


@pytest.mark.parametrize("recorded", [{1: 1.0}, {1: 1.0, 2: 500.0}], ids=["a NaN", "a large loss"])
def test_a_diverged_trial_keeps_its_place_at_the_rungs_before(
    make_experiment: Callable[..., Experiment],
    make_trial: Callable[..., Trial],
    make_record: Callable[..., EpochRecord],
    recorded: dict[int, float],
) -> None:
    experiment = make_experiment("search.pruner=asha", "budget.epochs=4", "search.min_epochs=1")
    # The store keeps no NaN: the curve of a trial that ended with one lacks its last epoch.
    diverged = StoredTrial(make_trial("sgd", 1), TrialState.DIVERGED, 1, 0, 2, None, None, None, None)
    judges = Judges(experiment, [diverged], {diverged.key: recorded})
    assert judges.should_prune(make_trial("sgd", 2), [make_record(1, val_loss=1.5)])
    assert not judges.should_prune(make_trial("sgd", 3), [make_record(1, val_loss=0.5)])
