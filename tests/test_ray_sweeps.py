"""Whole sweeps on real Ray processes, launched as users launch them, disturbed while they run."""

import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import psutil
import pytest
from launched import Launched, assert_same_results, end_soon, launching

import sweeper
from sweeper.api import Sweep, load, run
from sweeper.records import SweepState

pytestmark = pytest.mark.ray

EXPERIMENT = """
[experiment]
name = "disturbed"
[data]
name = "synthetic"
train_size = 1000
val_size = 200
test_size = 100
[model]
name = "lenet"
[budget]
trials_per_optimizer = 2
epochs = 3
[search]
sampler = "random"
[final]
seeds = 1
untuned = false
"""
N_TRIALS = 18
"""Twelve of the search and six finals."""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("experiment") / "disturbed.toml"
    path.write_text(EXPERIMENT)
    return path


@pytest.fixture(scope="module")
def undisturbed(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """The same sweep in one process without Ray: what every other one must agree with."""
    return run(file, f"sqlite:///{tmp_path_factory.mktemp('store')}/store.db", workers="inline")


@pytest.fixture
def launch(file: Path, tmp_path: Path) -> Iterator[Callable[..., Launched]]:
    """Starts `sweeper run` or `sweeper resume` on two Ray workers; ends what is left of it."""
    with launching(f"sqlite:///{tmp_path / 'store.db'}") as start:

        def begin(command: str = "run") -> Launched:
            return start(command, str(file) if command == "run" else "disturbed", "--workers", "2")

        yield begin


def test_two_workers_give_the_numbers_of_an_inline_run(
    file: Path, undisturbed: Sweep, tmp_path: Path
) -> None:
    sweep = sweeper.run(file, f"sqlite:///{tmp_path / 'store.db'}", workers=2)
    assert_same_results(sweep, undisturbed)
    attempts = sweep.attempts
    assert attempts["worker"].nunique() == 2, "workers stay warm from trial to trial"
    assert len(attempts) == N_TRIALS


EVERY_KIND = """
[experiment]
name = "every-kind"
[data]
name = "synthetic"
train_size = 300
val_size = 100
test_size = 100
augment = true
[model]
name = "linear"
input_size = 8
[loss]
name = "hinge"
[budget]
trials_per_optimizer = 2
epochs = 4
[search]
sampler = "random"
[final]
seeds = 1
untuned = false
[space]
schedule = ["constant", "cosine", "step"]
sampling = ["shuffle", "replacement"]
init = ["kaiming", "xavier"]
[optimizers.gd]
[optimizers.nadam]
[optimizers.lbfgs]
[optimizers.bfgs]
[optimizers.newton]
steps = 1
[optimizers.local_search]
[optimizers.radam]
class = "torch.optim.RAdam"
lr = { low = 1e-4, high = 1e-1, scale = "log" }
decoupled_weight_decay = [true, false]
"""


def test_rules_of_every_kind_give_the_numbers_of_an_inline_run_on_ray(tmp_path: Path) -> None:
    file = tmp_path / "every-kind.toml"
    file.write_text(EVERY_KIND)
    inline, on_ray = (
        run(file, f"sqlite:///{tmp_path / f'{workers}.db'}", workers=workers) for workers in ("inline", 2)
    )
    assert list(on_ray.trials["state"]) == ["complete"] * 21
    assert_same_results(on_ray, inline)
    spent = on_ray.trials.groupby("optimizer")["samples"].max() / 300
    assert spent["newton"] > 2 * 1_930  # a budget of its own
    assert spent.drop("newton").max() <= 4


def test_a_sweep_outlives_its_workers_deaths(launch: Callable[..., Launched], undisturbed: Sweep) -> None:
    launched = launch()
    for n_finished, doing in ((2, "train"), (13, "final")):
        launched.wait_until(
            lambda n=n_finished, doing=doing: launched.finished() >= n and launched.workers(doing)
        )
        for worker in launched.workers(doing)[:1]:
            worker.kill()
    status, out, err = launched.end()
    assert status == 0, err
    assert "lost: its process died" in err
    assert "raylet" not in out + err
    sweep = load("disturbed", launched.store)
    assert_same_results(sweep, undisturbed)
    lost = sweep.attempts[sweep.attempts["strike"]]
    assert 1 <= len(lost) <= 2
    assert (lost["why"] == "its process died").all()


def test_a_killed_coordinator_is_replaced_at_once_a_told_one_hands_over_and_nothing_is_lost_or_doubled(
    launch: Callable[..., Launched], undisturbed: Sweep
) -> None:
    """Killed in the search, told to end in the finals; SIGINT: test_ray_signals.py."""
    launched = launch()
    launched.wait_until(lambda: launched.finished() >= 4)
    workers = launched.workers()
    launched.process.kill()
    launched.process.communicate()
    halted = load("disturbed", launched.store)
    assert halted.info.state is SweepState.INTERRUPTED, "its process is gone, whatever its lease says"
    finished = halted.trials.loc[halted.trials["state"] == "complete"]
    given_up = workers

    launched = launch("resume")
    launched.wait_until(lambda: launched.finished() >= 13)
    launched.wait_until(lambda: len(launched.workers("train", "final")) == 2)
    workers = launched.workers()
    began = time.monotonic()
    launched.process.send_signal(signal.SIGTERM)
    launched.wait_until(launched.is_released)  # before Ray is shut down
    status, out, err = launched.end(20)
    assert time.monotonic() - began < 8, "less than 3 s where nothing else runs"
    assert (status, out) == (130, "")
    assert err.splitlines()[-1] == "sweeper: interrupted; `sweeper resume disturbed` goes on"
    assert "Traceback" not in err
    assert "waiting" not in err
    assert "SIGTERM" not in err, "Ray's own handler prints a stack"
    assert end_soon(workers)
    assert end_soon(given_up)
    halted = load("disturbed", launched.store)
    assert halted.info.state is SweepState.INTERRUPTED
    assert halted.info.trials["running"] == 0
    assert (halted.attempts["why"] == "interrupted").sum() >= 1
    assert not halted.attempts["strike"].any()

    status, out, err = launch("resume").end()
    assert status == 0, err
    assert "best setting" in out
    sweep = load("disturbed", launched.store)
    assert_same_results(sweep, undisturbed)
    kept = sweep.trials.loc[finished.index]
    pd.testing.assert_frame_equal(kept, finished)


def is_open(database: str, process: psutil.Process) -> bool:
    """Whether the process has a file of the database open."""
    return any(file.path.startswith(database) for file in process.open_files())


def test_a_database_that_is_away_for_seconds_stops_nothing_that_is_handed_out_and_loses_nothing(
    launch: Callable[..., Launched], undisturbed: Sweep
) -> None:
    launched = launch()
    launched.wait_until(lambda: launched.finished() >= 4)
    blocker = sqlite3.connect(launched.database, timeout=20, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")  # no other connection can write now
    held = launched.finished()
    time.sleep(5)
    assert is_open(launched.database, psutil.Process(launched.process.pid))
    workers = launched.workers()
    assert [is_open(launched.database, worker) for worker in workers] == [False] * 2
    assert launched.finished() == held, "a trial is over only once its end is stored"
    blocker.execute("ROLLBACK")
    blocker.close()
    status, _, err = launched.end()
    assert status == 0, err
    sweep = load("disturbed", launched.store)
    assert_same_results(sweep, undisturbed)
    assert not sweep.attempts["strike"].any()


GIVEN_UP = """
[experiment]
name = "given-up"
[data]
name = "synthetic"
train_size = 400
val_size = 200
test_size = 100
[model]
name = "linear"
input_size = 16
[budget]
trials_per_optimizer = 8
epochs = 9
[search]
pruner = "asha"
[final]
seeds = 2
[optimizers.sgd]
[optimizers.adagrad]
[optimizers.adam]
"""


@pytest.fixture
def guided(tmp_path: Path) -> Sweep:
    """A guided search that gives trials up, and its finals; a limit of seconds stopped it on its way."""
    file = tmp_path / "given-up.toml"
    file.write_text(GIVEN_UP)
    store = f"sqlite:///{tmp_path / 'store.db'}"

    def sweeper_command(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "sweeper", *words, "--store", store, "--workers", "2"]
        return subprocess.run(command, capture_output=True, text=True, timeout=110)

    first = sweeper_command("run", str(file), "--set", "budget.max_seconds=0.1")
    assert first.returncode in (0, 1), first.stderr
    assert "budget.max_seconds = 0.1 are over, " in first.stderr
    assert " s are spent; left out: " in first.stderr
    stopped = load("given-up", store)
    assert stopped.info.state is SweepState.STOPPED
    assert stopped.info.trials["running"] == 0
    n_done = int(stopped.trials["state"].isin(["complete", "pruned"]).sum())
    assert 1 <= n_done < 24
    again = sweeper_command("resume", "given-up", "--set", "budget.max_seconds=0")
    assert again.returncode == 0, again.stderr
    assert "led the search" in again.stdout or "these seeds cannot decide" in again.stdout
    return load("given-up", store)


def test_on_ray_a_guided_search_is_exact_and_balanced_and_trials_are_given_up_at_their_rung(
    guided: Sweep,
) -> None:
    assert guided.info.state is SweepState.COMPLETE
    trials, epochs = guided.trials, guided.epochs
    search, final = (trials[trials["phase"] == phase] for phase in ("search", "final"))

    assert search.groupby("optimizer")["number"].apply(sorted).tolist() == [list(range(8))] * 3
    counts = pd.get_dummies(search["optimizer"]).cumsum()  # rows are in the order of planning
    assert (counts.max(axis=1) - counts.min(axis=1)).max() <= 1
    parameters = [name for name in search if name.startswith("params.")]
    proposed = search[search["origin"] == "proposed"]
    assert not proposed.duplicated(["optimizer", *parameters]).any()
    assert (proposed["independent"] == (proposed["number"] <= 4)).all()
    independent = proposed[proposed["independent"]]
    shared = independent.groupby("number")[["seed", "params.batch_size", "params.weight_decay"]].nunique()
    assert (shared == 1).all(axis=None)

    pruned = search[search["state"] == "pruned"]
    assert len(pruned) >= 3
    assert (pruned["epochs"] == 3).all()
    assert (search.loc[search["origin"] == "default", "epochs"] == 9).all()
    assert search["epochs"].sum() <= 9 * 24 - 6 * len(pruned)
    assert epochs.groupby(["phase", "optimizer", "number"])["epoch"].max().sum() == trials["epochs"].sum()

    assert (final.loc[final["state"] == "complete", "epochs"] == 9).all()
    assert final.groupby(["optimizer", "setting"])["seed"].nunique().tolist() == [2] * 6
    assert final["seed"].nunique() == 2
    best = search[search["state"] == "complete"].query("origin == 'proposed'")
    best = best.sort_values("val_loss").groupby("optimizer")["number"].first()
    assert {setting for setting in final["setting"] if setting} == set(best)
