"""Makes worker processes and ends them."""

import itertools

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from sweeper.checkpoints import CheckpointFiles
from sweeper.errors import ClusterError
from sweeper.records import WorkerInfo
from sweeper.workers.blame import first_line
from sweeper.workers.ray import predecessors
from sweeper.workers.ray.actor import Actor
from sweeper.workers.ray.plan import Need, Node
from sweeper.workers.ray.worker import Worker


class RayAgency:
    """Makes actors and kills them."""

    def __init__(
        self,
        *,
        sweep: str,
        token: int,
        namespace: str,
        checkpoints: CheckpointFiles | None,
        actor: type[Actor],
    ) -> None:
        self._sweep, self._token, self._namespace = sweep, token, namespace
        self._checkpoints = checkpoints
        self._actor = actor
        self._serials = itertools.count()

    def hire(self, node: Node, need: Need, failures: int = 0) -> Worker:
        """A new actor on `node` and nowhere else."""
        serial = next(self._serials)
        name = predecessors.actor_name(self._sweep, self._token, serial)
        # num_cpus is what Ray schedules by; without it an actor is placed by one CPU and then runs on none.
        actor_class = ray.remote(max_restarts=0, max_task_retries=0, max_concurrency=1)(self._actor)
        try:
            actor = actor_class.options(
                name=name,
                namespace=self._namespace,
                num_cpus=need.cpus,
                num_gpus=need.gpus,
                scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False),
            ).remote(need.gpus, self._checkpoints)
        except (RayError, ValueError) as error:  # ValueError: the name is taken, or no such share of a GPU
            raise ClusterError(f"Ray worker {name}: {first_line(error)}") from error
        call = actor.hello.options(name="start").remote()
        return Worker(serial, actor, call, node.id, node.host, need.gpus, failures=failures)

    def dismiss(self, worker: Worker) -> None:
        """Kill the worker's process."""
        ray.kill(worker.actor)

    def name(self, worker: Worker, device: str) -> WorkerInfo:
        """What the coordinator calls it, and the store."""
        return WorkerInfo(worker=f"{self._token}/{worker.serial}", node=worker.host, device=device)
