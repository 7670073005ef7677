"""Sweeps whose coordinators are killed again and again, until they are complete all the same."""

import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from chaos.checker import Database, Plan, faults
from chaos.nursery import Nursery

from sweeper.crashpoints import Point
from sweeper.store import Store

EXPERIMENT = """
[experiment]
name = "chaos"
[data]
name = "synthetic"
train_size = 200
val_size = 100
test_size = 100
augment = true
[model]
name = "linear"
input_size = 8
[budget]
trials_per_optimizer = 3
epochs = 3
[search]
sampler = "random"
[final]
seeds = 2
[resources]
lease_s = 5
[checkpoint]
every_epochs = 1
directory = "{checkpoints}"
[optimizers.sgd]
[optimizers.adam]
[optimizers.lbfgs]
"""
PLAN = Plan(("sgd", "adam", "lbfgs"), n_trials=3, n_finals=4, epochs=3, lasting=frozenset({"lbfgs"}))

RANDOM = "a random moment"
"""Where a coordinator is killed from outside, whatever it is doing."""

PLACES = (*(point.value for point in Point), RANDOM)

MOST_LIVES = 400
"""A sweep that is not complete after so many makes no progress."""

MOST_MISSES = 50
"""A place where so many in a row were to end, and none did, can't be reached at all."""


@dataclass
class Toll:
    """What a campaign has cost: kills by where they struck, lives and sweeps.

    `misses` counts the lives in a row that were to end at a place and never came there.
    """

    kills: Counter[str] = field(default_factory=Counter)
    misses: Counter[str] = field(default_factory=Counter)
    n_lives: int = 0
    n_sweeps: int = 0

    @property
    def n_kills(self) -> int:
        """Kills in all."""
        return self.kills.total()

    def note(self, where: str, *, is_hit: bool) -> None:
        """A life that was to end at `where` ended there, or elsewhere. Fails where none ever does."""
        self.n_lives += 1
        self.kills[where] += is_hit
        self.misses[where] = 0 if is_hit else self.misses[where] + 1
        assert self.misses[where] < MOST_MISSES, f"never hit: {where}"

    def least_of(self, places: Sequence[str]) -> str:
        """Where fewest have struck."""
        return min(places, key=lambda where: self.kills[where])


def write_experiment(directory: Path) -> Path:
    """The campaign's experiment file, with its checkpoints beside it."""
    path = directory / "chaos.toml"
    path.write_text(EXPERIMENT.format(checkpoints=directory / "checkpoints"))
    return path


def undisturbed(nursery: Nursery, file: Path, directory: Path) -> Database:
    """The sweep that nobody disturbed, in one process without Ray."""
    url = f"sqlite:///{directory / f'{file.stem}-undisturbed.db'}"
    status, said = nursery.live(["run", str(file), "--store", url, "--workers", "inline"])
    assert status == 0, said
    return Database(url)


def inline(
    nursery: Nursery,
    file: Path,
    expected: Database,
    new_store: Callable[[], str],
    *,
    until: Callable[[Toll], bool],
    most_nth: int = 12,
    seed: int = 0,
    said: Callable[[Toll], None] = lambda toll: None,
) -> Toll:
    """Sweep after sweep with an inline worker, killed at crash points and at random moments.

    Each sweep must end complete and whole. Goes on `until` the toll says so. A life ends when it reaches its
    point for the `most_nth` time at the latest.
    """
    draw = random.Random(seed)
    toll = Toll()
    while not until(toll):
        database = Database(new_store())
        _one_sweep(nursery, file, database, draw, toll, most_nth)
        found = faults(database, PLAN, expected)
        assert not found, "\n".join([database.url, *found[:20]])
        toll.n_sweeps += 1
        said(toll)
    return toll


def _one_sweep(
    nursery: Nursery, file: Path, database: Database, draw: random.Random, toll: Toll, most_nth: int
) -> None:
    common = ["--store", database.url, "--workers", "inline"]
    Store.open(database.url, create=True).close()
    database.watch()
    for _ in range(MOST_LIVES):
        where = toll.least_of(PLACES) if draw.random() < 0.7 else draw.choice(PLACES)
        once = where in (Point.LEASE_TAKEN, Point.BEFORE_RELEASE)
        nth = 1 if once else draw.randint(1, most_nth)
        exists = database.rows("SELECT count(*) FROM sweeps") == [(1,)]
        command = ["resume", "chaos"] if exists else ["run", str(file)]
        life = nursery.start([*command, *common], None if where == RANDOM else where, nth)
        if where == RANDOM:
            time.sleep(draw.uniform(0.02, 0.5))
            life.kill()
        status = nursery.wait(life)
        assert status in (0, -signal.SIGKILL), life.said
        toll.note(where, is_hit=status != 0)
        if status == 0:
            return
    raise AssertionError(f"not complete after {MOST_LIVES} lives")
