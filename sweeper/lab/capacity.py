"""How many workers this machine holds, and which GPU each of them sees: what Ray would say, without Ray."""

import contextlib
import math
import os
from pathlib import Path
from typing import Literal

from sweeper.experiment.sections import Resources


def n_workers(resources: Resources, given: int | Literal["auto", "inline"]) -> int:
    """How many workers a sweep has on this machine; `auto` is as many as fit, as Ray counts them."""
    if given == "inline":
        return 1
    return fitting(resources) if given == "auto" else given


def fitting(resources: Resources) -> int:
    """How many workers fit, at least one."""
    share = gpu_share(resources)
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


def gpu_share(resources: Resources) -> float:
    """The share of a GPU that each worker gets: `auto` is a whole one where there is any."""
    if resources.gpus_per_trial != "auto":
        return float(resources.gpus_per_trial)
    return 1.0 if _n_gpus() else 0.0


def visible_gpu(place: int, resources: Resources) -> dict[str, str]:
    """The one GPU that a process may see, as Ray shows each worker its own."""
    share = gpu_share(resources)
    if not share or share > 1:
        return {}
    visible = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    gpus = visible or [str(k) for k in range(max(_n_gpus(), 1))]
    return {"CUDA_VISIBLE_DEVICES": gpus[int(place * share) % len(gpus)]}
