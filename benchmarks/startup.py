"""How long does it take from `sweeper run` to the first training step, and where does the time go?

All of CIFAR-10, two workers, SQLite; the model is linear, so that a run is over soon. Seconds count from the
moment that the process is started. The first step begins when the first trial has been handed out and its
network is built. The floor starts Python and Ray with Sweeper's options, and two actors that import torch;
beside it stands when they have taken one step of a torch optimizer, which makes torch import more. Sides
alternate, files are in the system's cache, medians are compared. The stages are of further runs, with the
clock read at each.

    python benchmarks/startup.py --repetitions 5 --json startup.json
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import measured

FLOOR = """
import json, logging, time
import ray

ray.init(
    address="local", num_cpus=2, include_dashboard=False, object_store_memory=2**28,
    log_to_driver=False, logging_level=logging.ERROR,
)
reached = {"Ray is up": time.time()}

@ray.remote(num_cpus=1)
class Torch:
    def __init__(self):
        import torch
        self.weight = torch.zeros(1, requires_grad=True)
    def ready(self):
        pass
    def step(self):
        import torch
        self.weight.sum().backward()
        torch.optim.SGD([self.weight]).step()

actors = [Torch.remote() for _ in range(2)]
ray.get([actor.ready.remote() for actor in actors])
reached["two actors have imported torch"] = time.time()
ray.get([actor.step.remote() for actor in actors])
reached["they have taken a step"] = time.time()
print(json.dumps(reached))
"""
EXPERIMENT = """
[experiment]
name = "startup"
[data]
name = "cifar10"
[model]
name = "linear"
[budget]
epochs = 1
trials_per_optimizer = 2
[final]
top_k = 0
[space]
batch_size = 128
[optimizers.momentum]
"""


def main() -> None:
    """Run all sides, alternating, and print seconds."""
    parser = measured.options(__doc__)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--train-size", type=int, default=45_000)
    parser.add_argument("--side", choices=("stages",), help=argparse.SUPPRESS)
    parser.add_argument("--began", type=float, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side:
        measured.tell(_stages(given.began, given.train_size))
        return
    taken: dict[str, list[float]] = {}
    for repetition in range(given.repetitions):
        now = {f"floor: {name}": at for name, at in _floor().items()}
        now |= _sweeper_run(given.train_size)
        asked = ("--side", "stages", "--began", time.time(), "--train-size", given.train_size)
        now |= {f"stages: {name}": at for name, at in measured.side("startup.py", *asked).items()}
        for name, at in now.items():
            taken.setdefault(name, []).append(at)
        measured.progress(f"{repetition + 1}: {now}")
    floor = measured.median(taken["floor: two actors have imported torch"])
    table = [
        {"until": name, "s": measured.spread(at), "- floor": measured.median(at) - floor}
        for name, at in taken.items()
    ]
    measured.show(f"Seconds since the process was started, {given.repetitions} repetitions", table)
    measured.save(given.json, "startup", {"startup": table}, seconds=taken)


def _sweeper_run(train_size: int) -> dict[str, float]:
    """Seconds from the command to the first step, from what the store holds; the first run makes it."""
    with tempfile.TemporaryDirectory() as folder:
        file, store = Path(folder) / "startup.toml", f"sqlite:///{Path(folder) / 'startup.db'}"
        file.write_text(EXPERIMENT, encoding="utf-8")
        smaller = ("--set", f"data.train_size={train_size}")
        command = [sys.executable, "-m", "sweeper", "run", str(file), "--store", store, "--workers", "2"]
        found = {}
        for name, where in (("startup", "a new store"), ("again", "a store that exists")):
            began = time.time()
            done = subprocess.run([*command, *smaller, "--name", name], capture_output=True, text=True)
            if done.returncode:
                raise SystemExit(done.stderr)
            found[f"sweeper run, {where}: the first step begins"] = _first_step(store, name) - began
        return found


def _first_step(store: str, name: str) -> float:
    import sweeper

    trials = sweeper.load(name, store=store).trials
    dispatched = trials["started_at"].map(lambda at: at.timestamp())
    return float((dispatched + trials["setup_s"]).min())


def _floor() -> dict[str, float]:
    # Like Sweeper, without a token in the user's home, and without statistics to Ray's makers.
    private = {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
    environment = {**os.environ, **private, "OMP_NUM_THREADS": "1"}
    began = time.time()
    done = subprocess.run(
        [sys.executable, "-c", FLOOR], check=True, capture_output=True, text=True, env=environment
    )
    reached: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return {stage: at - began for stage, at in reached.items()}


def _stages(began: float, train_size: int) -> dict[str, float]:
    """Run the sweep in this process, and read the clock where its parts begin and end."""
    reached: dict[str, float] = {}

    def note(stage: str) -> None:
        reached.setdefault(stage, time.time() - began)

    def noted(owner: Any, name: str, before: str = "", after: str = "") -> None:
        inner = getattr(owner, name)

        def outer(*arguments: Any, **named: Any) -> Any:
            if before:
                note(before)
            result = inner(*arguments, **named)
            if after:
                note(after)
            return result

        setattr(owner, name, outer)

    note("Python runs")
    import sweeper
    from sweeper import experiment as experiments
    from sweeper.api import execution

    note("the command is imported")
    noted(execution.Loading, "_run", after="the images are loaded")
    import ray

    noted(ray, "init", "Ray is imported", "Ray is up")
    from sweeper.coordinator import Coordinator
    from sweeper.workers.ray.pool import RayWorkers
    from sweeper.workers.ray.worker import Worker

    noted(Coordinator, "run", "workers are asked for")
    noted(Worker, "arrived", "the first worker's process runs")
    noted(RayWorkers, "_welcome", "the first worker has imported torch")
    experiment = experiments.loads(EXPERIMENT.replace('"cifar10"', f'"cifar10"\ntrain_size = {train_size}'))
    with tempfile.TemporaryDirectory() as folder:
        store = f"sqlite:///{Path(folder) / 'startup.db'}"
        sweeper.run(experiment, store=store, workers=2)
        reached["the first step begins"] = _first_step(store, "startup") - began
    return dict(sorted(reached.items(), key=lambda each: each[1]))


if __name__ == "__main__":
    sys.exit(main())
