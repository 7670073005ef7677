"""What Ray says of its nodes, and what is asked of those who can add some."""

import contextlib
from collections.abc import Mapping
from typing import Any

import ray
from ray.exceptions import RayError

from sweeper.workers.ray.plan import Need, Node

MOST_BUNDLES = 1_000
"""An autoscaler is asked for no more workers than this at once."""


def survey() -> list[Node]:
    """The nodes that are alive; none while the head can't be asked.

    Takes three calls of the head, about half a millisecond each.
    """
    leaving, free = draining(), _free()
    try:
        return [_node(entry, free, leaving) for entry in ray.nodes() if entry["Alive"]]
    except RayError:
        return []


def draining() -> frozenset[str]:
    """The ids of the nodes that are about to leave. Ray has no public call for that."""
    try:
        return frozenset(ray._private.state.state.get_draining_nodes())
    except (AttributeError, RayError):
        return frozenset()


def may_grow() -> bool:
    """Whether an autoscaler says that it could add nodes."""
    try:
        return bool(ray._private.state.state.get_max_resources_from_cluster_config())
    except (AttributeError, RayError):
        return False


def ask_for(need: Need, n_workers: int) -> None:
    """Ask the autoscaler for a cluster with room for `n_workers`; 0 takes it back.

    The latest request of all counts until the next; where there is no autoscaler nobody reads it.
    """
    from ray.autoscaler.sdk import request_resources  # a tenth of a second, which a private cluster can spare

    bundle = {"CPU": need.cpus, **({"GPU": need.gpus} if need.gpus else {})}
    with contextlib.suppress(RayError, RuntimeError, OSError):
        request_resources(bundles=[bundle] * min(n_workers, MOST_BUNDLES))


def _free() -> Mapping[str, Mapping[str, float]]:
    """What nobody holds, by node; a node that is not told of has all."""
    try:
        known: Mapping[str, Mapping[str, float]] = ray._private.state.available_resources_per_node()
    except (AttributeError, RayError):
        return {}
    return known


def _node(entry: Mapping[str, Any], free: Mapping[str, Mapping[str, float]], leaving: frozenset[str]) -> Node:
    name, has = entry["NodeID"], entry["Resources"]
    left = free.get(name, has)
    return Node(
        id=name,
        host=entry["NodeManagerHostname"],
        cpus=has.get("CPU", 0),
        gpus=has.get("GPU", 0),
        free_cpus=left.get("CPU", 0),
        free_gpus=left.get("GPU", 0),
        is_draining=name in leaving,
    )
