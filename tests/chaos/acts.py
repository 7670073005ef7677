"""What else befalls a sweep: its coordinator is frozen and wakes, its database goes away, its disk fills."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from chaos import campaign
from chaos.checker import Database, faults
from chaos.nursery import Life, Nursery

from sweeper.crashpoints import Point
from sweeper.store import Store

LEASE_S = 2

WRITERS_OWN = (Point.BEFORE_COMMIT, Point.WITHIN_COMMIT, Point.AFTER_COMMIT)
"""Points that the writer's thread reaches."""


def write_experiment(directory: Path, lease_s: float = LEASE_S) -> Path:
    """The campaign's experiment, with a short lease."""
    text = campaign.EXPERIMENT.format(checkpoints=directory / "checkpoints")
    path = directory / "frozen.toml"
    path.write_text(text.replace("lease_s = 5", f"lease_s = {lease_s}"))
    return path


def wait_until(is_so: Callable[[], object], limit_s: float = 60) -> None:
    """Wait; fails where it takes too long."""
    deadline = time.monotonic() + limit_s
    while not is_so():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.02)


def is_stopped(pid: int) -> bool:
    """Whether the process is frozen."""
    return psutil.Process(pid).status() == psutil.STATUS_STOPPED


def freeze(nursery: Nursery, file: Path, url: str, point: Point, nth: int) -> Life:
    """A coordinator that has come to stand still at `point`."""
    Store.open(url, create=True).close()
    Database(url).watch()
    command = ["run", str(file), "--store", url, "--workers", "inline"]
    life = nursery.start(command, point.value, nth, signal.SIGSTOP)
    wait_until(lambda: is_stopped(life.pid))
    return life


def frozen_and_replaced(
    nursery: Nursery, directory: Path, url: str, expected: Database, point: Point, nth: int
) -> None:
    """One that wakes after another has taken over writes nothing, and says why it stops.

    A freeze outside the writer's thread may catch that within a transaction: then SQLite's lock is kept.
    """
    frozen = freeze(nursery, write_experiment(directory), url, point, nth)
    status, said = nursery.live(["resume", "chaos", "--store", url, "--workers", "inline"])
    database = Database(url)
    if database.is_sqlite and point not in WRITERS_OWN and status == 4:
        return _goes_on_as_holder(nursery, frozen, said, database, expected)
    assert status == 0, said
    after = database.dump()
    frozen.kill(signal.SIGCONT)
    assert nursery.wait(frozen) == 4, frozen.said
    assert "another coordinator has taken over" in frozen.said
    assert "Traceback" not in frozen.said
    assert database.dump() == after, "it wrote something"
    found = faults(database, campaign.PLAN, expected)
    assert not found, "\n".join(found[:20])


def frozen_with_the_lock(nursery: Nursery, directory: Path, url: str, expected: Database) -> None:
    """On SQLite a coordinator that is frozen within a transaction keeps the lock, and nobody gets in.

    Woken, it goes on as the holder that it still is, and nothing is lost.
    """
    frozen = freeze(nursery, write_experiment(directory), url, Point.WITHIN_COMMIT, 6)
    status, said = nursery.live(["resume", "chaos", "--store", url, "--workers", "inline"])
    assert status == 4, said
    _goes_on_as_holder(nursery, frozen, said, Database(url), expected)


def _goes_on_as_holder(
    nursery: Nursery, frozen: Life, said: str, database: Database, expected: Database
) -> None:
    """Wake a coordinator that has kept the lock, of which the other one `said` so: it completes its sweep."""
    assert "locked" in said
    assert f"process {frozen.pid} " in said
    assert "Traceback" not in said
    frozen.kill(signal.SIGCONT)
    assert nursery.wait(frozen) == 0, frozen.said
    found = faults(database, campaign.PLAN, expected)
    assert not found, "\n".join(found[:20])


def frozen_and_killed(nursery: Nursery, directory: Path, url: str, expected: Database) -> None:
    """One that is killed where it stands, within a transaction, leaves nothing of it, and is replaced."""
    frozen = freeze(nursery, write_experiment(directory), url, Point.WITHIN_COMMIT, 6)
    before = Database(url).dump()
    frozen.kill()
    nursery.wait(frozen)
    assert Database(url).dump() == before
    status, said = nursery.live(["resume", "chaos", "--store", url, "--workers", "inline"])
    assert status == 0, said
    found = faults(Database(url), campaign.PLAN, expected)
    assert not found, "\n".join(found[:20])


@contextmanager
def small_disk(directory: Path, size: str = "4m") -> Iterator[Path]:
    """A file system of that size; where none may be mounted, PermissionError."""
    place = directory / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        raise PermissionError("no file system may be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def disk_full(nursery: Nursery, directory: Path, expected: Database) -> None:
    """A disk that fills up ends the sweep with a clear line; what was written stays, and resume goes on."""
    with small_disk(directory) as place:
        url = f"sqlite:///{place / 'store.db'}"
        frozen = freeze(nursery, write_experiment(directory), url, Point.BEFORE_COMMIT, 10)
        ballast = place / "ballast"
        with ballast.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass
        frozen.kill(signal.SIGCONT)
        assert nursery.wait(frozen) == 4, frozen.said
        assert "full" in frozen.said
        assert "Traceback" not in frozen.said
        ended = Database(url).rows("SELECT count(*) FROM trials WHERE finished_at IS NOT NULL")[0][0]
        assert ended > 0
        ballast.unlink()
        status, said = nursery.live(["resume", "chaos", "--store", url, "--workers", "inline"])
        assert status == 0, said
        found = faults(Database(url), campaign.PLAN, expected)
        assert not found, "\n".join(found[:20])


def outage(
    nursery: Nursery,
    directory: Path,
    url: str,
    expected: Database,
    *,
    stop: Callable[[], None],
    start: Callable[[], None],
    seconds: float,
) -> str:
    """A database that goes away in the middle of a sweep, for longer than a lease: it ends complete."""
    frozen = freeze(nursery, write_experiment(directory), url, Point.BEFORE_COMMIT, 8)
    stop()
    frozen.kill(signal.SIGCONT)
    time.sleep(seconds)
    assert not nursery.has_ended(frozen), frozen.said
    start()
    assert nursery.wait(frozen) == 0, frozen.said
    database = Database(url)
    found = faults(database, campaign.PLAN, expected)
    assert not found, "\n".join(found[:20])
    assert database.rows("SELECT lease_token FROM sweeps") == [(1,)], "nobody took over"
    return frozen.said
