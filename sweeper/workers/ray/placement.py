"""How many workers fit on the connected cluster, and what each gets."""

from dataclasses import dataclass
from typing import Literal

import ray

from sweeper.errors import ClusterError
from sweeper.experiment.sections import Resources
from sweeper.workers.ray import nodes

MOST = 1_000
"""So many workers that need nothing fit on a node."""


@dataclass(frozen=True, slots=True)
class Placement:
    """What each worker gets, and how many workers there shall be; `grows`: as many as fit at any time."""

    cpus: int
    gpus: float
    n_workers: int
    grows: bool = False


def place(resources: Resources, n_workers: int | Literal["auto"]) -> Placement:
    """The workers that `resources` asks for on the connected cluster; `auto` is as many as fit.

    Raises ClusterError where not even one fits on any node.
    """
    cpus, gpus = resources.cpus_per_trial, gpu_share(resources.gpus_per_trial)
    fitting = capacity(cpus, gpus)
    if not fitting:
        needs = f"{cpus} CPU and {gpus:g} GPU"
        raise ClusterError(f"no node of the Ray cluster has the {needs} that a worker needs")
    grows = n_workers == "auto"
    return Placement(cpus, gpus, fitting if n_workers == "auto" else n_workers, grows)


def gpu_share(wanted: float | Literal["auto"]) -> float:
    """The share of a GPU that each worker gets: `auto` is a whole one where the cluster has any."""
    if wanted != "auto":
        return wanted
    return 1.0 if ray.cluster_resources().get("GPU", 0) else 0.0


def capacity(cpus: int, gpus: float) -> int:
    """How many workers with that share of processors and GPUs fit on the nodes that are up and stay."""
    wanted = {"CPU": cpus, "GPU": gpus}
    shares = {resource: share for resource, share in wanted.items() if share}
    return sum(
        min(
            (int(node["Resources"].get(name, 0) / share + 1e-9) for name, share in shares.items()),
            default=MOST,
        )
        for node in nodes.living()
    )
