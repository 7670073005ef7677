"""Results from elsewhere in the store: whole or not at all, on both databases."""

from pathlib import Path

import imported_sweeps
import pandas as pd
import pytest
import sqlalchemy as sa

from sweeper import api
from sweeper.api import exchange
from sweeper.errors import StoreError, SweepExistsError, UsageError
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


def test_seconds_that_nobody_knows_are_no_number(store: Store) -> None:
    trials, epochs = imported_sweeps.tables(12, 3)
    sweep = api.import_trials("old", trials, epochs.drop(columns=["train_s", "eval_s"]), store=store)
    assert sweep.epochs["train_s"].isna().all()
    assert sweep.attempts["eval_s"].isna().all()


def test_a_name_that_exists_is_refused_and_nothing_is_written(store: Store) -> None:
    trials = pd.DataFrame({"optimizer": ["a"], "number": [0], "val_loss": [1.0]})
    api.import_trials("old", trials, store=store)
    with pytest.raises(SweepExistsError):
        api.import_trials("old", trials.assign(optimizer="b"), store=store)
    assert list(api.load("old", store).trials["optimizer"]) == ["a"]
    assert len(store.sweeps()) == 1


@pytest.mark.parametrize("format_", ["csv", "parquet"])
def test_what_was_exported_comes_back_the_same(tmp_path: Path, format_: str, store: Store) -> None:
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


def test_names_and_numbers_at_their_limits_are_kept(store: Store) -> None:
    names = ["a\x00b", "ä" * 100, "'; --"]
    trials = pd.DataFrame({"optimizer": names, "number": 10**9, "val_loss": 1e308, "seed": 2**63 - 1})
    epochs = trials[["optimizer", "number"]].assign(epoch=10**9, samples=2**53, val_loss=float("inf"))
    sweep = api.import_trials("old", trials, epochs, store=store)
    assert list(sweep.trials["optimizer"]) == ["a\\x00b", *names[1:]]
    assert list(sweep.trials["seed"]) == [2**63 - 1] * 3
    assert list(sweep.epochs["epoch"]) == [10**9] * 3
    assert sweep.epochs["val_loss"].isna().all()


def test_an_import_that_fails_leaves_nothing(store: Store) -> None:
    trial = {"optimizer": "a", "number": 1, "phase": "search"}  # the rest of its row is missing
    sweep = {"name": "old", "experiment": {}, "experiment_text": "", "facts": {}}
    with pytest.raises(StoreError):
        store.import_sweep(sweep, [trial], [], [])
    assert store.sweeps() == []


def test_the_same_name_at_the_same_moment_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    trials = pd.DataFrame({"optimizer": ["a"], "number": [0], "val_loss": [1.0]})
    api.import_trials("old", trials, store=store)
    monkeypatch.setattr(Store, "require_unused", lambda store, name: None)  # as if the other came in between
    with pytest.raises(SweepExistsError, match="import under another name"):
        api.import_trials("old", trials, store=store)


def test_studies_are_exported_into_the_same_kind_of_database(
    store_url: str, store: Store, request: pytest.FixtureRequest
) -> None:
    trials, epochs = imported_sweeps.tables(12, 2, n_finals=1)
    sweep = api.import_trials("old", trials, epochs, store=store)
    if store_url.startswith("postgresql"):
        url = request.getfixturevalue("postgres_server").empty_url()
    else:
        url = store_url.replace("store.db", "optuna.db")
    assert len(exchange.export(sweep, Path(), "optuna", storage=url)) == 12
    with pytest.raises(UsageError, match="exists already"):
        exchange.export(sweep, Path(), "optuna", storage=url)


def test_no_studies_are_mixed_into_a_store(store_url: str, store: Store) -> None:
    sweep = api.import_trials("old", imported_sweeps.tables(12, 2)[0], store=store)
    with pytest.raises(UsageError, match="is a store of Sweeper"):
        exchange.export(sweep, Path(), "optuna", storage=store_url)
    with store.engine.connect() as connection:
        assert not sa.inspect(connection).has_table("studies")
