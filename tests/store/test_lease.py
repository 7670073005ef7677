import os
import subprocess
import sys
import time
from collections.abc import Callable

import psutil
import pytest
import sqlalchemy as sa

from sweeper.errors import FencedError, LeaseHeldError, NotFoundError, SweepExistsError
from sweeper.records import SweepState, Trial
from sweeper.store import Committer, Store, TrialPlanned, lease
from sweeper.store.lease import Owner, this_process
from sweeper.store.schema import sweeps, trials

LEASE_S = 30.0


def create(store: Store, name: str = "s", lease_s: float = LEASE_S) -> Committer:
    return store.create_sweep(name, {}, "", {}, lease_s)


def let_expire(store: Store) -> None:
    with store.engine.begin() as connection:
        connection.execute(sa.update(sweeps).values(lease_expires=1.0))


def hand_to_a_process_that_is_gone(store: Store) -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    started = psutil.Process(child.pid).create_time()
    child.communicate(b"\n")
    with store.engine.begin() as connection:
        connection.execute(sa.update(sweeps).values(owner_pid=child.pid, owner_started=started))


def test_a_new_sweep_is_held_by_the_process_that_made_it(store: Store) -> None:
    create(store)
    info = store.sweep("s")
    assert info.state is SweepState.RUNNING
    assert info.holder == str(this_process())


def test_a_name_that_exists_is_refused_with_the_two_commands_that_help(store: Store) -> None:
    create(store)
    with pytest.raises(SweepExistsError, match=r"sweeper resume s.*--name"):
        create(store)
    with pytest.raises(SweepExistsError):
        store.require_unused("s")


def test_a_held_lease_is_not_taken(store: Store) -> None:
    create(store)
    with pytest.raises(
        LeaseHeldError, match=rf"being run by process {os.getpid()} on .* since 20\d\d-.* UTC; its lease"
    ):
        store.take_sweep("s", LEASE_S)


def test_a_released_lease_is_taken_with_a_larger_token(store: Store) -> None:
    first = create(store)
    first.release()
    assert store.sweep("s").state is SweepState.INTERRUPTED
    second = store.take_sweep("s", LEASE_S)
    assert second.lease.token == first.lease.token + 1
    assert store.sweep("s").state is SweepState.RUNNING


def test_an_expired_lease_is_taken(store: Store) -> None:
    create(store)
    let_expire(store)
    assert store.sweep("s").state is SweepState.INTERRUPTED
    store.take_sweep("s", LEASE_S)


def test_a_lease_is_taken_at_once_where_the_holder_is_gone(store: Store) -> None:
    create(store)
    hand_to_a_process_that_is_gone(store)
    assert store.sweep("s").state is SweepState.INTERRUPTED
    store.take_sweep("s", LEASE_S)


def test_a_process_on_another_host_counts_as_alive() -> None:
    assert not Owner("some-other-host", 1, 0.0).is_gone


def test_a_process_id_that_was_used_again_counts_as_gone() -> None:
    me = this_process()
    assert Owner(me.host, me.pid, me.started - 100).is_gone
    assert not me.is_gone


def test_an_expired_lease_that_nobody_took_stays_its_holders(store: Store) -> None:
    committer = create(store)
    let_expire(store)
    committer.commit([])
    assert store.sweep("s").state is SweepState.RUNNING


def test_a_replaced_coordinator_writes_nothing(store: Store, make_trial: Callable[..., Trial]) -> None:
    old = create(store)
    let_expire(store)
    store.take_sweep("s", LEASE_S)
    with pytest.raises(FencedError, match="another coordinator has taken over"):
        old.commit([TrialPlanned(make_trial(), store.sweep("s").created_at)])
    with store.engine.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(trials)) == 0


def test_a_replaced_coordinator_does_not_release_its_successors_lease(store: Store) -> None:
    old = create(store)
    let_expire(store)
    store.take_sweep("s", LEASE_S)
    with pytest.raises(FencedError):
        old.release()
    assert store.sweep("s").holder == str(this_process())


@pytest.mark.parametrize(  # SQLite lets no other process write meanwhile
    "store_url", [pytest.param("postgresql", marks=pytest.mark.postgres)], indirect=True
)
def test_a_lease_that_its_holder_renewed_at_the_last_moment_is_not_taken(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = create(store)
    let_expire(store)
    is_free = lease.holder
    calls: list[object] = []

    def and_then_it_renews(row: sa.RowMapping, now: float) -> Owner | None:
        calls.append(row)
        free = is_free(row, now)
        if len(calls) == 2:  # within the transaction that takes the lease
            old.commit([])
        return free

    monkeypatch.setattr(lease, "holder", and_then_it_renews)
    with pytest.raises(LeaseHeldError, match="just taken or renewed"):
        store.take_sweep("s", LEASE_S)
    old.commit([])


def test_a_process_that_ended_and_was_not_buried_counts_as_gone() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    started = psutil.Process(child.pid).create_time()
    while psutil.Process(child.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    assert Owner(this_process().host, child.pid, started).is_gone
    child.wait()


def test_the_database_tells_the_time_also_within_a_transaction(store: Store) -> None:
    with store.engine.begin() as connection:
        first = connection.execute(sa.select(lease.NOW)).scalar_one()
        time.sleep(0.05)
        second = connection.execute(sa.select(lease.NOW)).scalar_one()
    assert 0.03 < second - first < 5
    assert abs(first - time.time()) < 5


def test_every_commit_moves_the_sweeps_version(store: Store) -> None:
    committer = create(store)

    def version() -> int:
        with store.engine.connect() as connection:
            return connection.execute(sa.select(sweeps.c.version)).scalar_one()

    before = version()
    committer.commit([])
    assert version() == before + 1


@pytest.mark.parametrize("name", ["s\x00", "\udcff", "'; DROP TABLE sweeps; --", "s" * 10_000])
def test_no_sweep_has_a_name_that_a_database_cannot_hold(store: Store, name: str) -> None:
    create(store)
    for action in (store.sweep, store.delete_sweep, lambda wanted: store.take_sweep(wanted, LEASE_S)):
        with pytest.raises(NotFoundError, match="no sweep is called"):
            action(name)
    store.require_unused(name)
    assert [info.name for info in store.sweeps()] == ["s"]


def test_there_is_no_lease_on_a_sweep_that_does_not_exist(store: Store) -> None:
    with pytest.raises(NotFoundError, match="no sweep is called 'x'"):
        store.take_sweep("x", LEASE_S)
