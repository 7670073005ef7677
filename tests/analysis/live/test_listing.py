"""The table of trials: sorted, filtered, searched and cut, whoever shows it."""

import imported_sweeps
import numpy as np
import pandas as pd
import pytest

from sweeper import api
from sweeper.analysis.live.listing import ROWS, Listing, Wanted, choices, keys, listing
from sweeper.experiment import Experiment
from sweeper.store import Store


@pytest.fixture(scope="module")
def sweep() -> api.Sweep:
    """60 search trials and 12 finals of six optimizers, of which some miss numbers."""
    store = Store.open("sqlite://", create=True)
    trials, _ = imported_sweeps.tables(60, 2, 2)
    return api.import_trials("made-up", trials, store=store)


@pytest.fixture(scope="module")
def trials(sweep: api.Sweep) -> pd.DataFrame:
    found = sweep.trials
    found.loc[[3, 7], "val_loss"] = np.nan
    found.loc[5, "error"] = "CUDA (out) of [memory]"
    found.loc[9, "worker"] = "1/17"
    return found


@pytest.fixture(scope="module")
def experiment(sweep: api.Sweep) -> Experiment:
    return sweep.experiment


def shown(found: Listing) -> list[str]:
    return [row.key for row in found.rows]


def test_without_an_order_the_newest_trial_comes_first(trials: pd.DataFrame, experiment: Experiment) -> None:
    found = listing(trials, experiment, Wanted())
    assert shown(found)[0] == keys(trials).iloc[-1]
    assert (found.first, found.last, found.n, found.n_all, found.n_pages) == (1, ROWS, 72, 72, 2)


@pytest.mark.parametrize("descending", [False, True])
def test_every_column_sorts_and_what_is_missing_comes_last(
    trials: pd.DataFrame, experiment: Experiment, descending: bool
) -> None:
    for column in listing(trials, experiment, Wanted()).columns:
        both = [
            listing(trials, experiment, Wanted(sort=column.name, descending=descending, page=page))
            for page in (1, 2)
        ]
        found = pd.concat([trials.set_axis(keys(trials)).loc[shown(one)] for one in both])
        assert len(found) == len(trials)
        if column.name != "key":
            values = found[column.name]
            known = values.dropna()
            assert values.head(len(known)).notna().all(), column.name
            in_order = known.is_monotonic_decreasing if descending else known.is_monotonic_increasing
            assert in_order, column.name


def test_keys_sort_by_number_and_not_as_text(trials: pd.DataFrame, experiment: Experiment) -> None:
    found = listing(trials, experiment, Wanted(sort="key", optimizer="adam"))
    assert shown(found) == ["adam/final/0", "adam/final/1", *(f"adam/{k}" for k in range(10))]


def test_filters_narrow_together(trials: pd.DataFrame, experiment: Experiment) -> None:
    found = listing(trials, experiment, Wanted(optimizer="adam", phase="final", state="complete"))
    assert sorted(shown(found)) == ["adam/final/0", "adam/final/1"]
    nothing = listing(trials, experiment, Wanted(optimizer="adam", state="failed"))
    assert (nothing.rows, nothing.words) == ((), "none of 72 trials")


@pytest.mark.parametrize(
    ("words", "expected"),
    [("ADAM/1", ["adam/1"]), ("(out) of [mem", ["sgd/5"]), (" 1/17 ", ["sgd/9"]), (".*", []), ("\\", [])],
)
def test_words_are_found_as_they_are_in_keys_workers_and_errors(
    trials: pd.DataFrame, experiment: Experiment, words: str, expected: list[str]
) -> None:
    assert shown(listing(trials, experiment, Wanted(find=words))) == expected


@pytest.mark.parametrize(("page", "is_on"), [(0, 1), (1, 1), (2, 2), (3, 2), (10**9, 2)])
def test_a_page_that_is_not_there_is_the_nearest(
    trials: pd.DataFrame, experiment: Experiment, page: int, is_on: int
) -> None:
    found = listing(trials, experiment, Wanted(page=page))
    assert found.page == is_on
    assert (found.earlier, found.later) == ((None, 2) if is_on == 1 else (1, None))


def test_its_columns_are_those_that_were_searched(trials: pd.DataFrame, experiment: Experiment) -> None:
    columns = {column.name: column for column in listing(trials, experiment, Wanted()).columns}
    assert {"params.lr", "params.batch_size", "params.schedule", "test_loss"} <= columns.keys()
    assert columns["params.schedule"].is_text
    assert not columns["params.lr"].is_text
    searched = listing(trials[trials["phase"] == "search"], experiment, Wanted())
    assert "test_loss" not in [column.name for column in searched.columns]


def test_an_unknown_order_is_the_usual_one(trials: pd.DataFrame, experiment: Experiment) -> None:
    usual = listing(trials, experiment, Wanted())
    assert listing(trials, experiment, Wanted(sort="nonsense", descending=True)) == usual


def test_nothing_of_an_empty_sweep_is_listed(trials: pd.DataFrame, experiment: Experiment) -> None:
    found = listing(trials.head(0), experiment, Wanted(sort="val_loss", find="x"))
    assert (found.rows, found.n_pages, found.words) == ((), 1, "none of 0 trials")


def test_of_a_hundred_thousand_trials_one_page_is_made(trials: pd.DataFrame, experiment: Experiment) -> None:
    many = pd.concat([trials] * 1_400, ignore_index=True)
    many["number"] = np.arange(len(many))
    found = listing(many, experiment, Wanted(sort="key", optimizer="adam", page=100))
    mine = many[many["optimizer"] == "adam"].sort_values(["phase", "number"])
    assert (found.n_all, found.n) == (100_800, len(mine))
    assert shown(found) == list(keys(mine).iloc[99 * ROWS : 100 * ROWS])


def test_the_choices_are_the_experiments(experiment: Experiment) -> None:
    found = choices(experiment)
    assert found["phase"] == ("search", "final")
    assert found["optimizer"] == tuple(arm.name for arm in experiment.arms)
    assert set(found) <= set(Wanted.__dataclass_fields__)
