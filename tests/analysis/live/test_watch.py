"""One look at the store for all pages: what is news, what is kept, and what is done anew."""

import contextlib
from collections.abc import Iterator

import pandas as pd
import pytest
import sqlalchemy as sa
from allowed import Free
from conftest import MakeExperiment
from led import LedSweep

from sweeper.analysis.live import Watch
from sweeper.analysis.live import watch as module
from sweeper.analysis.report import numbers
from sweeper.errors import NotFoundError
from sweeper.experiment import Experiment
from sweeper.records import SweepInfo, SweepState
from sweeper.store import Store, counts


@pytest.fixture
def spending() -> Free:
    return Free()


@pytest.fixture
def sweep(store: Store, tiny: Experiment) -> LedSweep:
    led = LedSweep(store, tiny)
    led.trains("sgd", 0, 2.0)
    led.trains("sgd", 1, 1.9)
    return led


@pytest.fixture
def watch(store: Store, spending: Free) -> Iterator[Watch]:
    with contextlib.closing(Watch(store.url, spending)) as made:
        yield made


def test_there_is_news_when_something_was_written_and_else_none(watch: Watch, sweep: LedSweep) -> None:
    before, of_all = watch.news("tiny"), watch.news()
    assert (watch.news("tiny"), watch.news()) == (before, of_all)
    sweep.begins("adam", 0)
    assert watch.news("tiny") != before
    assert watch.news() != of_all
    assert len(watch.sweep("tiny").trials) == 3


def test_beyond_the_budget_there_is_no_news(watch: Watch, sweep: LedSweep, spending: Free) -> None:
    before = watch.news("tiny")
    spending.news.is_allowed = False  # type: ignore[attr-defined]
    sweep.begins("adam", 0)
    assert watch.news("tiny") == before
    assert len(watch.sweep("tiny").trials) == 2
    spending.news.is_allowed = True  # type: ignore[attr-defined]
    assert watch.news("tiny") != before


def test_statistics_are_done_anew_when_a_trial_was_planned_or_ended_and_else_kept(
    watch: Watch, sweep: LedSweep
) -> None:
    first = watch.sweep("tiny")
    key = sweep.begins("adam", 0)
    watch.news("tiny")
    begun = watch.sweep("tiny")
    assert begun.edition != first.edition
    sweep.reports(key, 1, 1.8)
    watch.news("tiny")
    reported = watch.sweep("tiny")
    assert (reported.edition, reported.numbers) == (begun.edition, begun.numbers)
    assert reported.news != begun.news
    assert reported.trials.iloc[-1]["epochs"] == 1
    sweep.ends(key)
    watch.news("tiny")
    assert watch.sweep("tiny").numbers is not begun.numbers


def test_a_sweep_that_is_over_has_its_last_statistics_whatever_is_allowed(
    watch: Watch, sweep: LedSweep, spending: Free
) -> None:
    watch.news("tiny")
    spending.statistics.is_allowed = False  # type: ignore[attr-defined]
    sweep.trains("adam", 0, 1.5)
    sweep.is_over()
    watch.news("tiny")
    numbers = watch.sweep("tiny").numbers
    assert len(numbers.results.trials) == 3, "of a sweep that is over no later news would bring them"


def test_they_are_done_anew_after_half_a_minute_and_when_the_state_changes(
    watch: Watch, sweep: LedSweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = sweep.begins("adam", 0)
    before = watch.sweep("tiny").edition
    now = module.time.monotonic()
    monkeypatch.setattr(module.time, "monotonic", lambda: now + module.RENEWED_S + 1)
    sweep.reports(key, 1, 1.8)
    watch.news("tiny")
    after = watch.sweep("tiny").edition
    assert after != before
    sweep.is_over()
    watch.news("tiny")
    assert watch.sweep("tiny").edition != after
    assert watch.sweep("tiny").overview.info.state is SweepState.COMPLETE


def test_statistics_may_have_to_wait_while_trials_are_shown(
    watch: Watch, sweep: LedSweep, spending: Free
) -> None:
    before = watch.sweep("tiny")
    spending.statistics.is_allowed = False  # type: ignore[attr-defined]
    sweep.trains("adam", 0, 1.5)
    watch.news("tiny")
    found = watch.sweep("tiny")
    assert found.edition == before.edition
    assert len(found.trials) == 3


def test_what_is_resampled_is_kept_while_the_scores_are_the_same(store: Store, tiny: Experiment) -> None:
    sweep = LedSweep(store, tiny)
    for arm in tiny.arms:
        for number in range(3):
            sweep.trains(arm.name, number, 1.5 + 0.1 * number)
    with contextlib.closing(Watch(store.url, Free())) as watch:
        before = watch.sweep("tiny").numbers
        assert before.independent.reason is None
        resampled = before.resampled
        sweep.is_over()
        watch.news("tiny")
        assert watch.sweep("tiny").numbers is not before
        assert watch.sweep("tiny").numbers.resampled is resampled


def test_an_optimizers_importances_are_kept_while_its_scores_are_the_same(
    store: Store, make_experiment: MakeExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    compute = numbers.importances

    def counted(trials: pd.DataFrame, experiment: Experiment, optimizer: str) -> dict[str, float]:
        asked.append(optimizer)
        return compute(trials, experiment, optimizer)

    monkeypatch.setattr(numbers, "importances", counted)
    sweep = LedSweep(store, make_experiment("budget.trials_per_optimizer=20"))
    for number in range(12):
        sweep.trains("sgd", number, 1.5 + 0.01 * number, lr=0.1 / (1 + number), batch_size=32 << number % 2)
    with contextlib.closing(Watch(store.url, Free())) as watch:
        before = watch.sweep("tiny").numbers.importances
        assert before["sgd"].keys() == {"lr", "batch_size"}
        del asked[:]
        sweep.trains("adam", 0, 1.4)
        sweep.trains("adam", 1, 1.3)
        watch.news("tiny")
        after = watch.sweep("tiny").numbers.importances
        assert after["sgd"] == before["sgd"]
        assert asked == ["adam"]


def test_a_sweep_that_is_not_there_is_not_found(watch: Watch, sweep: LedSweep) -> None:
    for look in (watch.news, watch.sweep):
        with pytest.raises(NotFoundError, match="no sweep is called 'absent'"):
            look("absent")


def test_a_lease_that_ends_is_news_without_any_write(watch: Watch, sweep: LedSweep, store: Store) -> None:
    key = sweep.begins("adam", 0)
    sweep.reports(key, 1, 1.8)
    before, of_all, edition = watch.news("tiny"), watch.news(), watch.sweep("tiny").edition
    version = counts.stamps(store)["tiny"].version
    with store.engine.begin() as connection:
        connection.execute(sa.text("UPDATE sweeps SET lease_expires = lease_expires - 200"))
    assert watch.news("tiny") != before
    assert watch.news() != of_all
    found = watch.sweep("tiny")
    assert (found.overview.info.state, found.overview.workers) == (SweepState.INTERRUPTED, 0)
    assert found.edition != edition
    assert counts.stamps(store)["tiny"].version == version
    with store.engine.begin() as connection:
        connection.execute(sa.text("UPDATE sweeps SET lease_expires = lease_expires + 200"))
    assert watch.news("tiny") == before
    assert watch.sweep("tiny").overview.is_running


def test_a_sweep_that_ends_while_it_is_read_is_not_over_before_its_trials_are_read(
    watch: Watch, sweep: LedSweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = sweep.begins("adam", 0)
    read = Store.sweep

    def late(store: Store, name: str) -> SweepInfo:
        monkeypatch.setattr(Store, "sweep", read)
        sweep.ends(key)
        sweep.is_over()
        return read(store, name)

    monkeypatch.setattr(Store, "sweep", late)
    followed = watch.sweep("tiny")
    assert list(followed.trials["state"]) == ["complete", "complete", "running"]
    assert not followed.overview.is_over
    watch.news("tiny")
    assert watch.sweep("tiny").overview.is_over
    assert set(watch.sweep("tiny").trials["state"]) == {"complete"}


def test_the_frame_is_the_stores(watch: Watch, sweep: LedSweep, store: Store) -> None:
    from sweeper.analysis import frames

    sweep.trains("adam", 0, 1.5)
    pd.testing.assert_frame_equal(watch.sweep("tiny").trials, frames.trials(store, "tiny"))
