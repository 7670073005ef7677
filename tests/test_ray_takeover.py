"""Sweeps on a cluster of several nodes, of which some die, and whose coordinators freeze."""

import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from launched import Launched, assert_same_results, launching

from sweeper.api import Sweep, load, run

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]  # three Ray nodes on one machine

EXPERIMENT = """
[experiment]
name = "shared"
[data]
name = "synthetic"
train_size = 1500
val_size = 200
test_size = 100
[model]
name = "lenet"
[budget]
trials_per_optimizer = 4
epochs = 4
[search]
sampler = "random"
[final]
top_k = 0
[resources]
lease_s = 3
[optimizers.sgd]
[optimizers.adam]
"""


class Cluster:
    """A cluster in a process of its own: one head without processors, and what is added to it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).parent / "cluster_host.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.address = self._heard()

    def tell(self, word: str) -> None:
        assert self._process.stdin is not None
        print(word, file=self._process.stdin, flush=True)
        assert self._heard() == "done"

    def end(self) -> None:
        left = [*psutil.Process(self._process.pid).children(recursive=True), self._process]
        for process in left:
            process.kill()
        self._process.communicate()

    def _heard(self) -> str:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("cluster: "):
                return line.removeprefix("cluster: ").strip()
        raise AssertionError("the cluster has ended")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    made = Cluster()
    made.tell("add")
    made.tell("add")
    yield made
    made.end()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("experiment") / "shared.toml"
    path.write_text(EXPERIMENT)
    return path


@pytest.fixture(scope="module")
def undisturbed(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    return run(file, f"sqlite:///{tmp_path_factory.mktemp('store')}/store.db", workers="inline")


@pytest.fixture
def launch(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Launched]]:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with launching(f"sqlite:///{tmp_path / 'store.db'}") as start:
        yield lambda command, *words: start(command, "--workers", "2", *words, "--address", cluster.address)


def test_a_frozen_coordinator_is_replaced_with_its_workers_and_writes_no_more(
    file: Path, launch: Callable[..., Launched], undisturbed: Sweep
) -> None:
    frozen = launch("run", str(file))
    frozen.wait_until(lambda: frozen.finished() >= 2)
    lock = sqlite3.connect(frozen.database, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")  # so that it is not frozen within a transaction
    frozen.process.send_signal(signal.SIGSTOP)
    frozen.wait_until(lambda: psutil.Process(frozen.process.pid).status() == psutil.STATUS_STOPPED)
    lock.execute("ROLLBACK")
    lock.close()
    successor = launch("resume", "shared")
    status, _, err = successor.end()
    assert status == 0, err
    sweep = load("shared", successor.store)
    assert_same_results(sweep, undisturbed)
    frozen.process.send_signal(signal.SIGCONT)
    status, out, err = frozen.end()
    assert (status, out) == (4, "")
    assert "another coordinator has taken over; this coordinator stops and writes nothing" in err
    assert_same_results(load("shared", successor.store), undisturbed)
    assert not sweep.attempts["strike"].any()


def test_trials_of_a_node_that_dies_go_to_another_without_a_strike(
    cluster: Cluster, file: Path, launch: Callable[..., Launched], undisturbed: Sweep
) -> None:
    launched = launch("run", str(file))
    launched.wait_until(lambda: launched.finished() >= 2)
    cluster.tell("kill")
    status, _, err = launched.end()
    assert status == 0, err
    sweep = load("shared", launched.store)
    assert_same_results(sweep, undisturbed)
    lost = sweep.attempts[sweep.attempts["why"].str.contains("its node", na=False)]
    assert len(lost) >= 1, sweep.attempts
    assert not sweep.attempts["strike"].any()


LONG = ("--workers", "auto", "--set", "budget.trials_per_optimizer=50", "--set", "budget.epochs=16")
"""More trials than anybody waits for, of several stretches, on as many workers as fit at any moment."""


def test_workers_come_with_nodes_and_trials_leave_those_that_leave(
    cluster: Cluster, file: Path, launch: Callable[..., Launched]
) -> None:
    """One node is left of two, with one processor; a second joins, and is told that it will be taken away.

    What `auto` does not end by itself is interrupted as soon as the trial that left is complete elsewhere.
    """
    launched = launch("run", str(file), *LONG)
    launched.wait_until(lambda: launched.finished() >= 1)
    assert len(workers_of(launched)) == 1
    cluster.tell("add")
    joined = time.monotonic()
    launched.wait_until(lambda: len(workers_of(launched)) == 2)
    assert time.monotonic() - joined < 30  # ten seconds, where nothing else has the processors
    cluster.tell("drain")
    launched.wait_until(lambda: any("is leaving" in (why or "") for why in reasons(launched)))
    launched.wait_until(lambda: moved_and_complete(launched))
    launched.process.send_signal(signal.SIGTERM)
    status, _, err = launched.end()
    assert status == 130, err
    attempts = load("shared", launched.store).attempts
    left = attempts[attempts["why"].str.contains("is leaving", na=False)]
    assert len(left) == 1
    assert not attempts["strike"].any()
    assert attempts["worker"].nunique() == 2
    after = attempts[attempts["started_at"] > left["ended_at"].iloc[0]]
    assert (after["worker"] != left["worker"].iloc[0]).all()


def workers_of(launched: Launched) -> set[str]:
    """The workers that have had trials so far, read past Sweeper."""
    return {worker for worker, _ in attempts_of(launched)}


def reasons(launched: Launched) -> list[str | None]:
    """Why attempts ended so far."""
    return [why for _, why in attempts_of(launched)]


def moved_and_complete(launched: Launched) -> bool:
    """Whether a trial whose node was leaving has come to its end on another."""
    query = """
        SELECT count(*) FROM attempts JOIN trials ON trials.id = attempts.trial_id
        WHERE why LIKE '%is leaving' AND trials.state = 'complete'
    """
    with sqlite3.connect(f"file:{launched.database}?mode=ro", uri=True) as connection:
        return bool(connection.execute(query).fetchone()[0])


def attempts_of(launched: Launched) -> list[tuple[str, str | None]]:
    with sqlite3.connect(f"file:{launched.database}?mode=ro", uri=True) as connection:
        return connection.execute("SELECT worker, why FROM attempts").fetchall()
