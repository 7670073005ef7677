"""`sweeper` commands in processes of their own, and what a disturbed sweep has in common with any other."""

import contextlib
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import psutil

from sweeper.api import Sweep

VARYING = (
    *("attempt", "queued_s", "setup_s", "train_s", "eval_s", "wall_s"),
    *("worker", "node", "started_at", "finished_at"),
)
"""Columns that may differ from run to run."""


def assert_same_results(sweep: Sweep, expected: Sweep) -> None:
    """Every trial once, and everything but times, workers and attempts the same, bit for bit."""
    for name, key in (("trials", ["number"]), ("epochs", ["number", "epoch"])):
        frames = [getattr(each, name) for each in (sweep, expected)]
        plain = [frame.drop(columns=[c for c in VARYING if c in frame]) for frame in frames]
        got, wanted = (frame.sort_values(["phase", "optimizer", *key], ignore_index=True) for frame in plain)
        pd.testing.assert_frame_equal(got, wanted, check_exact=True)


@dataclass
class Launched:
    """A `sweeper` command in a process group of its own."""

    process: subprocess.Popen[str]
    store: str
    said: str = ""

    @property
    def database(self) -> str:
        return self.store.removeprefix("sqlite:///")

    def descendants(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def workers(self, *doing: str) -> list[psutil.Process]:
        """Its worker processes; those whose present task is one of `doing`."""
        titles = tuple(f"ray::{task}" for task in doing or ("Actor", "start", "train", "final"))
        return [p for p in self.descendants() if p.name().startswith(titles)]

    def finished(self) -> int:
        """Trials that ended, read past Sweeper."""
        if not Path(self.database).exists():
            return 0
        with sqlite3.connect(f"file:{self.database}?mode=ro", uri=True) as connection:
            try:
                query = "SELECT count(*) FROM trials WHERE state = 'complete'"
                return int(connection.execute(query).fetchone()[0])
            except sqlite3.OperationalError:  # no tables yet
                return 0

    def is_released(self) -> bool:
        """Whether nobody holds the sweep's lease."""
        with sqlite3.connect(f"file:{self.database}?mode=ro", uri=True) as connection:
            return connection.execute("SELECT lease_expires FROM sweeps").fetchone() == (None,)

    def wait_until(self, is_so: Callable[[], object], limit_s: float = 90) -> None:
        deadline = time.monotonic() + limit_s
        while not is_so():
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline, "it did not get so far"
            time.sleep(0.02)

    def wait_for(self, line: str, limit_s: float = 60) -> None:
        """Wait until it says `line` on stderr; what it says is then for `said`, no longer for `end`."""
        assert self.process.stderr is not None
        timer = threading.Timer(limit_s, self.process.kill)
        timer.start()
        while line not in self.said:
            said = self.process.stderr.readline()
            assert said, f"it ended, and had said: {self.said}"
            self.said += said
        timer.cancel()

    def end(self, limit_s: float = 110) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=limit_s)
        return self.process.returncode, out, self.said + err


@contextlib.contextmanager
def launching(store: str) -> Iterator[Callable[..., Launched]]:
    """Starts `sweeper COMMAND WORDS...` on `store`; ends what is left of it."""
    launched: list[Launched] = []

    def start(*words: str) -> Launched:
        process = subprocess.Popen(
            [sys.executable, "-m", "sweeper", *words, "--store", store],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        launched.append(Launched(process, store))
        return launched[-1]

    try:
        yield start
    finally:
        for each in launched:
            if each.process.poll() is None:
                for process in [*each.descendants(), psutil.Process(each.process.pid)]:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        process.kill()
                each.process.communicate()


def end_soon(processes: list[psutil.Process]) -> bool:
    """Whether there are some, and all end within ten seconds."""
    _, alive = psutil.wait_procs(processes, timeout=10)
    return bool(processes) and not alive
