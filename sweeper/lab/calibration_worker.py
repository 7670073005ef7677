"""What runs in each process of a calibration: trains every arm for a moment, on a part of the images.

`python -m sweeper.lab.calibration_worker` reads a job (a line of JSON) from stdin, says when its first steps
are done, waits for a line, measures, and writes the measurements as a line of JSON.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sweeper import experiment as experiments
from sweeper import optimizers, space
from sweeper.experiment import ArmSpace, Experiment
from sweeper.lab.calibration import Measurement, as_rows
from sweeper.optimizers.arm import Sees
from sweeper.records import EpochRecord, Origin, Phase, Trial, TrialKey
from sweeper.training.data import Dataset, Split
from sweeper.training.device import DeviceData, choose, configure, name
from sweeper.training.loop import SUBSET_SIZE, Training
from sweeper.training.objective import CHUNK

PROBE = 256
"""Images of an arm's first epochs, which load what torch loads lazily and show how many fit a moment."""

LEAST = 64
"""No arm is measured on fewer images."""

ROUNDS = 3
"""So many times every arm is measured."""

SIZES = 3
"""So many batch sizes are measured where the space has more: both ends and the middle one."""


@dataclass(frozen=True, slots=True)
class Point:
    """One arm at one batch size (0: it takes none), on `share` of the images that fit a moment."""

    arm: ArmSpace
    batch_size: int
    share: float = 1.0


def points(experiment: Experiment) -> list[Point]:
    """What is measured: every arm, at each batch size that it may have or both ends and the middle.

    A rule that asks for the loss has work at each step whatever the step sees; it is measured on few images
    too, so that both can be told apart.
    """
    found = []
    for arm in experiment.arms:
        if arm.arm.sees is Sees.LOSS:
            found += [Point(arm, 0, 0.25), Point(arm, 0)]
        elif arm.arm.sees is Sees.MINIBATCHES:
            found += [Point(arm, size) for size in batch_sizes(arm)]
        else:
            found.append(Point(arm, 0))
    return found


def batch_sizes(arm: ArmSpace) -> list[int]:
    """The batch sizes at which an arm is measured, ascending."""
    dimension = arm.space["batch_size"]
    values = sorted({int(value) for value in (*space.extremes(dimension), space.lower_middle(dimension))})
    return values if len(values) <= SIZES else [values[0], values[len(values) // 2], values[-1]]


class Stopwatch:
    """Trains arms for a moment each, and tells what it took."""

    def __init__(self, experiment: Experiment, images: Dataset, *, use_gpu: bool, seconds: float) -> None:
        configure(threads=experiment.resources.cpus_per_trial)
        endless = experiment.budget.model_copy(update={"epochs": 10**9, "eval_every": 1})
        self._experiment = replace(
            experiment, budget=endless, arms=tuple(replace(arm, steps=None) for arm in experiment.arms)
        )
        self._images = images
        self._device = choose(use_gpu)
        self._points = points(self._experiment)
        self._moment_s = seconds / len(self._points) / ROUNDS

    @property
    def device(self) -> str:
        """The device's model."""
        return name(self._device)

    def begin(self) -> float:
        """Train the first epochs, on few images; the seconds that they would have taken later on."""
        self._run(self._points[0], PROBE, moment_s=0)
        steady = self._run(self._points[0], PROBE, moment_s=0)
        return 4 * (steady.train_s + steady.eval_s) + 2 * steady.setup_s

    def measure(self) -> Iterator[Measurement]:
        """Measurements of every point, in rounds, so that whatever else the machine does hits all alike."""
        fitting = [self._fitting(point) for point in self._points]
        for _ in range(ROUNDS):
            for point, n_images in zip(self._points, fitting, strict=True):
                yield self._run(point, n_images, moment_s=self._moment_s * 2 / 3)

    def _fitting(self, point: Point) -> int:
        """How many images make an epoch of a third of a moment: the first one isn't counted."""
        probe = self._run(point, max(PROBE, 4 * point.batch_size), moment_s=0)
        n_probed = probe.samples / probe.epochs
        fits = point.share * n_probed * self._moment_s / 3 * probe.epochs / max(probe.train_s, 1e-6)
        least = SUBSET_SIZE if point.arm.arm.sees is Sees.SUBSET else max(4 * point.batch_size, LEAST)
        return int(max(fits, least))

    def _run(self, point: Point, n_images: int, *, moment_s: float) -> Measurement:
        """Train for `moment_s`, at least an epoch, on the first `n_images`, or as many as there are."""
        data = self._part(n_images)
        epochs = _Epochs(lambda: Training(_trial(point), self._experiment, data))
        next(epochs)  # makes the rule's state: not counted
        records: list[tuple[EpochRecord, EpochRecord | None]] = []
        started = time.perf_counter()
        while not records or time.perf_counter() - started < moment_s:
            records.append(next(epochs))
        samples = sum(r.samples - (b.samples if b else 0) for r, b in records)
        n_train, n_val = len(data.train), len(data.val)
        n_each = n_val + (min(n_train, n_val) if self._experiment.objective == "train_loss" else 0)
        return Measurement(
            optimizer=point.arm.name,
            batch_size=point.batch_size,
            samples=samples,
            steps=sum(r.steps - (b.steps if b else 0) for r, b in records),
            epochs=samples / n_train,
            train_s=sum(r.train_s for r, _ in records),
            eval_s=sum(r.eval_s for r, _ in records),
            n_evaluated=n_each * len(records),
            setup_s=epochs.setup_s,
        )

    def _part(self, n_images: int) -> DeviceData:
        train, val = self._images.train, self._images.val
        n_val = min(len(val), max(CHUNK, n_images // 4))
        part = replace(
            self._images,
            train=Split(train.images[:n_images], train.labels[:n_images]),
            val=Split(val.images[:n_val], val.labels[:n_val]),
        )
        return DeviceData(part, self._device)


class _Epochs:
    """Epoch after epoch of a training; one that ends, because it diverged or converged, begins anew.

    Gives each record with the one before it in the same training.
    """

    def __init__(self, make: Callable[[], Training]) -> None:
        self._make = make
        self._begin()

    def _begin(self) -> None:
        started = time.perf_counter()
        self._training = self._make()
        self.setup_s = time.perf_counter() - started
        self._last: EpochRecord | None = None

    def __iter__(self) -> "_Epochs":
        return self

    def __next__(self) -> tuple[EpochRecord, EpochRecord | None]:
        while True:
            record = None if self._training.is_finished else self._training.next_epoch()
            if record is not None:
                before, self._last = self._last, record
                return record, before
            self._begin()


def _trial(point: Point) -> Trial:
    """The middle of the arm's space."""
    values = {name: space.lower_middle(dimension) for name, dimension in point.arm.space.items()}
    if point.batch_size:
        values["batch_size"] = point.batch_size
    return Trial(
        key=TrialKey(point.arm.name, Phase.SEARCH, 0),
        seed=0,
        params=optimizers.rule_params(values),
        proposal={},
        origin=Origin.DEFAULT,
        independent=False,
        setting=0,
    )


def _mapped(folder: Path, facts: dict[str, Any]) -> Dataset:
    def split(name: str) -> Split:
        arrays = (np.load(folder / f"{name}-{what}.npy", mmap_mode="r") for what in ("images", "labels"))
        return Split(*map(np.asarray, arrays))

    val = split("val")
    return Dataset(source="", sha256="", train=split("train"), val=val, test=val, **facts)


def main() -> None:
    """Do the job that stdin gives."""
    job = json.loads(sys.stdin.readline())
    os.nice(job["niceness"])
    experiment = experiments.from_document(job["experiment"], is_resolved=True)
    images = _mapped(Path(job["folder"]), job["facts"])
    stopwatch = Stopwatch(experiment, images, use_gpu=job["use_gpu"], seconds=job["seconds"])
    steady_s = stopwatch.begin()
    print(json.dumps({"device": stopwatch.device, "steady_s": steady_s}), flush=True)
    sys.stdin.readline()
    print(json.dumps(as_rows(stopwatch.measure())), flush=True)


if __name__ == "__main__":
    main()
