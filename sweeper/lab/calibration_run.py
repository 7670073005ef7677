"""Runs a calibration: as many processes at once as there will be workers, each of which trains every arm.

Without Ray. `lab.calibration_worker` is what runs in each process.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, Literal

import numpy as np

from sweeper.errors import SweeperError
from sweeper.experiment import Experiment
from sweeper.experiment.sections import Resources
from sweeper.lab.calibration import Calibration, Measurement, calibration
from sweeper.lab.capacity import fitting, gpu_share, n_workers, visible_gpu
from sweeper.training.data import Dataset

SECONDS = 8.0
"""About how long all arms together are trained."""

RAY_NICENESS = 15
"""Ray lets its workers give way to other processes of the machine so far, unless told otherwise."""


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
    at_once = min(wanted, fitting(experiment.resources), n_trials)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        _save(images, Path(folder))
        job = json.dumps(
            {
                "experiment": experiment.document(),
                "folder": folder,
                "facts": {key: getattr(images, key) for key in ("name", "n_classes", "mean", "std")},
                "seconds": seconds,
                "niceness": 0 if given == "inline" else RAY_NICENESS,
                "use_gpu": gpu_share(experiment.resources) > 0 and given != "inline",
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
            env={**os.environ, **visible_gpu(place, resources)},
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
