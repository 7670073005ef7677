"""Sweeps on real Ray processes whose coordinators and workers are killed while they run."""

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from chaos import campaign
from chaos.campaign import Toll
from chaos.checker import Database, Plan, faults
from chaos.nursery import Nursery

from sweeper.crashpoints import Point
from sweeper.store import Store

EXPERIMENT = """
[experiment]
name = "chaos"
[data]
name = "synthetic"
train_size = 1000
val_size = 100
test_size = 100
[model]
name = "lenet"
[budget]
trials_per_optimizer = {n_trials}
epochs = 4
[search]
sampler = "random"
[final]
seeds = 2
untuned = false
[resources]
lease_s = 5
attempts = 1000
[checkpoint]
every_epochs = 2
directory = "{checkpoints}"
[optimizers.sgd]
[optimizers.adam]
"""
HERE = Path(__file__).parent
WORKER = "a worker"
LIMIT_S = 240
"""How long a life may take, on a busy machine."""


def plan(n_trials: int) -> Plan:
    """What a sweep must hold in the end."""
    return Plan(("sgd", "adam"), n_trials=n_trials, n_finals=2, epochs=4)


@dataclass(frozen=True)
class Running:
    """A coordinator with its Ray processes, in a session of its own."""

    process: subprocess.Popen[bytes]
    output: Path

    @property
    def said(self) -> str:
        """What it printed so far."""
        return self.output.read_text()

    def descendants(self) -> list[psutil.Process]:
        """Every process below it."""
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def workers(self, *doing: str) -> list[psutil.Process]:
        """Its worker processes that are at one of those tasks."""
        found = []
        for process in self.descendants():
            try:
                if process.name().startswith(tuple(f"ray::{each}" for each in doing)):
                    found.append(process)
            except psutil.NoSuchProcess:
                continue
        return found

    def wait(self, limit_s: float = LIMIT_S) -> int:
        """How it ended: its exit status, or minus the signal that killed it."""
        return self.process.wait(limit_s)


@contextmanager
def running(
    directory: Path,
    *command: str,
    point: str | None = None,
    nth: int = 1,
    number: int = signal.SIGKILL,
) -> Iterator[Running]:
    """`sweeper COMMAND...`, which gets the signal when it reaches `point` for the nth time."""
    output = directory / f"said-{time.monotonic_ns()}.txt"
    script = [sys.executable, str(HERE / "coordinator.py"), point or "never", str(nth), str(int(number))]
    with output.open("wb") as file:
        process = subprocess.Popen(
            [*script, *command], stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
        )
    each = Running(process, output)
    try:
        yield each
    finally:
        if process.poll() is None:
            for other in [*each.descendants(), psutil.Process(process.pid)]:
                other.kill()
            process.wait()


def write_experiment(directory: Path, n_trials: int) -> Path:
    """The experiment file, with its checkpoints beside it."""
    path = directory / "chaos-ray.toml"
    path.write_text(EXPERIMENT.format(checkpoints=directory / "ray-checkpoints", n_trials=n_trials))
    return path


@dataclass(frozen=True)
class Sweeps:
    """Sweeps of one experiment on Ray, each in a new store, and what every one of them must come to."""

    directory: Path
    file: Path
    expected: Database
    new_store: Callable[[], str]
    n_trials: int

    @classmethod
    def of(cls, nursery: Nursery, directory: Path, new_store: Callable[[], str], n_trials: int) -> "Sweeps":
        """Those with so many trials of each optimizer; trains them once undisturbed."""
        file = write_experiment(directory, n_trials)
        return cls(directory, file, campaign.undisturbed(nursery, file, directory), new_store, n_trials)

    def new(self) -> Database:
        """A store with Sweeper's tables and nothing in them, watched."""
        url = self.new_store()
        Store.open(url, create=True).close()
        database = Database(url)
        database.watch()
        return database

    def require_whole(self, database: Database) -> None:
        """Fails where its sweep lost or doubled anything."""
        found = faults(database, plan(self.n_trials), self.expected)
        assert not found, "\n".join([database.url, *found[:20]])


def coordinators(
    sweeps: Sweeps,
    *,
    n_kills: int,
    seed: int = 0,
    said: Callable[[Toll], None] = lambda toll: None,
) -> Toll:
    """Kill coordinators at crash points until `n_kills` have died and the sweep in hand is complete."""
    draw = random.Random(seed)
    toll = Toll()
    while toll.n_kills < n_kills:
        database = sweeps.new()
        _one_sweep(sweeps, database, draw, toll, n_kills)
        sweeps.require_whole(database)
        toll.n_sweeps += 1
        said(toll)
    return toll


def _one_sweep(sweeps: Sweeps, database: Database, draw: random.Random, toll: Toll, n_kills: int) -> None:
    while True:
        exists = database.rows("SELECT count(*) FROM sweeps") == [(1,)]
        command = ["resume", "chaos"] if exists else ["run", str(sweeps.file)]
        where = toll.least_of([point.value for point in Point if point not in WORKERS_OWN])
        once = where in (Point.LEASE_TAKEN, Point.BEFORE_RELEASE)
        nth = 1 if once else draw.randint(1, 8)
        spared = toll.n_kills >= n_kills
        with running(
            sweeps.directory,
            *[*command, "--store", database.url, "--workers", "2"],
            point=None if spared else where,
            nth=nth,
        ) as life:
            status = life.wait()
            assert status in (0, -signal.SIGKILL), life.said
            if spared:
                toll.n_lives += 1
            else:
                toll.note(where, is_hit=status != 0)
            if status == 0:
                return


WORKERS_OWN = (Point.BEFORE_CHECKPOINT, Point.AFTER_CHECKPOINT)
"""Points that only worker processes reach, where those are processes of their own."""


def workers(
    sweeps: Sweeps,
    *,
    n_kills: int,
    seed: int = 0,
    said: Callable[[Toll], None] = lambda toll: None,
) -> Toll:
    """Kill a busy worker again and again, until `n_kills` have died and the sweep in hand is complete."""
    draw = random.Random(seed)
    toll = Toll()
    while toll.n_kills < n_kills:
        database = sweeps.new()
        command = ["run", str(sweeps.file), "--store", database.url, "--workers", "2"]
        with running(sweeps.directory, *command) as life:
            while life.process.poll() is None and toll.n_kills < n_kills:
                if busy := life.workers("train", "final"):
                    time.sleep(draw.uniform(0, 0.6))
                    victim = draw.choice(busy)
                    if victim.is_running():
                        victim.kill()
                        toll.kills[WORKER] += 1
                time.sleep(0.05)
            status = life.wait()
            assert status == 0, life.said
        sweeps.require_whole(database)
        lost = database.rows("SELECT count(*) FROM attempts WHERE why = 'its process died'")
        assert lost[0][0] > 0, "no worker that was killed had a trial"
        toll.n_lives += 1
        toll.n_sweeps += 1
        said(toll)
    return toll
