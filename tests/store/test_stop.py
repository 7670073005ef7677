"""A request to stop: seen by the coordinator that holds the lease, at its next commit, and by no other."""

import time

import pytest
import sqlalchemy as sa

from sweeper.errors import NotFoundError
from sweeper.store import Store, WriterThread
from sweeper.store.lease import this_process
from sweeper.store.schema import sweeps


def test_the_holder_sees_the_request_at_its_next_commit(store: Store) -> None:
    committer = store.create_sweep("s", {}, "", {}, 30)
    committer.commit([])
    assert store.ask_to_stop("s") == str(this_process())
    assert not committer.is_asked_to_stop
    committer.commit([])
    assert committer.is_asked_to_stop


def test_a_coordinator_that_writes_nothing_sees_it_when_it_prolongs_its_lease(store: Store) -> None:
    writer = WriterThread(store.create_sweep("s", {}, "", {}, 0.6))
    store.ask_to_stop("s")
    before = store.sweep("s").holder
    deadline = time.monotonic() + 30
    while not writer.is_asked_to_stop and time.monotonic() < deadline:
        assert writer.acknowledged(0.05) == []
    assert writer.is_asked_to_stop
    assert store.sweep("s").holder == before, "it stops by itself, in order"
    writer.close()


def test_the_request_is_not_to_a_successor(store: Store) -> None:
    first = store.create_sweep("s", {}, "", {}, 30)
    store.ask_to_stop("s")
    first.release()
    second = store.take_sweep("s", 30)
    second.commit([])
    assert not second.is_asked_to_stop


@pytest.mark.parametrize("how", ["released", "expired"])
def test_where_nobody_runs_it_nobody_is_asked(store: Store, how: str) -> None:
    committer = store.create_sweep("s", {}, "", {}, 30)
    if how == "released":
        committer.release()
    else:
        with store.engine.begin() as connection:
            connection.execute(sa.update(sweeps).values(lease_expires=1.0))
    assert store.ask_to_stop("s") is None
    with store.engine.connect() as connection:
        assert connection.scalar(sa.select(sweeps.c.stop_token)) is None


def test_a_request_does_not_prolong_or_take_the_lease(store: Store) -> None:
    committer = store.create_sweep("s", {}, "", {}, 30)
    columns = (sweeps.c.lease_token, sweeps.c.lease_expires, sweeps.c.owner_pid)
    with store.engine.connect() as connection:
        before = connection.execute(sa.select(*columns)).one()
    store.ask_to_stop("s")
    with store.engine.connect() as connection:
        assert connection.execute(sa.select(*columns)).one() == before
    committer.commit([])  # not fenced


def test_no_store_is_made_to_ask(tmp_path: object) -> None:
    url = f"sqlite:///{tmp_path}/none.db"
    with pytest.raises(NotFoundError, match="no sweep is called 's'"):
        Store.open(url).ask_to_stop("s")
