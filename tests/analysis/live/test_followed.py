"""Trials that are followed are the trials that there are, whatever happened to the sweep meanwhile."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa
from led import LedSweep

from sweeper.analysis import frames
from sweeper.analysis.live.followed import FollowedTrials
from sweeper.experiment import Experiment
from sweeper.records import TrialState
from sweeper.store import Store, counts

DATABASES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]


@pytest.fixture(params=DATABASES)
def any_store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """An empty store in a file, and on a server."""
    if request.param == "sqlite":
        yield request.getfixturevalue("store")
        return
    with contextlib.closing(Store.open(request.getfixturevalue("postgres_server").store_url())) as opened:
        yield opened


@pytest.fixture
def sweep(any_store: Store, tiny: Experiment) -> LedSweep:
    """A sweep with two trials that have ended and one that has not."""
    led = LedSweep(any_store, tiny)
    led.trains("sgd", 0, 2.0)
    led.trains("sgd", 1, 1.9)
    led.begins("adam", 0, beta1=0.9)
    return led


@pytest.fixture
def n_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many trials each reading has read."""
    found: list[int] = []
    read = frames.trials_by_id

    def counted(*arguments: Any) -> pd.DataFrame:
        frame = read(*arguments)
        found.append(len(frame))
        return frame

    monkeypatch.setattr(frames, "trials_by_id", counted)
    return found


def sql(sweep: LedSweep, statement: str) -> None:
    with sweep.store.engine.begin() as connection:
        connection.execute(sa.text(statement))


def nothing(_: LedSweep) -> None:
    pass


def ended(sweep: LedSweep) -> None:
    sweep.ends(sweep.begins("adam", 1), TrialState.FAILED, error="no luck")


def with_new_settings(sweep: LedSweep) -> None:
    sweep.begins("rmsprop", 0, decay=0.9, schedule="cosine")
    sweep.begins("rmsprop", 1, decay=0.99, schedule="constant")


def all_ended(sweep: LedSweep) -> None:
    sweep.ends(sweep.begins("sgd", 2), TrialState.DIVERGED)
    sql(sweep, "UPDATE trials SET state = 'complete', val_loss = 1.5 WHERE state = 'running'")


@pytest.mark.parametrize("change", [nothing, ended, with_new_settings, all_ended])
def test_what_has_changed_is_read_and_the_rest_is_known(
    sweep: LedSweep, n_read: list[int], change: Callable[[LedSweep], None]
) -> None:
    followed = FollowedTrials(sweep.store, sweep.name)
    followed.read(counts.stamps(sweep.store)[sweep.name])
    change(sweep)
    del n_read[:]
    found = followed.read(counts.stamps(sweep.store)[sweep.name])
    assert n_read[0] <= len(found) - 2, "the two that had ended were known"
    pd.testing.assert_frame_equal(found, frames.trials(sweep.store, sweep.name))
    change(sweep) if change is nothing else None
    pd.testing.assert_frame_equal(followed.read(counts.stamps(sweep.store)[sweep.name]), found)


def test_finals_whose_setting_is_no_longer_chosen_are_seen(sweep: LedSweep) -> None:
    sql(sweep, "UPDATE trials SET phase = 'final', origin = 'final' WHERE number = 1")
    followed = FollowedTrials(sweep.store, sweep.name)
    followed.read(counts.stamps(sweep.store)[sweep.name])
    sql(sweep, "UPDATE trials SET origin = 'superseded' WHERE number = 1")
    found = followed.read(counts.stamps(sweep.store)[sweep.name])
    assert list(found["origin"]) == ["default", "superseded", "default"]


@pytest.mark.parametrize("column", ["lease_token", "id"])
def test_after_another_coordinator_or_in_another_sweep_all_is_read(
    sweep: LedSweep, n_read: list[int], column: str
) -> None:
    followed = FollowedTrials(sweep.store, sweep.name)
    followed.read(counts.stamps(sweep.store)[sweep.name])
    del n_read[:]
    if column == "id":
        sweep.leaves()
        sweep.store.delete_sweep(sweep.name)
        LedSweep(sweep.store, sweep.experiment).trains("adam", 0, 1.0)
    else:
        sql(sweep, "UPDATE sweeps SET lease_token = lease_token + 1")
    found = followed.read(counts.stamps(sweep.store)[sweep.name])
    assert n_read == [len(found)]
    pd.testing.assert_frame_equal(found, frames.trials(sweep.store, sweep.name))


@pytest.mark.parametrize("change", [nothing, ended, with_new_settings])
def test_epochs_are_followed_as_their_trials_are(sweep: LedSweep, change: Callable[[LedSweep], None]) -> None:
    followed = FollowedTrials(sweep.store, sweep.name)
    key = sweep.begins("adam", 5)
    for step in range(3):
        stamp = counts.stamps(sweep.store)[sweep.name]
        followed.read(stamp)
        found = followed.epochs.read(stamp, followed.since)
        pd.testing.assert_frame_equal(found, frames.epochs(sweep.store, sweep.name))
        sweep.reports(key, step + 1, 1.7)
        change(sweep) if step == 0 else None


def test_epochs_that_are_read_late_are_all_there(sweep: LedSweep) -> None:
    followed = FollowedTrials(sweep.store, sweep.name)
    stamp = counts.stamps(sweep.store)[sweep.name]
    followed.read(stamp)
    since = followed.since
    followed.epochs.read(stamp, since)
    sweep.trains("sgd", 2, 1.8)
    later = counts.stamps(sweep.store)[sweep.name]
    followed.read(later)
    known = followed.since
    sweep.trains("sgd", 3, 1.7)
    found = followed.epochs.read(later, known)
    pd.testing.assert_frame_equal(found, frames.epochs(sweep.store, sweep.name))
    followed.read(counts.stamps(sweep.store)[sweep.name])
    again = followed.epochs.read(counts.stamps(sweep.store)[sweep.name], followed.since)
    pd.testing.assert_frame_equal(again, frames.epochs(sweep.store, sweep.name))
