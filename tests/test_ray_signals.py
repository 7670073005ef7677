"""Sweeps on real Ray processes that are told to stop, at awkward moments."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from launched import Launched, end_soon, launching

from sweeper.api import load, run
from sweeper.records import SweepState

pytestmark = pytest.mark.ray

EXPERIMENT = """
[experiment]
name = "stopped"
[data]
name = "synthetic"
train_size = 1500
val_size = 200
test_size = 100
[model]
name = "lenet"
[budget]
trials_per_optimizer = 90
epochs = 3
max_seconds = 1e-3
[search]
sampler = "random"
[final]
top_k = 0
[optimizers.sgd]
[optimizers.adam]
"""

SECRET = "hunter2"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "stopped.toml"
    path.write_text(EXPERIMENT)
    return path


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Callable[..., Launched]]:
    with launching(f"sqlite:///{tmp_path / 'store.db'}") as start:
        yield start


def attempts_open(launched: Launched) -> int:
    with sqlite3.connect(f"file:{launched.database}?mode=ro", uri=True) as connection:
        query = "SELECT count(*) FROM attempts WHERE ended_at IS NULL"
        return int(connection.execute(query).fetchone()[0])


def test_a_second_signal_ends_a_sweep_at_once_while_its_store_is_away(
    file: Path, launch: Callable[..., Launched]
) -> None:
    launched = launch("run", str(file), "--workers", "2", "--set", "budget.max_seconds=0")
    launched.wait_until(lambda: len(launched.workers("train")) == 2)
    launched.wait_until(lambda: attempts_open(launched) == 2)
    agents = ("ray::Dashboard", "ray::Runtime")  # those live on for a minute
    rays = [process for process in launched.descendants() if not process.name().startswith(agents)]
    blocker = sqlite3.connect(launched.database, timeout=20, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")  # no other connection can write now
    launched.process.send_signal(signal.SIGTERM)
    launched.wait_for("the store is away; waiting at most 30 s for it; another Ctrl-C gives up")
    began = time.monotonic()
    launched.process.send_signal(signal.SIGINT)
    status, out, err = launched.end(20)
    assert time.monotonic() - began < 3
    assert (status, out) == (130, "")
    assert err.splitlines()[-1].startswith("sweeper: ended at once; ")
    assert "Traceback" not in err
    blocker.execute("ROLLBACK")
    blocker.close()
    assert attempts_open(launched) == 2, "what was given up is not written"
    assert load("stopped", launched.store).info.state is SweepState.INTERRUPTED
    assert end_soon(rays)


def test_a_signal_while_ray_starts_leaves_no_sweep(file: Path, launch: Callable[..., Launched]) -> None:
    launched = launch("run", str(file), "--workers", "2")
    launched.wait_for("Ray: starting")
    launched.wait_until(lambda: launched.descendants())
    os.killpg(launched.process.pid, signal.SIGINT)  # as a terminal does
    status, out, err = launched.end(60)
    assert (status, out) == (130, "")
    assert err.splitlines()[-1] == "sweeper: interrupted before sweep stopped began; nothing of it is stored"
    assert "Traceback" not in err
    with sqlite3.connect(launched.database) as connection:
        assert connection.execute("SELECT count(*) FROM sweeps").fetchone() == (0,)


def test_a_signal_while_ray_starts_gives_a_resumed_sweep_back(
    file: Path, launch: Callable[..., Launched], tmp_path: Path
) -> None:
    store = f"sqlite:///{tmp_path / 'store.db'}"
    assert run(file, store, workers="inline").info.state is SweepState.STOPPED
    launched = launch("resume", "stopped", "--workers", "2", "--set", "budget.max_seconds=0")
    launched.wait_for("Ray: starting")
    launched.wait_until(lambda: launched.descendants())
    launched.process.send_signal(signal.SIGTERM)
    status, out, err = launched.end(60)
    assert (status, out) == (130, "")
    assert err.splitlines()[-1].startswith("sweeper: interrupted before sweep stopped began; ")
    assert "Traceback" not in err
    with sqlite3.connect(launched.database) as connection:
        assert connection.execute("SELECT lease_expires FROM sweeps").fetchone() == (None,)


DRIVER = """
import pathlib, sys
import psutil, ray
def show(*what): print(*what, file=sys.__stdout__)
from sweeper.workers.ray import cluster
with cluster(None, n_cpus=1, image_bytes=0):
    show(psutil.Process().cmdline())
    show(ray._private.state.jobs())
    for process in psutil.Process().children(recursive=True):
        show(process.name(), process.cmdline())
    show(ray.get_runtime_context().get_session_name())
    session = pathlib.Path(ray._private.worker.global_worker.node.get_session_dir_path())
    for file in session.rglob("*"):
        if file.is_file():
            show(file.read_text(errors="replace"))
"""


def test_ray_and_the_operating_system_see_no_password() -> None:
    stores = [f"postgresql://ada:{SECRET}@db/s", f"--store=postgresql://db/s?user=ada&password={SECRET}"]
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, *stores], capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    assert "Entrypoint" in done.stdout
    assert "ada:***@db" in done.stdout
    assert "raylet" in done.stdout
    assert SECRET not in done.stdout + done.stderr
