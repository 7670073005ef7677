"""Why a worker was lost, and whether its trial may be at fault.

A node's death shows late: its workers can't be reached at once, but the cluster may take half a minute to
declare it dead. So what can't be reached counts as a lost node, unless the cluster knows of a process that
died while its node stayed up.
"""

from typing import Any, NamedTuple

import ray
from ray.exceptions import (
    ActorUnavailableError,
    ActorUnschedulableError,
    GetTimeoutError,
    OutOfMemoryError,
    RayError,
)
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from sweeper.workers.ray import nodes
from sweeper.workers.ray.worker import Worker

CERTAINTY_S = 5.0
"""How long the cluster may take to say what became of an actor that can't be reached."""

PING_S = 10.0
"""How long a node may take to run next to nothing; longer, and it counts as out of reach."""


class Death(NamedTuple):
    """A cause in a line, and whether it is a strike."""

    cause: str
    strike: bool


def of_process(worker: Worker, error: RayError) -> Death:
    """Why a call to `worker` came to nothing."""
    if isinstance(error, ActorUnavailableError):
        error = _later(worker.actor) or error
    if isinstance(error, ActorUnschedulableError) or not _is_known_alive(worker.node_id):
        return of_node(worker)
    if worker.is_draining or worker.node_id in nodes.draining():
        return by_leaving(worker)
    if isinstance(error, ActorUnavailableError | GetTimeoutError):
        return Death(f"its node {worker.host} can't be reached", strike=False)
    if worker.sign_of_life is not None and _failed(worker.sign_of_life):
        return Death("its process died before it began", strike=False)
    if isinstance(error, OutOfMemoryError):
        return Death("its process ran out of memory", strike=True)
    return Death("its process died", strike=True)


def of_node(worker: Worker) -> Death:
    """The worker's node is no more."""
    return Death(f"its node {worker.host} died", strike=False)


def by_leaving(worker: Worker) -> Death:
    """The worker's node is about to leave the cluster."""
    return Death(f"its node {worker.host} is leaving", strike=False)


def by_hanging(worker: Worker) -> Death:
    """Why `worker` has not reported within its limit: it hangs, or its node is out of reach."""
    if not _answers(worker.node_id):
        return Death(f"its node {worker.host} can't be reached", strike=False)
    return Death(f"hung: no report for {round(worker.limit_s, 1):g} s", strike=True)


def _later(actor: Any) -> RayError | None:
    """What the cluster says of an actor that could not be reached, once it knows."""
    try:
        ray.get(actor.hello.options(name="hello").remote(), timeout=CERTAINTY_S)
    except RayError as error:
        return error
    return None


def _is_known_alive(node_id: str) -> bool:
    return any(node["NodeID"] == node_id and node["Alive"] for node in ray.nodes())


def _failed(call: Any) -> bool:
    try:
        ray.get(call, timeout=CERTAINTY_S)
    except RayError:
        return True
    return False


def _answers(node_id: str) -> bool:
    """Whether the node runs a task that does nothing; the driver's own does."""
    if node_id == ray.get_runtime_context().get_node_id():
        return True
    here = NodeAffinitySchedulingStrategy(node_id, soft=False)
    ping = ray.remote(num_cpus=0, max_retries=0)(_nothing)
    return not _times_out(ping.options(name="ping", scheduling_strategy=here).remote())


def _nothing() -> None:
    pass


def _times_out(call: Any) -> bool:
    try:
        ray.get(call, timeout=PING_S)
    except RayError:
        ray.cancel(call, force=True)
        return True
    return False
