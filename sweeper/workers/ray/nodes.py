"""Which nodes the connected cluster has, which of them leave, and what its autoscaler may add."""

import logging
from typing import Any

import ray
from ray.autoscaler.sdk import request_resources
from ray.exceptions import RayError

logger = logging.getLogger("sweeper.ray")


def living() -> list[dict[str, Any]]:
    """The nodes that are up and stay."""
    leaving = draining()
    return [node for node in ray.nodes() if node["Alive"] and node["NodeID"] not in leaving]


def draining() -> frozenset[str]:
    """The ids of the nodes that are up and about to leave: preempted, or taken away by their operator.

    Ray has no public way to ask; where its own way is gone, none is seen leaving, and a node that went is
    noticed by its silence.
    """
    try:
        return frozenset(ray._private.state.state.get_draining_nodes())
    except (AttributeError, RayError):
        return frozenset()


def ask_for(n_workers: int, cpus: int, gpus: float) -> None:
    """Tell the cluster's autoscaler, if it has one, how many workers would have work; 0 takes it back."""
    share = {"CPU": float(cpus), **({"GPU": gpus} if gpus else {})}
    try:
        request_resources(bundles=[share] * n_workers)
    except (RayError, OSError, ValueError) as error:
        logger.debug("the autoscaler can't be asked: %s", error)
