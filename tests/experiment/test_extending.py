"""What a resumed sweep may ask for beyond what it began with."""

from collections.abc import Callable

import pytest

from sweeper.errors import ExperimentError
from sweeper.experiment import Experiment, differences, extended

MakeExperiment = Callable[..., Experiment]


@pytest.mark.parametrize(
    ("setting", "value"),
    [("budget.trials_per_optimizer", 40), ("final.seeds", 20), ("budget.max_seconds", 90.5)],
)
def test_more_trials_seeds_and_seconds_may_be_asked_for(
    make_experiment: MakeExperiment, setting: str, value: float
) -> None:
    before = make_experiment("budget.max_seconds=60")
    after = extended(before, [f"{setting}={value}"], source="sweep s")
    table, _, key = setting.partition(".")
    document = before.document()
    document[table][key] = value
    assert after.document() == document


def test_spaces_start_up_and_rungs_stay_as_they_were_resolved(make_experiment: MakeExperiment) -> None:
    before = make_experiment("search.sampler=tpe", "search.pruner=asha", "budget.epochs=9")
    after = extended(before, ["budget.trials_per_optimizer=64"], source="sweep s")
    assert after.arms == before.arms
    assert after.startup_trials == before.startup_trials == 1
    assert after.pruning.rungs == before.pruning.rungs == (3,)


def test_the_limit_of_seconds_may_be_lifted(make_experiment: MakeExperiment) -> None:
    before = make_experiment("budget.max_seconds=60")
    assert extended(before, ["budget.max_seconds=0"], source="s").budget.max_seconds == 0


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("budget.trials_per_optimizer=2", "budget.trials_per_optimizer = 2: can only be raised; it is 3 now"),
        ("final.seeds=9", "final.seeds = 9: can only be raised; it is 10 now"),
        ("budget.max_seconds=9", "can only be raised; it is 0.0, no limit, now"),
        ("budget.epochs=9", "budget.epochs = 9: is 2 since the sweep began; only budget.trials"),
        ("experiment.seed=1", "experiment.seed = 1: is 0 since the sweep began"),
        ("search.pruner=asha", 'search.pruner = "asha": is "none" since the sweep began'),
        ("space.batch_size=32", "space.batch_size = 32: is [64, 128] since the sweep began"),
        ("optimizers.adam.lr=0.1", "optimizers.adam = {"),
        ("optimizers.gd.lr=0.1", "optimizers.gd = {"),
        ("resources.attempts=9", "resources.attempts = 9: is 3 since the sweep began"),
    ],
)
def test_anything_else_is_refused_with_what_it_is(
    make_experiment: MakeExperiment, setting: str, message: str
) -> None:
    with pytest.raises(ExperimentError) as refused:
        extended(make_experiment(), [setting], source="sweep s")
    assert message in str(refused.value)


def test_another_experiment_is_told_from_a_stored_one_key_by_key(make_experiment: MakeExperiment) -> None:
    stored = make_experiment("optimizers.sgd={}", "optimizers.adam={}", name="stored")
    assert differences(stored, make_experiment("optimizers.sgd={}", "optimizers.adam={}")) == []
    other = make_experiment("budget.epochs=4", "optimizers.sgd.lr=0.5", "optimizers.rmsprop={}")
    lines = differences(stored, other)
    assert "budget.epochs is 2 there, 4 here" in lines
    assert 'optimizers is ["sgd", "adam"] there, ["sgd", "rmsprop"] here' in lines
    assert 'optimizers.sgd.lr is {"low": 0.0001, "high": 1.0, "scale": "log"} there, 0.5 here' in lines
    assert any(line.startswith("optimizers.rmsprop.decay is not there, ") for line in lines)
    assert any(
        line.startswith("optimizers.adam.beta1 is ") and line.endswith(" there, not here") for line in lines
    )
