"""How many workers fit on the connected cluster, and what each gets."""

from typing import Literal

import ray


def gpu_share(wanted: float | Literal["auto"]) -> float:
    """The share of a GPU that each worker gets: `auto` is a whole one where the cluster has any."""
    if wanted != "auto":
        return wanted
    return 1.0 if ray.cluster_resources().get("GPU", 0) else 0.0


def capacity(cpus: int, gpus: float) -> int:
    """How many workers with that share of processors and GPUs fit on the cluster's living nodes."""
    total = 0
    for node in ray.nodes():
        if node["Alive"]:
            has = node["Resources"]
            fits = int(has.get("CPU", 0) // cpus)
            total += min(fits, int(has.get("GPU", 0) / gpus + 1e-9)) if gpus else fits
    return total
