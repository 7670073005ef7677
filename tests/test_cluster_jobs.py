"""Sweeps as jobs of a real cluster of two nodes with a token, whose store is a real PostgreSQL."""

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from started_cluster import StartedCluster, started_cluster

from sweeper.api import Sweep, load
from sweeper.errors import NotFoundError
from sweeper.records import SweepState
from sweeper.store import Store

if TYPE_CHECKING:
    from postgres_server import PostgresServer

DASHBOARDS = Path(__file__).parent.parent / "dashboards"

pytestmark = [pytest.mark.ray, pytest.mark.postgres, pytest.mark.timeout(300)]

EXPERIMENT = """
[experiment]
name = "far"
[data]
name = "synthetic"
train_size = 500
val_size = 100
test_size = 100
[model]
name = "linear"
[budget]
trials_per_optimizer = 3
epochs = 2
[search]
sampler = "random"
[final]
seeds = 1
untuned = false
[optimizers.sgd]
[optimizers.adam]
"""


@pytest.fixture(scope="module")
def store_url(postgres_server: "PostgresServer") -> str:
    return postgres_server.store_url()


@pytest.fixture(scope="module")
def store(store_url: str) -> Iterator[Store]:
    """The cluster's store, as its operator sees it."""
    opened = Store.open(store_url)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def cluster(store_url: str) -> Iterator[StartedCluster]:
    with started_cluster(SWEEPER_STORE=store_url, SWEEPER_DASHBOARD_URL="http://page.example") as cluster:
        yield cluster


@pytest.fixture
def sweeper(cluster: StartedCluster, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Calls the command line as a laptop would: without the cluster's store."""
    (tmp_path / "far.toml").write_text(EXPERIMENT)

    def call(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "sweeper", *words],
            env={**os.environ, **cluster.client, **environment},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=150,
        )

    return call


Call = Callable[..., subprocess.CompletedProcess[str]]


def finished(sweep: Sweep) -> dict[str, int]:
    return (
        sweep.trials.groupby(["optimizer", "phase"])["state"].agg(lambda s: (s == "complete").sum()).to_dict()
    )


def test_without_the_token_nobody_is_let_in(cluster: StartedCluster, sweeper: Call) -> None:
    wrong = sweeper("submit", "far.toml", RAY_AUTH_TOKEN="f" * 32)
    assert wrong.returncode == 4
    assert wrong.stderr == (
        f"sweeper: the Ray cluster at {cluster.url} refuses the token: it is not the one that the cluster "
        f"began with; set RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH\n"
    )
    missing = sweeper("jobs", RAY_AUTH_TOKEN="", RAY_AUTH_MODE="", HOME="/nonexistent")
    assert missing.returncode == 4
    assert "demands a token" in missing.stderr
    assert missing.stderr.count("\n") == 1


def test_a_sweep_is_submitted_and_followed_to_its_end(
    cluster: StartedCluster, sweeper: Call, store: Store, store_url: str
) -> None:
    first = sweeper("submit", "far.toml", SWEEPER_DASHBOARD_URL="http://page.example/")
    assert first.returncode == 0, first.stdout + first.stderr
    assert "sweep far is job sweeper-far-1 at http://" in first.stderr
    assert "live page: http://page.example/sweeps/far" in first.stdout
    for line in ("sgd/0 complete", "adam/final/0 complete", "sweep far: complete"):
        assert line in first.stdout
    sweep = load("far", store)
    assert finished(sweep) == {
        **{("sgd", "search"): 3, ("adam", "search"): 3},
        **{("sgd", "final"): 1, ("adam", "final"): 1},
    }
    assert sweep.attempts["attempt"].eq(1).all()

    [job] = json.loads(sweeper("jobs", "--json").stdout)
    assert (job["id"], job["state"], job["exit_status"]) == ("sweeper-far-1", "SUCCEEDED", 0)
    assert job["metadata"]["optimizers"] == "sgd, adam"
    assert job["metadata"]["live_page"] == "http://page.example/sweeps/far"
    assert len(job["metadata"]["experiment"]) == 64
    assert store_url not in json.dumps(job)
    assert "sgd/2 complete" in sweeper("logs", "far").stdout

    tasks = shown_by_ray(cluster, "summary", "tasks", "--address", cluster.url)
    for task in ("train[sgd]", "train[adam]", "final[sgd]", "final[adam]"):
        assert task in tasks
    assert "sweeper/far/1/0" in shown_by_ray(cluster, "list", "actors", "--address", cluster.url, "--detail")


def test_a_running_sweep_is_refused_stopped_resumed_and_ended(
    cluster: StartedCluster, sweeper: Call, store: Store, store_url: str
) -> None:
    endless = ("--set", "budget.trials_per_optimizer=1000", "--set", "budget.epochs=20")
    begun = sweeper("submit", "far.toml", "--name", "long", *endless, "--no-wait")
    assert begun.returncode == 0, begun.stderr
    refused = sweeper("submit", "far.toml", "--name", "long")
    assert refused.returncode == 2
    assert "is being run by job sweeper-long-1" in refused.stderr
    wait_for_attempts("long", store, more_than=6)
    cluster.workers()[0].kill()
    wait_for_metrics(cluster)
    flagged = sweeper("stop", "long", "--store", store_url)
    assert (flagged.returncode, flagged.stdout) == (
        0,
        "sweep long is stopped; `sweeper resume long` goes on\n",
    )
    assert load("long", store).info.state is SweepState.STOPPED

    # The store is out of a laptop's reach: then the job is ended, and the coordinator gives its work up.
    n_attempts = len(load("long", store).attempts)
    with ThreadPoolExecutor() as pool:
        resumed = pool.submit(sweeper, "resume", "long", "--address", cluster.url)
        wait_for_attempts("long", store, more_than=n_attempts)
        ended = sweeper("stop", "long")
        assert ended.returncode == 0, ended.stderr
        assert "job sweeper-long-2 is STOPPED; `sweeper resume long --address http://" in ended.stdout
        assert "sweep long is job sweeper-long-2" in resumed.result().stderr
        assert resumed.result().returncode == 130, "interrupted, and resumable"
    assert load("long", store).info.state is SweepState.INTERRUPTED
    assert not load("long", store).trials["state"].eq("running").any()
    jobs = {job["id"]: job["metadata"] for job in json.loads(sweeper("jobs", "--json").stdout)}
    assert jobs["sweeper-long-2"] == jobs["sweeper-long-1"]


def shown_by_ray(cluster: StartedCluster, *words: str) -> str:
    """What Ray's own command line shows an operator."""
    command = [str(Path(sys.executable).parent / "ray"), *words]
    environment = {**os.environ, **cluster.client, "RAY_AUTH_MODE": "token"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60).stdout


def wait_for_metrics(cluster: StartedCluster) -> None:
    """Every metric that Grafana shows is exported, with the sweep's name, while the sweep runs."""
    shown = re.findall(r"ray_sweeper_\w+", (DASHBOARDS / "grafana" / "sweeper.json").read_text())
    deadline = time.monotonic() + 60
    missing = set(shown)
    while missing and time.monotonic() < deadline:
        time.sleep(0.5)
        lines = [line for line in cluster.metrics().splitlines() if 'sweep="long"' in line]
        missing = set(shown) - {line.partition("{")[0] for line in lines}
    assert len(set(shown)) >= 8
    assert not missing
    assert any('optimizer="adam"' in line and 'state="complete"' in line for line in lines)


def wait_for_attempts(name: str, store: Store, more_than: int = 0) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        with contextlib.suppress(NotFoundError):
            if len(load(name, store).attempts) > more_than:
                return
        time.sleep(0.1)
    raise AssertionError("nothing was trained")
