"""A search that begins with what an earlier sweep knew."""

from collections.abc import Callable

import pandas as pd
import pytest
from typer.testing import CliRunner

from sweeper.api import Sweep, run
from sweeper.cli import app
from sweeper.errors import NotFoundError, UsageError
from sweeper.experiment import Experiment
from sweeper.store import Store

MakeExperiment = Callable[..., Experiment]

TPE = ("search.sampler=tpe", "budget.trials_per_optimizer=6", "optimizers.adam={}", "budget.epochs=1")


def parameters(sweep: Sweep) -> pd.DataFrame:
    trials = sweep.trials.set_index("number")
    return trials[[name for name in trials if name.startswith("params.")]]


def test_guided_trials_know_the_earlier_ones_and_independent_ones_do_not(
    store: Store, make_experiment: MakeExperiment
) -> None:
    experiment = make_experiment(*TPE)
    run(make_experiment(*TPE, "experiment.seed=5"), store, name="earlier", workers="inline")
    cold = run(experiment, store, name="cold", workers="inline")
    warm = run(experiment, store, name="warm", warm_start="earlier", workers="inline")
    assert len(warm.trials) == len(cold.trials) == 6, "what was known is no trial of this sweep"
    independent = [0, 1, 2, 3]
    pd.testing.assert_frame_equal(parameters(warm).loc[independent], parameters(cold).loc[independent])
    assert not parameters(warm).loc[4].equals(parameters(cold).loc[4])
    known = warm.info.facts["warm_start"]
    assert known["sweep"] == "earlier"
    assert len(known["priors"]["adam"]) == 6
    assert "warm_start" not in cold.info.facts


def test_the_terminal_says_with_what_the_search_began(store: Store, make_experiment: MakeExperiment) -> None:
    run(make_experiment(*TPE), store, name="earlier", workers="inline")
    run(make_experiment(*TPE), store, name="warm", warm_start="earlier", workers="inline")
    shown = CliRunner().invoke(app, ["status", "warm", "--store", store.url]).stdout
    assert "TPE began with what sweep earlier knew (6 of adam)" in shown


def test_a_sweep_that_does_not_exist_or_does_not_compare_is_refused_before_anything_is_made(
    store: Store, make_experiment: MakeExperiment
) -> None:
    with pytest.raises(NotFoundError, match="no sweep is called 'nobody'"):
        run(make_experiment(*TPE), store, warm_start="nobody", workers="inline")
    run(make_experiment(*TPE), store, name="earlier", workers="inline")
    with pytest.raises(UsageError, match="is 2 here and 1 there"):
        run(make_experiment(*TPE, "budget.epochs=2"), store, warm_start="earlier", workers="inline")
    assert [info.name for info in store.sweeps()] == ["earlier"]
