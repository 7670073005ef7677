"""One look at the store for all pages: what is news, what is kept, and what is done anew."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy as sa
from led import LedSweep

from sweeper.analysis.live import Watch
from sweeper.analysis.live import watch as module
from sweeper.analysis.live.budget import Spending
from sweeper.errors import NotFoundError, StoreAwayError, StoreError
from sweeper.experiment import Experiment
from sweeper.records import SweepInfo, SweepState
from sweeper.store import Store, counts
from sweeper.store.failures import translated


class Allowance:
    """What is allowed, as a test says."""

    is_allowed = True

    def allows(self) -> bool:
        return self.is_allowed


class Free(Spending):
    """Spending without bounds, until a test sets some."""

    def __init__(self) -> None:
        super().__init__()
        self.news = Allowance()  # type: ignore[assignment]
        self.statistics = Allowance()  # type: ignore[assignment]


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


def file_of(store: Store) -> Path:
    return Path(store.url.removeprefix("sqlite:///"))


def test_a_store_that_is_not_there_yet_is_empty_until_it_appears(tmp_path: Path, tiny: Experiment) -> None:
    url = f"sqlite:///{tmp_path / 'later.db'}"
    with contextlib.closing(Watch(url)) as watch:
        assert watch.sweeps() == []
        assert list(tmp_path.iterdir()) == []
        with contextlib.closing(Store.open(url, create=True)) as store:
            LedSweep(store, tiny)
            assert [one.info.name for one in watch.sweeps()] == ["tiny"]


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


def test_a_deleted_file_is_said_so_and_found_again(watch: Watch, sweep: LedSweep, store: Store) -> None:
    before = watch.news("tiny")
    file = file_of(store)
    elsewhere = file.rename(file.with_name("away.db"))
    for look in (watch.news, watch.sweeps):
        with pytest.raises(StoreAwayError, match=r"store sqlite:///.*store\.db: its file is not there"):
            look()
    assert len(watch.sweep("tiny").trials) == 2, "what is known is still known"
    elsewhere.rename(file)
    assert watch.news("tiny") == before
    sweep.begins("adam", 0)
    assert watch.news("tiny") != before
    assert len(watch.sweep("tiny").trials) == 3


def test_another_file_in_its_place_is_read_anew(
    watch: Watch, sweep: LedSweep, store: Store, tiny: Experiment, tmp_path: Path
) -> None:
    watch.news("tiny")
    with contextlib.closing(Store.open(f"sqlite:///{tmp_path / 'other.db'}", create=True)) as other:
        LedSweep(other, tiny, "other").is_over()
    (tmp_path / "other.db").replace(file_of(store))
    for log in tmp_path.glob("store.db-*"):
        log.unlink()
    assert [one.info.name for one in watch.sweeps()] == ["other"]
    with pytest.raises(NotFoundError):
        watch.news("tiny")


def test_what_is_known_is_given_while_another_page_waits_for_the_store(
    watch: Watch, sweep: LedSweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = watch.sweep("tiny")
    monkeypatch.setattr(module, "PATIENCE_S", 0.01)
    waits, ends = threading.Event(), threading.Event()

    def never_answers(*_: object) -> dict[str, counts.Stamp]:
        waits.set()
        ends.wait(10)
        return {}

    monkeypatch.setattr(module.counts, "stamps", never_answers)
    other = threading.Thread(target=watch.sweeps)
    other.start()
    try:
        assert waits.wait(10)
        assert watch.sweep("tiny") is known
        with pytest.raises(StoreAwayError, match="it has not answered yet"):
            watch.news("tiny")
    finally:
        ends.set()
        other.join()


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


def test_a_running_sweeps_file_is_not_written(sweep: LedSweep, store: Store) -> None:
    place = file_of(store).parent
    names = ("store.db", "store.db-wal")
    before = {name: (place / name).read_bytes() for name in names}
    with contextlib.closing(Watch(store.url)) as watch:
        watch.sweeps()
        watch.sweep("tiny").numbers.ledger  # noqa: B018 - reads epochs and attempts
        opened = watch._opened()
        with pytest.raises(StoreError), translated(opened.engine.url), opened.engine.begin() as connection:
            connection.execute(sa.text("DELETE FROM sweeps"))
    assert {name: (place / name).read_bytes() for name in names} == before


def test_following_writes_nothing(sweep: LedSweep, store: Store) -> None:
    sweep.is_over()
    store.close()
    file = file_of(store)
    before = {path.name: path.read_bytes() for path in file.parent.iterdir()}
    with contextlib.closing(Watch(store.url)) as watch:
        watch.sweeps()
        watch.sweep("tiny").numbers.ledger  # noqa: B018 - reads epochs and attempts
    assert {path.name: path.read_bytes() for path in file.parent.iterdir()} == before


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
