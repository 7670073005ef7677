"""Trials that are followed are the trials that there are, whatever happened to the sweep meanwhile."""

import contextlib
import itertools
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa
from led import LedSweep

from sweeper.analysis import frames
from sweeper.analysis.live import followed as module
from sweeper.analysis.live.followed import FollowedTrials
from sweeper.experiment import Experiment
from sweeper.records import FinalScore, Origin, Phase, Trial, TrialKey, TrialState, WorkerInfo
from sweeper.store import (
    AttemptEnded,
    AttemptStarted,
    FinalsChosen,
    Store,
    TrialFinished,
    TrialPlanned,
    counts,
)

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
WORKER = WorkerInfo("1/0", "here", "cpu")

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


def with_truths(sweep: LedSweep) -> None:
    sweep.begins("radam", 0, decoupled=True)
    sweep.begins("radam", 1, decoupled=False)


def all_ended(sweep: LedSweep) -> None:
    sweep.ends(sweep.begins("sgd", 2), TrialState.DIVERGED)
    sql(sweep, "UPDATE trials SET state = 'complete', val_loss = 1.5 WHERE state = 'running'")


@pytest.mark.parametrize("change", [nothing, ended, with_new_settings, with_truths, all_ended])
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


def final(number: int, setting: int) -> Trial:
    key = TrialKey("sgd", Phase.FINAL, number)
    return Trial(key, number, {"lr": 0.01 * setting}, {}, Origin.FINAL, False, setting)


def finals_of(sweep: LedSweep, *settings: int) -> None:
    """Two finals of each setting, of which the first ends."""
    for place, setting in enumerate(settings):
        first, second = final(2 * place, setting), final(2 * place + 1, setting)
        sweep.writes(*(TrialPlanned(each, AT) for each in (first, second)))
        sweep.writes(*(AttemptStarted(each.key, 1, WORKER, AT) for each in (first, second)))
        sweep.writes(
            TrialFinished(first.key, 1, TrialState.COMPLETE, AT, test=FinalScore(1.0 + setting, 0.5))
        )


def chosen(sweep: LedSweep, *settings: int) -> None:
    sweep.writes(FinalsChosen({"sgd": frozenset(settings)}, AT))


def test_new_finals_are_read_and_nothing_that_has_ended(sweep: LedSweep, n_read: list[int]) -> None:
    followed = FollowedTrials(sweep.store, sweep.name)
    followed.read(counts.stamps(sweep.store)[sweep.name])
    finals_of(sweep, 1, 2)
    del n_read[:]
    found = followed.read(counts.stamps(sweep.store)[sweep.name])
    assert n_read == [5], "four finals and adam/0"
    pd.testing.assert_frame_equal(found, frames.trials(sweep.store, sweep.name))
    assert found["test_loss"].tolist()[3::2] == [2.0, 3.0]


@pytest.mark.parametrize("choices", [[(1,)], [(1,), (2,)], [(1,), (1, 2)], [(), (1, 2)], [(2,), (), (2,)]])
def test_finals_are_followed_whatever_is_chosen_and_chosen_again(
    sweep: LedSweep, choices: list[tuple[int, ...]]
) -> None:
    finals_of(sweep, 1, 2)
    followed = FollowedTrials(sweep.store, sweep.name)
    followed.read(counts.stamps(sweep.store)[sweep.name])
    for settings in choices:
        chosen(sweep, *settings)
        found = followed.read(counts.stamps(sweep.store)[sweep.name])
        pd.testing.assert_frame_equal(found, frames.trials(sweep.store, sweep.name))


def test_a_trial_that_is_begun_again_is_followed(sweep: LedSweep, n_read: list[int]) -> None:
    key = TrialKey("adam", Phase.SEARCH, 0)
    followed = FollowedTrials(sweep.store, sweep.name)
    sweep.reports(key, 1, 2.2)
    followed.read(counts.stamps(sweep.store)[sweep.name])
    for write in (
        AttemptEnded(key, 1, "its process died", True, AT),
        AttemptStarted(key, 2, WorkerInfo("1/7", "there", "gpu"), AT),
    ):
        sweep.writes(write)
        del n_read[:]
        found = followed.read(counts.stamps(sweep.store)[sweep.name])
        assert n_read == [1]
        pd.testing.assert_frame_equal(found, frames.trials(sweep.store, sweep.name))


@pytest.mark.parametrize("seed", range(2))
def test_a_long_life_is_followed_step_by_step(store: Store, tiny: Experiment, seed: int) -> None:
    """Trials of four optimizers with settings of every kind begin, report and end in an order by chance."""
    chance = random.Random(seed)
    sweep, running, numbers = LedSweep(store, tiny), list[TrialKey](), itertools.count()
    followed = FollowedTrials(store, sweep.name)
    settings: list[dict[str, float | str]] = [
        {},
        {"beta1": 0.9, "schedule": "cosine"},
        {"steps": 3, "schedule": "constant"},
        {"nesterov": True, "steps": 4},
    ]
    for _ in range(25):
        step = chance.random()
        if step < 0.4 or not running:
            kind = chance.randrange(4)
            running.append(sweep.begins(f"arm{kind}", next(numbers), **settings[kind]))
        elif step < 0.7:
            sweep.reports(chance.choice(running), chance.randint(1, 2), chance.random())
        else:
            over = running.pop(chance.randrange(len(running)))
            sweep.ends(over, chance.choice([state for state in TrialState if state.is_finished]))
        found = followed.read(counts.stamps(store)[sweep.name])
        pd.testing.assert_frame_equal(found, frames.trials(store, sweep.name))
        epochs = followed.epochs.read(counts.stamps(store)[sweep.name], followed.since)
        pd.testing.assert_frame_equal(epochs, frames.epochs(store, sweep.name))


def test_with_many_trials_under_way_all_are_read(
    sweep: LedSweep, n_read: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_UNSETTLED", 0)
    followed = FollowedTrials(sweep.store, sweep.name)
    for _ in range(2):
        followed.read(counts.stamps(sweep.store)[sweep.name])
    assert n_read == [3, 3]


def test_whoever_is_given_the_frame_may_change_it(sweep: LedSweep) -> None:
    followed = FollowedTrials(sweep.store, sweep.name)
    given = followed.read(counts.stamps(sweep.store)[sweep.name])
    given["state"] = "failed"
    found = followed.read(counts.stamps(sweep.store)[sweep.name])
    pd.testing.assert_frame_equal(found, frames.trials(sweep.store, sweep.name))


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


def test_epochs_of_an_earlier_moment_may_be_asked_for_later(sweep: LedSweep) -> None:
    followed = FollowedTrials(sweep.store, sweep.name)
    moments = []
    for number in (2, 3):
        sweep.reports(sweep.begins("sgd", number), 1, 2.1)
        stamp = counts.stamps(sweep.store)[sweep.name]
        followed.read(stamp)
        moments.append((stamp, followed.since))
    for place, (stamp, since) in enumerate([*reversed(moments), *moments]):
        found = followed.epochs.read(stamp, since)
        pd.testing.assert_frame_equal(found, frames.epochs(sweep.store, sweep.name))
        sweep.reports(TrialKey("sgd", Phase.SEARCH, 2), 2 + place, 1.9)
