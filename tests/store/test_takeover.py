"""Takeovers as they happen: processes that freeze, servers that go away, and who may write afterwards."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import psutil
import pytest

from sweeper.crashpoints import Point
from sweeper.errors import FencedError, LeaseHeldError, StoreAwayError
from sweeper.records import SweepState, Trial
from sweeper.store import Committer, Store, TrialPlanned, WriterThread

if TYPE_CHECKING:
    from postgres_server import PostgresServer

NOW = datetime(2026, 3, 1, tzinfo=UTC)
LEASE_S = 1.0
MakeTrial = Callable[..., Trial]

only_sqlite = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
only_postgresql = pytest.mark.parametrize(
    "store_url", [pytest.param("postgresql", marks=pytest.mark.postgres)], indirect=True
)

COORDINATOR = """
import signal, sys, threading
from datetime import UTC, datetime
from sweeper import crashpoints
from sweeper.errors import SweeperError
from sweeper.records import Origin, Phase, Trial, TrialKey
from sweeper.store import Store, TrialPlanned, WriterThread

url, lease_s, where = sys.argv[1:]
committer = Store.open(url).create_sweep("s", {}, "", {}, float(lease_s))

def freeze(point):
    if point == where:
        crashpoints.arm(None)
        # To this thread: a signal to the process may let this thread go on for a moment.
        signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)

crashpoints.arm(freeze)
writer = WriterThread(committer)
trial = Trial(TrialKey("sgd", Phase.SEARCH, 1), 7, {}, {}, Origin.PROPOSED, True, 1)
try:
    writer.put(TrialPlanned(trial, datetime.now(UTC)))
    writer.close()
    print("stored")
except SweeperError as error:
    print(type(error).__name__, error)
"""


@contextmanager
def frozen_coordinator(store_url: str, where: Point) -> Iterator[subprocess.Popen[str]]:
    """A coordinator's process that has stopped at `where`, in the middle of its first commit."""
    arguments = [sys.executable, "-W", "ignore::ResourceWarning", "-c", COORDINATOR]
    process = subprocess.Popen(
        [*arguments, store_url, str(LEASE_S), where],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 30
        while psutil.Process(process.pid).status() != psutil.STATUS_STOPPED:
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield process
    finally:
        process.kill()
        process.communicate()


def wake(process: subprocess.Popen[str]) -> str:
    """What the woken coordinator says at its end."""
    process.send_signal(signal.SIGCONT)
    return process.communicate(timeout=30)[0].strip()


def take_after_expiry(store: Store) -> Committer:
    """The lease, as soon as it can be had: a server must have freed the sweep's row by then."""
    deadline = time.monotonic() + 10 * LEASE_S
    while True:
        try:
            return store.take_sweep("s", LEASE_S)
        except LeaseHeldError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


@only_sqlite  # the same on PostgreSQL, where the worse moment is tried below
def test_a_coordinator_that_was_replaced_while_it_was_frozen_writes_nothing(
    store: Store, store_url: str
) -> None:
    with frozen_coordinator(store_url, Point.BEFORE_COMMIT) as process:
        successor = take_after_expiry(store)
        assert wake(process).startswith("FencedError sweep 's': another coordinator has taken over")
        successor.commit([])
    assert store.trials("s") == []


@only_postgresql
def test_a_server_ends_the_transaction_of_a_frozen_coordinator_before_its_lease_ends(
    store: Store, store_url: str
) -> None:
    with frozen_coordinator(store_url, Point.WITHIN_COMMIT) as process:
        successor = take_after_expiry(store)
        assert wake(process).startswith("FencedError sweep 's': another coordinator has taken over")
        successor.commit([])
    assert store.trials("s") == []


@only_sqlite
def test_who_has_an_sqlite_file_locked_is_named_and_goes_on_when_it_wakes(
    store: Store, store_url: str
) -> None:
    with frozen_coordinator(store_url, Point.WITHIN_COMMIT) as process:
        words = rf"database is locked; perhaps by process {process.pid} on .*: wake it, or end it"
        with pytest.raises(StoreAwayError, match=words):
            take_after_expiry(store)
        assert store.sweep("s").state is SweepState.INTERRUPTED, "reading goes on"
        assert wake(process) == "stored"
    assert len(store.trials("s")) == 1


@only_sqlite
def test_an_sqlite_file_is_free_as_soon_as_a_frozen_process_is_killed(store: Store, store_url: str) -> None:
    with frozen_coordinator(store_url, Point.WITHIN_COMMIT) as process:
        process.kill()
        process.wait(10)
        store.take_sweep("s", LEASE_S).commit([])
    assert store.trials("s") == []


@pytest.mark.postgres
@pytest.mark.parametrize("crash", [False, True])
def test_an_outage_longer_than_the_lease_loses_nothing_and_keeps_the_holder(
    postgres_server: "PostgresServer", make_trial: MakeTrial, crash: bool
) -> None:
    store = Store.open(postgres_server.store_url())
    writer = WriterThread(store.create_sweep("s", {}, "", {}, lease_s=LEASE_S / 2))
    writes = [TrialPlanned(make_trial("sgd", number), NOW) for number in range(4)]
    writer.put(writes[0])
    assert writer.acknowledged(10) == writes[:1]
    (postgres_server.kill if crash else postgres_server.stop)()
    try:
        for write in writes[1:]:
            writer.put(write)
        with pytest.raises(StoreAwayError):
            store.sweeps()
        assert writer.acknowledged(LEASE_S) == []
    finally:
        postgres_server.start()
    writer.close()
    assert writer.acknowledged() == writes[1:]
    assert [trial.key.number for trial in store.trials("s")] == [0, 1, 2, 3]
    store.close()


def test_a_coordinator_that_was_cut_off_and_replaced_is_fenced_when_it_is_back(
    store: Store, make_trial: MakeTrial, monkeypatch: pytest.MonkeyPatch
) -> None:
    committer = store.create_sweep("s", {}, "", {}, lease_s=LEASE_S / 2)

    def cut_off(_: object) -> None:
        raise StoreAwayError("no route")

    with monkeypatch.context() as patch:
        patch.setattr(committer, "commit", cut_off)
        writer = WriterThread(committer)
        writer.put(TrialPlanned(make_trial(), NOW))
        successor = take_after_expiry(store)
    with pytest.raises(FencedError, match="another coordinator has taken over"):
        writer.acknowledged(10)
    with pytest.raises(FencedError):
        writer.close()
    successor.commit([])
    assert store.trials("s") == []
