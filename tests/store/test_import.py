"""Results from elsewhere in the store: whole or not at all, on both databases."""

from pathlib import Path

import imported_sweeps
import pandas as pd
import pytest

from sweeper import api
from sweeper.errors import SweepExistsError
from sweeper.records import SweepState
from sweeper.store import Store


def test_what_was_imported_is_read_back(store: Store) -> None:
    trials, epochs = imported_sweeps.tables(12, 3, n_finals=2)
    sweep = api.import_trials("old", trials, epochs, independent=True, store=store)
    assert (sweep.info.state, sweep.info.holder) == (SweepState.COMPLETE, None)
    assert len(sweep.trials) == len(trials) == 24
    for column in trials:
        assert list(sweep.trials[column]) == list(trials[column]) or trials[column].isna().any(), column
    read = sweep.epochs.merge(epochs, on=["optimizer", "phase", "number", "epoch"], suffixes=("", "_given"))
    assert len(read) == len(epochs) == 72
    assert (read["val_loss"] == read["val_loss_given"]).all()
    assert sweep.attempts["started_at"].isna().all()
    assert sweep.trials["device"].isna().all()


def test_a_name_that_exists_is_refused_and_nothing_is_written(store: Store) -> None:
    trials = pd.DataFrame({"optimizer": ["a"], "number": [0], "val_loss": [1.0]})
    api.import_trials("old", trials, store=store)
    with pytest.raises(SweepExistsError):
        api.import_trials("old", trials.assign(optimizer="b"), store=store)
    assert list(api.load("old", store).trials["optimizer"]) == ["a"]
    assert len(store.sweeps()) == 1


@pytest.mark.parametrize("format_", ["csv", "parquet"])
def test_what_was_exported_comes_back_the_same(tmp_path: Path, format_: str, store: Store) -> None:
    from sweeper.api import exchange

    trials, epochs = imported_sweeps.tables(12, 3, n_finals=2)
    trials["started_at"] = pd.Timestamp("2026-03-01 12:00:00.000001", tz="UTC")
    trials["finished_at"] = trials["started_at"] + pd.Timedelta(seconds=3)
    first = api.import_trials("first", trials.assign(worker="w", device="cpu"), epochs, store=store)
    exchange.export(first, tmp_path, format_)
    again = api.import_trials(
        "again", tmp_path / f"trials.{format_}", tmp_path / f"epochs.{format_}", store=store
    )
    pd.testing.assert_frame_equal(again.trials.drop(columns="sweep"), first.trials.drop(columns="sweep"))
    pd.testing.assert_frame_equal(again.epochs.drop(columns="sweep"), first.epochs.drop(columns="sweep"))
