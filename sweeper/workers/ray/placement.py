"""What each worker gets, and how many there may be."""

from dataclasses import dataclass
from typing import Literal

import ray

from sweeper.errors import ClusterError
from sweeper.experiment.sections import Resources
from sweeper.workers.ray import nodes, plan
from sweeper.workers.ray.plan import Need


@dataclass(frozen=True, slots=True)
class Placement:
    """What each worker gets, and how many workers there may be at most; None: as many as fit.

    `may_share`: `gpus` is where a sweep begins, and a smaller share is found by measuring. `asks_for_nodes`:
    an autoscaler is told what the sweep could use.
    """

    cpus: int
    gpus: float
    n_workers: int | None
    may_share: bool = False
    asks_for_nodes: bool = False


def place(
    resources: Resources,
    n_workers: int | Literal["auto"],
    *,
    n_trials: int | None = None,
    is_joined: bool = False,
) -> Placement:
    """The workers that `resources` asks for on the connected cluster; `auto` is as many as fit.

    More than `n_trials` would find no work. `is_joined`: the cluster is not this process's own, and may have
    an autoscaler. Raises ClusterError where not even one fits on any node, nor on one that could be added.
    """
    gpus = gpus_each(resources.gpus_per_trial)
    need = Need(resources.cpus_per_trial, gpus)
    if not capacity(need) and not (is_joined and nodes.may_grow()):
        needs = f"{need.cpus} CPU and {gpus:g} GPU"
        raise ClusterError(f"no node of the Ray cluster has the {needs} that a worker needs")
    limits = [limit for limit in (n_workers, n_trials) if limit is not None and limit != "auto"]
    return Placement(
        need.cpus,
        gpus,
        min(limits, default=None),
        may_share=resources.gpus_per_trial == "auto" and gpus > 0,
        asks_for_nodes=is_joined,
    )


def gpus_each(wanted: float | Literal["auto"]) -> float:
    """How much of a GPU each worker begins with: `auto` is a whole one where the cluster has any."""
    if wanted != "auto":
        return wanted
    return 1.0 if ray.cluster_resources().get("GPU", 0) else 0.0


def capacity(need: Need) -> int:
    """How many such workers fit on the cluster's living nodes."""
    return plan.room(nodes.survey(), need)
