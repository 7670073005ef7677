"""What the store tells a coordinator that goes on: seconds spent, curves, and which finals count."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from sweeper.records import (
    EpochRecord,
    FinalScore,
    Origin,
    Phase,
    Trial,
    TrialKey,
    TrialState,
    WorkerInfo,
)
from sweeper.store import (
    AttemptEnded,
    AttemptStarted,
    Committer,
    EpochsRecorded,
    FinalsChosen,
    Store,
    TrialFinished,
    TrialPlanned,
    Write,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
WORKER = WorkerInfo("1/0", "host", "cpu")

MakeTrial = Callable[..., Trial]
MakeRecord = Callable[..., EpochRecord]


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


@pytest.fixture
def committer(store: Store) -> Committer:
    return store.create_sweep("s", {}, "", {}, 30)


def attempt(trial: Trial, number: int, began: float, ended: float | None) -> list[Write]:
    writes: list[Write] = [AttemptStarted(trial.key, number, WORKER, at(began))]
    if ended is not None:
        writes.append(AttemptEnded(trial.key, number, "interrupted", False, at(ended)))
    return writes


def test_seconds_in_which_attempts_overlap_count_once_and_gaps_do_not(
    store: Store, committer: Committer, make_trial: MakeTrial
) -> None:
    assert store.spent_s("s") == 0
    trials = [make_trial("sgd", number) for number in range(3)]
    committer.commit([TrialPlanned(trial, NOW) for trial in trials])
    committer.commit(
        attempt(trials[0], 1, 0, 10) + attempt(trials[1], 1, 5, 15) + attempt(trials[2], 1, 7, 8)
    )
    assert store.spent_s("s") == 15
    committer.commit(attempt(trials[0], 2, 1_000, 1_004))
    assert store.spent_s("s") == 19


def test_an_attempt_whose_coordinator_died_counts_up_to_its_last_record(
    store: Store, committer: Committer, make_trial: MakeTrial, make_record: MakeRecord
) -> None:
    from dataclasses import replace

    trial = make_trial("sgd", 0)
    record = replace(make_record(1), recorded_at=at(6))
    recorded = EpochsRecorded(trial.key, 1, (record,), 0.1, 0.1, 0.1)
    committer.commit([TrialPlanned(trial, NOW), *attempt(trial, 1, 2, None), recorded])
    assert store.spent_s("s") == 4
    committer.commit(attempt(trial, 2, 5_000, 5_010))  # closes the first, at its own start
    assert store.spent_s("s") == 14


def test_curves_have_every_evaluated_epoch_of_search_trials(
    store: Store, committer: Committer, make_trial: MakeTrial, make_record: MakeRecord
) -> None:
    trial = make_trial("sgd", 4)
    records = (make_record(1, val_loss=2.0), make_record(2, val_loss=None), make_record(3, val_loss=1.0))
    again = (make_record(1, val_loss=1.9),)
    committer.commit([TrialPlanned(trial, NOW), *attempt(trial, 1, 0, None)])
    committer.commit([EpochsRecorded(trial.key, 1, records, 0, 0, 0)])
    committer.commit([*attempt(trial, 2, 9, None), EpochsRecorded(trial.key, 2, again, 0, 0, 0)])
    curve = store.curves("s", "val_loss")[trial.key]
    assert curve == {1: 1.9, 3: 1.0}
    assert list(curve) == [1, 3]


def final(trial: Trial, number: int, setting: int) -> Trial:
    key = TrialKey(trial.key.optimizer, Phase.FINAL, number)
    return Trial(key, number, trial.params, {}, Origin.FINAL, False, setting)


def origins(store: Store) -> dict[int, tuple[Origin, TrialState]]:
    return {trial.key.number: (trial.trial.origin, trial.state) for trial in store.trials("s")}


def test_finals_of_settings_that_are_no_longer_chosen_are_superseded_and_may_count_again(
    store: Store, committer: Committer, make_trial: MakeTrial
) -> None:
    finals = [final(make_trial("sgd"), number, setting) for number, setting in enumerate((0, 3, 3))]
    committer.commit([TrialPlanned(trial, NOW) for trial in finals])
    for trial in finals[:2]:
        committer.commit(attempt(trial, 1, 0, None))
        score = FinalScore(1.5, 0.25)
        committer.commit([TrialFinished(trial.key, 1, TrialState.COMPLETE, at(9), test=score)])
    done, queued = TrialState.COMPLETE, TrialState.QUEUED
    committer.commit([FinalsChosen({"sgd": frozenset({0, 3})}, at(10))])
    counting = {0: (Origin.FINAL, done), 1: (Origin.FINAL, done), 2: (Origin.FINAL, queued)}
    assert origins(store) == counting
    committer.commit([FinalsChosen({"sgd": frozenset({0, 7})}, at(11))])
    given_up = (Origin.SUPERSEDED, TrialState.FAILED)
    assert origins(store) == {0: (Origin.FINAL, done), 1: (Origin.SUPERSEDED, done), 2: given_up}
    committer.commit([FinalsChosen({"sgd": frozenset({3})}, at(12))])
    assert origins(store) == {0: (Origin.SUPERSEDED, done), 1: (Origin.FINAL, done), 2: given_up}


def test_a_finals_score_is_stored_and_one_that_is_not_finite_is_null(
    store: Store, committer: Committer, make_trial: MakeTrial
) -> None:
    from sweeper.analysis import frames

    for number, score in enumerate((FinalScore(1.5, 0.25), FinalScore(float("nan"), 0.1))):
        trial = final(make_trial("sgd"), number, 3)
        committer.commit([TrialPlanned(trial, NOW), *attempt(trial, 1, 0, None)])
        committer.commit([TrialFinished(trial.key, 1, TrialState.COMPLETE, at(1), test=score)])
    frame = frames.trials(store, "s")
    assert frame["test_loss"].isna().tolist() == [False, True]
    assert frame.loc[0, "test_loss"] == 1.5
    assert frame["test_accuracy"].tolist() == [0.25, 0.1]
