"""Measures how fast this machine trains an experiment's arms, as the sweep will train them.

As many processes train at once as there will be workers, for workers on one machine slow each other down
(`lab.calibration_worker` is what runs in each). Without Ray. `lab.forecast` turns what was measured into the
seconds that a sweep takes.
"""

import contextlib
import dataclasses
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np

from sweeper.errors import SweeperError
from sweeper.experiment import Experiment
from sweeper.experiment.sections import Resources
from sweeper.training.data import Dataset

SECONDS = 8.0
"""About how long all arms together are trained."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """What training one arm at one batch size for a moment took, in one process.

    `batch_size` is 0 where the rule takes no batches. Samples are counted as in the budget; `epochs` is how
    many times the images of the moment they are.
    """

    optimizer: str
    batch_size: int
    samples: int
    steps: int
    epochs: float
    train_s: float
    eval_s: float
    n_evaluated: int
    setup_s: float


@dataclass(frozen=True, slots=True)
class ArmPace:
    """How fast an arm trains: `by_batch_size` holds (batch size, seconds a sample), batch sizes ascending.

    A step takes `step_s` beyond its samples, and `step_epochs` epochs' worth of them; both are 0 where the
    seconds a sample say it all.
    """

    by_batch_size: tuple[tuple[int, float], ...]
    step_s: float = 0.0
    step_epochs: float = 0.0

    def sample_s(self, batch_size: float = 0) -> float:
        """Seconds a sample at `batch_size`: linear in steps per sample between those measured."""
        sizes = [size for size, _ in self.by_batch_size]
        seconds = [s for _, s in self.by_batch_size]
        if len(sizes) == 1 or not batch_size:
            return seconds[0]
        per_sample = [1 / size for size in sizes]
        return float(np.interp(1 / batch_size, per_sample[::-1], seconds[::-1]))


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was measured, on which device, with `n_workers` training at once; seconds of a worker.

    `slowdown` says how many workers share what one was measured with, where there will be more than fit.
    `ready_s` passes from a worker's start to its first steady step, `load_s` until the images are read.
    """

    device: str
    n_workers: int
    uses_ray: bool
    load_s: float
    ready_s: float
    setup_s: float
    eval_image_s: float
    arms: dict[str, ArmPace]
    slowdown: float = 1.0


def n_workers(resources: Resources, given: int | Literal["auto", "inline"]) -> int:
    """How many workers a sweep has on this machine; `auto` is as many as fit, as Ray counts them."""
    if given == "inline":
        return 1
    return _fitting(resources) if given == "auto" else given


def measure(
    experiment: Experiment,
    images: Dataset,
    given: int | Literal["auto", "inline"],
    *,
    n_trials: int,
    load_s: float,
    seconds: float = SECONDS,
) -> Calibration:
    """Measure for `seconds` in as many processes as will train at once, of at most `n_trials` trials.

    Raises SweeperError where a process fails, which a trial of the sweep would do too.
    """
    wanted = n_workers(experiment.resources, given)
    at_once = min(wanted, _fitting(experiment.resources), n_trials)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        _save(images, Path(folder))
        job = json.dumps(
            {
                "experiment": experiment.document(),
                "folder": folder,
                "facts": {key: getattr(images, key) for key in ("name", "n_classes", "mean", "std")},
                "seconds": seconds,
                "use_gpu": _gpu_share(experiment.resources) > 0 and given != "inline",
            }
        )
        processes = [stack.enter_context(_Process(k, experiment.resources, job)) for k in range(at_once)]
        hellos = [process.ready() for process in processes]
        for process in processes:
            process.go()
        measured = [process.measurements() for process in processes]
    return calibration(
        [m for of_one in measured for m in of_one],
        device=hellos[0][1],
        n_workers=wanted,
        uses_ray=given != "inline",
        load_s=load_s,
        ready_s=float(np.mean([ready_s for ready_s, _ in hellos])),
        slowdown=max(1.0, min(wanted, n_trials) / at_once),
    )


def calibration(measurements: Sequence[Measurement], **known: Any) -> Calibration:
    """The paces that `measurements` show, averaged over the processes; `known` are the other fields."""
    by_arm: dict[str, list[Measurement]] = {}
    for m in measurements:
        by_arm.setdefault(m.optimizer, []).append(m)
    return Calibration(
        arms={name: _pace(of_arm) for name, of_arm in by_arm.items()},
        eval_image_s=sum(m.eval_s for m in measurements) / max(sum(m.n_evaluated for m in measurements), 1),
        setup_s=float(np.median([m.setup_s for m in measurements])),
        **known,
    )


def _pace(measurements: Sequence[Measurement]) -> ArmPace:
    sizes = sorted({m.batch_size for m in measurements})
    if sizes == [0] and len({round(m.samples / m.steps) for m in measurements}) > 1:
        return _pace_of_steps(measurements)
    of_size = [[m for m in measurements if m.batch_size == size] for size in sizes]
    rates = (sum(m.train_s for m in group) / sum(m.samples for m in group) for group in of_size)
    return ArmPace(tuple(zip(sizes, rates, strict=True)))


def _pace_of_steps(measurements: Sequence[Measurement]) -> ArmPace:
    """Measured on few and on more images: what a sample takes, and what a step takes whatever it sees."""
    samples = np.array([m.samples / m.steps for m in measurements])
    seconds = np.array([m.train_s / m.steps for m in measurements])
    sample_s, step_s = np.polyfit(samples, seconds, 1)
    if sample_s <= 0 or step_s < 0:  # too noisy to be told apart: all of it is the samples'
        sample_s, step_s = seconds.sum() / samples.sum(), 0.0
    epochs = sum(m.epochs for m in measurements) / sum(m.steps for m in measurements)
    return ArmPace(((0, float(sample_s)),), float(step_s), epochs)


class _Process(contextlib.AbstractContextManager["_Process"]):
    """One process that trains: ready, go, measurements. Ended with the block, whatever happened."""

    def __init__(self, place: int, resources: Resources, job: str) -> None:
        self._started = time.perf_counter()
        self._log: IO[str] = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed by __exit__)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sweeper.lab.calibration_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env={**os.environ, **_visible_gpu(place, resources)},
            text=True,
        )
        self._say(job)

    def __exit__(self, *exception: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._log.close()

    def ready(self) -> tuple[float, str]:
        """Wait until it has trained its first steps: the seconds since its start, and its device."""
        told = json.loads(self._line())
        return time.perf_counter() - self._started - told["steady_s"], told["device"]

    def go(self) -> None:
        """Let it measure, beside the others."""
        self._say("go")

    def measurements(self) -> list[Measurement]:
        """What it measured, once it is through."""
        rows = json.loads(self._line())
        return [Measurement(**row) for row in rows]

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # a process that died is found out by its silence
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()

    def _line(self) -> str:
        assert self._process.stdout is not None
        if line := self._process.stdout.readline():
            return line
        self._log.seek(0)
        last = (self._log.read().strip() or "it said nothing").splitlines()[-1]
        raise SweeperError(f"the calibration failed: {last}; --no-calibrate plans without seconds")


def _save(images: Dataset, folder: Path) -> None:
    """Arrays that every process maps into its memory, as Ray's workers share them."""
    for split in ("train", "val"):
        np.save(folder / f"{split}-images.npy", getattr(images, split).images)
        np.save(folder / f"{split}-labels.npy", getattr(images, split).labels)


def _fitting(resources: Resources) -> int:
    share = _gpu_share(resources)
    fits = _n_cores() // resources.cpus_per_trial
    return max(1, min(fits, int(_n_gpus() / share + 1e-9)) if share else fits)


def _n_cores() -> int:
    """The machine's cores, or the container's where it is allowed fewer, as Ray counts them."""
    cores = os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError):
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        cores = min(cores, max(1, math.floor(float(quota) / float(period))))  # "max" is no number
    return cores


def _n_gpus() -> int:
    import torch  # takes seconds, and a file without GPUs needs none

    return torch.cuda.device_count()


def _gpu_share(resources: Resources) -> float:
    if resources.gpus_per_trial != "auto":
        return float(resources.gpus_per_trial)
    return 1.0 if _n_gpus() else 0.0


def _visible_gpu(place: int, resources: Resources) -> dict[str, str]:
    """The one GPU that a process may see, as Ray shows each worker its own."""
    share = _gpu_share(resources)
    if not share or share > 1:
        return {}
    named: Iterable[str] = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    visible: Iterator[str] = (name for name in named if name)
    gpus = list(visible) or [str(k) for k in range(max(_n_gpus(), 1))]
    return {"CUDA_VISIBLE_DEVICES": gpus[int(place * share) % len(gpus)]}


def as_rows(measurements: Iterable[Measurement]) -> list[dict[str, Any]]:
    """The measurements for JSON."""
    return [dataclasses.asdict(m) for m in measurements]
