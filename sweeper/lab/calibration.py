"""How fast a machine trains an experiment's arms: what was measured, and the paces that it shows.

`lab.calibration_run` measures, `lab.forecast` turns paces into the seconds that a sweep takes.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

APART = 2.0
"""Measurements tell a step's own seconds from its samples' where samples a step differ by that factor."""


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


def calibration(measurements: Sequence[Measurement], **known: Any) -> Calibration:
    """The paces that `measurements` show; `known` are the other fields.

    Each is the median over processes and rounds, for a machine that does something else now and then.
    """
    by_arm: dict[str, list[Measurement]] = {}
    for m in measurements:
        by_arm.setdefault(m.optimizer, []).append(m)
    return Calibration(
        arms={name: _pace(of_arm) for name, of_arm in by_arm.items()},
        eval_image_s=_median(m.eval_s / m.n_evaluated for m in measurements),
        setup_s=_median(m.setup_s for m in measurements),
        **known,
    )


def _pace(measurements: Sequence[Measurement]) -> ArmPace:
    sizes = sorted({m.batch_size for m in measurements})
    per_step = [m.samples / m.steps for m in measurements]
    if sizes == [0] and max(per_step) >= APART * min(per_step):
        return _pace_of_steps(measurements)
    of_size = [[m for m in measurements if m.batch_size == size] for size in sizes]
    rates = (_median(m.train_s / m.samples for m in group) for group in of_size)
    return ArmPace(tuple(zip(sizes, rates, strict=True)))


def _median(values: Iterable[float]) -> float:
    return float(np.median(list(values)))


def _pace_of_steps(measurements: Sequence[Measurement]) -> ArmPace:
    """Measured on few and on more images: what a sample takes, and what a step takes whatever it sees."""
    samples = np.array([m.samples / m.steps for m in measurements])
    seconds = np.array([m.train_s / m.steps for m in measurements])
    sample_s, step_s = np.polyfit(samples, seconds, 1)
    if sample_s <= 0 or step_s < 0:  # too noisy to be told apart: all of it is the samples'
        sample_s, step_s = seconds.sum() / samples.sum(), 0.0
    epochs = sum(m.epochs for m in measurements) / sum(m.steps for m in measurements)
    return ArmPace(((0, float(sample_s)),), float(step_s), epochs)


def as_rows(measurements: Iterable[Measurement]) -> list[dict[str, Any]]:
    """The measurements for JSON."""
    return [dataclasses.asdict(m) for m in measurements]
