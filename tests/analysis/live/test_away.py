"""A store that is not there, silent, or another one than before; and that nothing is written to it."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from allowed import Free
from led import LedSweep

from sweeper.analysis.live import Watch
from sweeper.analysis.live import watch as module
from sweeper.errors import NotFoundError, StoreAwayError, StoreError
from sweeper.experiment import Experiment
from sweeper.store import Store, counts
from sweeper.store.failures import translated


@pytest.fixture
def sweep(store: Store, tiny: Experiment) -> LedSweep:
    led = LedSweep(store, tiny)
    led.trains("sgd", 0, 2.0)
    led.trains("sgd", 1, 1.9)
    return led


@pytest.fixture
def watch(store: Store) -> Iterator[Watch]:
    with contextlib.closing(Watch(store.url, Free())) as made:
        yield made


def file_of(store: Store) -> Path:
    return Path(store.url.removeprefix("sqlite:///"))


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


def test_following_writes_nothing(sweep: LedSweep, store: Store) -> None:
    sweep.is_over()
    store.close()
    file = file_of(store)
    before = {path.name: path.read_bytes() for path in file.parent.iterdir()}
    with contextlib.closing(Watch(store.url)) as watch:
        watch.sweeps()
        watch.sweep("tiny").numbers.ledger  # noqa: B018 - reads epochs and attempts
    assert {path.name: path.read_bytes() for path in file.parent.iterdir()} == before


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


def test_a_store_that_is_not_there_yet_is_empty_until_it_appears(tmp_path: Path, tiny: Experiment) -> None:
    url = f"sqlite:///{tmp_path / 'later.db'}"
    with contextlib.closing(Watch(url)) as watch:
        assert watch.sweeps() == []
        assert list(tmp_path.iterdir()) == []
        with contextlib.closing(Store.open(url, create=True)) as store:
            LedSweep(store, tiny)
            assert [one.info.name for one in watch.sweeps()] == ["tiny"]
