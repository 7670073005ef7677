import contextlib
import itertools
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from sweeper.errors import FencedError, StoreAwayError, SweeperError
from sweeper.records import SweepState, Trial
from sweeper.store import Committer, InlineWriter, Store, TrialPlanned, Write, Writer, WriterThread
from sweeper.store import writer as writer_module
from sweeper.store.lease import Lease
from sweeper.store.schema import sweeps

NOW = datetime(2026, 3, 1, tzinfo=UTC)


class SlowCommitter:
    """Commits when it is let; keeps what each transaction held."""

    def __init__(self, lease_s: float = 30, error: Exception | None = None) -> None:
        self.lease = Lease(1, "s", NOW, 1, lease_s)
        self.batches: list[Sequence[Write]] = []
        self.open = threading.Event()
        self.released = False
        self.error = error

    def commit(self, writes: Sequence[Write]) -> None:
        assert self.open.wait(10)
        if self.error:
            raise self.error
        self.batches.append(list(writes))

    def release(self) -> None:
        self.released = True


@pytest.fixture(params=[InlineWriter, WriterThread])
def writer(request: pytest.FixtureRequest, store: Store) -> Writer:
    made: Writer = request.param(store.create_sweep("s", {}, "", {}, 30))
    return made


def plan(make_trial: Callable[..., Trial], number: int) -> TrialPlanned:
    return TrialPlanned(make_trial("sgd", number), NOW)


def until_acknowledged(writer: Writer, n: int) -> list[Write]:
    done: list[Write] = []
    deadline = time.monotonic() + 10
    while len(done) < n and time.monotonic() < deadline:
        done += writer.acknowledged(0.1)
    return done


def test_writes_are_acknowledged_in_order_once_they_are_stored(
    writer: Writer, store: Store, make_trial: Callable[..., Trial]
) -> None:
    writes = [plan(make_trial, number) for number in range(20)]
    for write in writes:
        writer.put(write)
    assert until_acknowledged(writer, 20) == writes
    assert len(store.trials("s")) == 20
    writer.close()


def test_closing_commits_the_rest_and_gives_up_the_lease(
    writer: Writer, store: Store, make_trial: Callable[..., Trial]
) -> None:
    for number in range(20):
        writer.put(plan(make_trial, number))
    writer.close()
    assert len(store.trials("s")) == 20
    assert store.sweep("s").state is SweepState.INTERRUPTED


def test_what_gathers_during_a_commit_is_the_next_transaction(make_trial: Callable[..., Trial]) -> None:
    committer = SlowCommitter()
    writer = WriterThread(committer)  # type: ignore[arg-type]
    writer.put(plan(make_trial, 0))
    time.sleep(0.1)  # the thread has taken the first write and waits in its commit
    for number in range(1, 10):
        writer.put(plan(make_trial, number))
    committer.open.set()
    writer.close()
    assert [len(batch) for batch in committer.batches] == [1, 9]


def test_what_is_put_while_gathering_is_one_transaction(make_trial: Callable[..., Trial]) -> None:
    committer = SlowCommitter()
    committer.open.set()
    writer = WriterThread(committer)  # type: ignore[arg-type]
    with writer.gathering():
        for number in range(3):
            writer.put(plan(make_trial, number))
            assert writer.acknowledged(0.05) == []
    until_acknowledged(writer, 3)
    writer.put(plan(make_trial, 3))
    writer.close()
    assert [len(batch) for batch in committer.batches] == [3, 1]


def test_what_was_put_before_is_committed_while_the_next_writes_gather(
    make_trial: Callable[..., Trial],
) -> None:
    committer = SlowCommitter()
    writer = WriterThread(committer)  # type: ignore[arg-type]
    writer.put(plan(make_trial, 0))
    time.sleep(0.1)  # the thread has taken the first write and waits in its commit
    with writer.gathering():
        writer.put(plan(make_trial, 1))
    with writer.gathering():
        writer.put(plan(make_trial, 2))
        committer.open.set()
        assert len(until_acknowledged(writer, 2)) == 2
        assert writer.acknowledged(0.1) == []
    writer.close()
    assert [len(batch) for batch in committer.batches] == [1, 1, 1]


def test_a_full_queue_is_committed_while_gathering(make_trial: Callable[..., Trial]) -> None:
    committer = SlowCommitter()
    committer.open.set()
    writer = WriterThread(committer, queue_limit=2)  # type: ignore[arg-type]
    with writer.gathering():
        for number in range(5):
            writer.put(plan(make_trial, number))
    assert len(until_acknowledged(writer, 5)) == 5
    writer.close()


def test_what_gathered_is_committed_though_its_context_ends_with_an_error(
    make_trial: Callable[..., Trial],
) -> None:
    committer = SlowCommitter()
    committer.open.set()
    writer = WriterThread(committer)  # type: ignore[arg-type]
    with contextlib.suppress(KeyError), writer.gathering():
        writer.put(plan(make_trial, 0))
        raise KeyError
    assert len(until_acknowledged(writer, 1)) == 1
    writer.close()


def test_nothing_is_acknowledged_before_its_commit(make_trial: Callable[..., Trial]) -> None:
    committer = SlowCommitter()
    writer = WriterThread(committer)  # type: ignore[arg-type]
    writer.put(plan(make_trial, 0))
    assert writer.acknowledged(0.2) == []
    committer.open.set()
    assert len(until_acknowledged(writer, 1)) == 1
    writer.close()


def test_a_full_queue_makes_the_coordinator_wait(make_trial: Callable[..., Trial]) -> None:
    committer = SlowCommitter()
    writer = WriterThread(committer, queue_limit=2)  # type: ignore[arg-type]
    writer.put(plan(make_trial, 0))
    writer.put(plan(make_trial, 1))
    third = threading.Thread(target=writer.put, args=[plan(make_trial, 2)])
    third.start()
    third.join(0.2)
    assert third.is_alive()
    committer.open.set()
    third.join(10)
    assert not third.is_alive()
    writer.close()


def test_an_error_of_the_database_reaches_the_coordinator(make_trial: Callable[..., Trial]) -> None:
    committer = SlowCommitter(error=FencedError("replaced"))
    committer.open.set()
    writer = WriterThread(committer)  # type: ignore[arg-type]
    writer.put(plan(make_trial, 0))
    with pytest.raises(FencedError):
        writer.acknowledged(10)
    with pytest.raises(FencedError):
        writer.put(plan(make_trial, 1))
    with pytest.raises(FencedError):
        writer.close()
    assert not committer.released


def test_a_bug_in_the_writer_does_not_leave_the_coordinator_waiting(
    make_trial: Callable[..., Trial],
) -> None:
    committer = SlowCommitter(error=ZeroDivisionError("bug"))
    committer.open.set()
    writer = WriterThread(committer)  # type: ignore[arg-type]
    writer.put(plan(make_trial, 0))
    with pytest.raises(SweeperError, match="ZeroDivisionError: bug"):
        writer.acknowledged(10)


def test_an_idle_writer_prolongs_its_lease(store: Store) -> None:
    committer: Committer = store.create_sweep("s", {}, "", {}, lease_s=0.6)

    def expires() -> float:
        with store.engine.connect() as connection:
            return float(connection.execute(sa.select(sweeps.c.lease_expires)).scalar_one())

    writer = WriterThread(committer)
    before = expires()
    deadline = time.monotonic() + 10
    while expires() < before + 0.3 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert expires() > before
    assert store.sweep("s").state is SweepState.RUNNING
    writer.close()


@contextmanager
def locked(store: Store) -> Iterator[None]:
    """While somebody else has the sweep's row locked: the whole file on SQLite."""
    engine = sa.create_engine(store.engine.url)
    with engine.connect() as connection:
        connection.execute(sa.update(sweeps).values(version=sweeps.c.version))
        yield
        connection.rollback()
    engine.dispose()


def test_a_database_that_is_away_past_the_lease_loses_nothing(
    store: Store, make_trial: Callable[..., Trial], caplog: pytest.LogCaptureFixture
) -> None:
    writer = WriterThread(store.create_sweep("s", {}, "", {}, lease_s=0.3))
    writes = [plan(make_trial, number) for number in range(5)]
    with locked(store):
        for write in writes:
            writer.put(write)
        assert writer.acknowledged(1.0) == []
    assert until_acknowledged(writer, 5) == writes
    writer.close()
    assert [stored.key.number for stored in store.trials("s")] == [0, 1, 2, 3, 4]
    told, back = caplog.messages
    assert re.search(r"(database is locked|due to lock timeout); trying again, nothing is lost", told)
    assert re.fullmatch(r"the store is back after \d+ s; nothing was lost", back)


def test_a_database_that_stays_away_ends_a_closing_writer_after_one_lease(
    store: Store, make_trial: Callable[..., Trial]
) -> None:
    writer = WriterThread(store.create_sweep("s", {}, "", {}, lease_s=0.5))
    with locked(store):
        writer.put(plan(make_trial, 0))
        began = time.monotonic()
        with pytest.raises(StoreAwayError, match=r"database is locked|lock timeout"):
            writer.close()
        assert 0.5 < time.monotonic() - began < 5


def test_a_database_that_never_answers_does_not_keep_a_closing_writer(
    make_trial: Callable[..., Trial], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "SILENCE_S", 0.1)
    committer = SlowCommitter(lease_s=0.1)
    writer = WriterThread(committer)  # type: ignore[arg-type]
    writer.put(plan(make_trial, 0))
    with pytest.raises(StoreAwayError, match="does not answer; 1 reports were not written"):
        writer.close()
    committer.open.set()


class AwayCommitter(SlowCommitter):
    """Fails as a database does that is away; keeps when it was tried."""

    def __init__(self, n_failures: int, lease_s: float = 30) -> None:
        super().__init__(lease_s)
        self.n_failures = n_failures
        self.tried: list[float] = []

    def commit(self, writes: Sequence[Write]) -> None:
        self.tried.append(time.monotonic())
        if len(self.tried) <= self.n_failures:
            raise StoreAwayError("away")


def test_a_database_that_is_away_is_tried_ever_more_rarely(make_trial: Callable[..., Trial]) -> None:
    committer = AwayCommitter(n_failures=3)
    writer = WriterThread(committer)  # type: ignore[arg-type]
    for number in range(30):  # what is put meanwhile is no reason to try at once
        writer.put(plan(make_trial, number))
        time.sleep(0.02)
    assert len(until_acknowledged(writer, 30)) == 30
    pauses = [later - earlier for earlier, later in itertools.pairwise(committer.tried[:4])]
    for pause, wanted in zip(pauses, (0.1, 0.2, 0.4), strict=True):
        assert 0.75 * wanted <= pause < wanted + 1
    writer.close()


def test_closing_wakes_a_writer_that_waits_for_its_database(
    make_trial: Callable[..., Trial], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "FIRST_RETRY_S", 60.0)
    committer = AwayCommitter(n_failures=1)
    writer = WriterThread(committer)  # type: ignore[arg-type]
    writer.put(plan(make_trial, 0))
    while not committer.tried:
        time.sleep(0.01)
    began = time.monotonic()
    writer.close()
    assert time.monotonic() - began < 5
    assert committer.released


def test_a_full_queue_has_no_room_until_something_is_committed(make_trial: Callable[..., Trial]) -> None:
    committer = SlowCommitter()
    writer = WriterThread(committer, queue_limit=4)  # type: ignore[arg-type]
    writer.put(plan(make_trial, 0))
    assert writer.has_room
    writer.put(plan(make_trial, 1))
    assert not writer.has_room
    committer.open.set()
    until_acknowledged(writer, 2)
    assert writer.has_room
    writer.close()
