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


def test_hyperparameters_of_words_and_truths_are_listed(trials: pd.DataFrame, experiment: Experiment) -> None:
    """Also those whose names end like a measured number's, and those that some optimizers have not."""
    some = trials.head(4).assign(
        **{
            "params.loss": ["hinge", np.nan, "ce", "hinge"],
            "params.accuracy": [0.00001, 2.0, np.nan, 3.5],
            "params.nesterov": pd.Series([True, np.nan, False, True], dtype="object"),
        }
    )
    for sort, expected in [
        ("params.loss", ["sgd/2", "sgd/0", "sgd/3", "sgd/1"]),
        ("params.nesterov", ["sgd/2", "sgd/0", "sgd/3", "sgd/1"]),
        ("params.accuracy", ["sgd/0", "sgd/1", "sgd/3", "sgd/2"]),
    ]:
        assert shown(listing(some, experiment, Wanted(sort=sort))) == expected
    found = listing(some, experiment, Wanted(sort="key"))
    places = [column.name for column in found.columns].index("params.loss")
    assert [row.cells[places : places + 3] for row in found.rows] == [
        ("hinge", "1e-05", "True"),
        ("-", "2", "-"),
        ("ce", "-", "False"),
        ("hinge", "3.5", "True"),
    ]


@pytest.mark.parametrize("descending", [False, True])
def test_equal_trials_stay_in_the_order_of_planning(
    trials: pd.DataFrame, experiment: Experiment, descending: bool
) -> None:
    found = listing(trials, experiment, Wanted(sort="state", phase="search", descending=descending))
    assert shown(found) == list(keys(trials[trials["phase"] == "search"]).head(ROWS))


def test_pages_follow_each_other_without_a_gap(trials: pd.DataFrame, experiment: Experiment) -> None:
    both = [listing(trials, experiment, Wanted(sort="params.lr", page=page)) for page in (1, 2)]
    assert [one.words for one in both] == ["1 to 50 of 72 trials", "51 to 72 of 72 trials"]
    together = [key for one in both for key in shown(one)]
    assert together == list(keys(trials.sort_values("params.lr")))


def test_it_is_said_of_how_many_some_are_wanted(trials: pd.DataFrame, experiment: Experiment) -> None:
    assert listing(trials, experiment, Wanted(phase="final")).words == "1 to 12 of 12 of 72 trials"
    many = pd.concat([trials] * 20, ignore_index=True)
    assert listing(many, experiment, Wanted(page=21)).words == "1,001 to 1,050 of 1,440 trials"


def test_words_narrow_what_is_filtered(trials: pd.DataFrame, experiment: Experiment) -> None:
    assert shown(listing(trials, experiment, Wanted(optimizer="sgd", find="CUDA"))) == ["sgd/5"]
    assert shown(listing(trials, experiment, Wanted(optimizer="adam", find="CUDA"))) == []
    finals = listing(trials, experiment, Wanted(state="complete", find="/final/1", sort="key"))
    assert shown(finals) == [f"{name}/final/1" for name in sorted(imported_sweeps.OPTIMIZERS)]


@pytest.mark.parametrize("words", ["(", "[", "+", "^", "$", "a|b", "nobody/.", "%", "_"])
def test_what_means_something_to_a_pattern_is_plain_text(
    trials: pd.DataFrame, experiment: Experiment, words: str
) -> None:
    marked = trials.head(3).assign(error=["none", f"before {words} after", None], worker=["1/0", None, "1/1"])
    assert shown(listing(marked, experiment, Wanted(find=words))) == ["sgd/1"]


def test_cells_are_texts(trials: pd.DataFrame, experiment: Experiment) -> None:
    moment = pd.Timestamp("2026-03-01 12:34:56.7", tz="UTC")
    one = trials.head(1).assign(
        started_at=moment, wall_s=12.345, train_loss=1.23456, val_accuracy=np.nan, worker="1/3", epochs=7
    )
    found = listing(one, experiment, Wanted())
    cells = dict(zip((column.name for column in found.columns), found.rows[0].cells, strict=True))
    assert (found.rows[0].key, found.rows[0].state) == (cells["key"], cells["state"]) == ("sgd/0", "complete")
    assert (cells["started_at"], cells["wall_s"], cells["epochs"]) == ("03-01 12:34:56", "12.3", "7")
    assert (cells["train_loss"], cells["val_accuracy"], cells["worker"]) == ("1.235", "-", "1/3")


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
