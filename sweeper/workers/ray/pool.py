"""Keeps the workers' contract with actors on a Ray cluster.

One call per stretch of epochs, so nothing has to be cancelled. Ray restarts and retries nothing: a dead actor
is reported as `Lost` and replaced here. The images lie in the object store once per node, and every worker
reads them without a copy.
"""

import itertools
import math
import time
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import ActorUnavailableError, OutOfMemoryError, RayError, RayTaskError

from sweeper.errors import ClusterError
from sweeper.experiment import Experiment
from sweeper.records import Checkpoint, Phase, Trial, WorkerInfo
from sweeper.training.data import Dataset
from sweeper.workers.blame import blame, first_line
from sweeper.workers.protocol import Advanced, Lost, Slot
from sweeper.workers.ray.actor import Actor
from sweeper.workers.ray.placement import Placement

START_FAILURES = 3
"""So many workers in a row that die before they are ready end the sweep, if no other worker is left."""

NODE_DEATH_S = 5.0
"""How long a node may take to be known as dead after its actors can't be reached."""


@dataclass(slots=True)
class _Worker:
    """One actor as the driver sees it: `slot` is None until it is ready, `call` while it is idle."""

    serial: int
    actor: Any
    call: Any
    slot: Slot | None = None
    node_id: str = ""
    trial: Trial | None = None
    attempt: int = 0
    is_begun: bool = False

    @property
    def is_free(self) -> bool:
        return self.slot is not None and self.call is None and self.trial is None


class RayWorkers:
    """Keeps the contract of `Workers` with actors on the connected cluster.

    `token` is the sweep's lease token: it makes the actors' names unique to this coordinator.
    """

    def __init__(
        self,
        experiment: Experiment,
        dataset: Dataset,
        *,
        sweep: str,
        token: int,
        placement: Placement,
    ) -> None:
        self._placement = placement
        self._sweep = sweep
        self._token = token
        self._serials = itertools.count()
        self._start_failures = 0
        self._experiment = ray.put(experiment)
        self._dataset = ray.put(dataset)
        self._workers: list[_Worker] = []
        for _ in range(placement.n_workers):
            self._workers.append(self._spawn())

    def _spawn(self) -> _Worker:
        serial = next(self._serials)
        name = f"sweeper/{self._sweep}/{self._token}/{serial}"
        # num_cpus is what Ray schedules by; without it an actor is placed by one CPU and then runs on none.
        actor_class = ray.remote(max_restarts=0, max_task_retries=0, max_concurrency=1)(Actor)
        cpus, gpus = self._placement.cpus, self._placement.gpus
        try:
            actor = actor_class.options(name=name, num_cpus=cpus, num_gpus=gpus).remote(
                self._experiment, self._dataset, gpus > 0
            )
        except (RayError, ValueError) as error:  # ValueError: the name is taken, or no such share of a GPU
            self.close()
            raise ClusterError(f"Ray worker {name}: {first_line(error)}") from error
        return _Worker(serial, actor, actor.hello.options(name="start").remote())

    def slots(self) -> list[Slot]:
        """The workers that are ready and have no trial."""
        return [worker.slot for worker in self._workers if worker.is_free and worker.slot]

    def start(
        self, trial: Trial, attempt: int, *, checkpoint: Checkpoint | None = None, avoid: Slot | None = None
    ) -> Slot:
        """Give `trial` to a free worker."""
        worker = next(worker for worker in self._workers if worker.is_free)
        assert worker.slot is not None
        worker.trial, worker.attempt, worker.is_begun = trial, attempt, False
        return worker.slot

    def advance(self, slot: Slot, until_epoch: int, limit_s: float = math.inf) -> None:
        """Send the worker on; the first call carries the trial."""
        worker = self._at(slot)
        assert worker.trial is not None
        doing = "final" if worker.trial.key.phase is Phase.FINAL else "train"
        name = f"{doing}[{worker.trial.key.optimizer}]"
        trial = None if worker.is_begun else worker.trial
        worker.call = worker.actor.advance.options(name=name).remote(trial, until_epoch)
        worker.is_begun = True

    def discard(self, slot: Slot) -> None:
        """Take the trial away. A call under way is let run; what it gives is dropped."""
        self._at(slot).trial = None

    def wait(self, timeout_s: float) -> list[Advanced | Lost]:
        """Collect what workers report; replace those that died."""
        calls = {worker.call: worker for worker in self._workers if worker.call is not None}
        if not calls:
            time.sleep(timeout_s)
            return []
        ready, _ = ray.wait(list(calls), num_returns=1, timeout=timeout_s, fetch_local=False)
        if ready and len(calls) > 1:
            ready, _ = ray.wait(list(calls), num_returns=len(calls), timeout=0, fetch_local=False)
        events = (self._collect(calls[call]) for call in ready)
        return [event for event in events if event is not None]

    def close(self) -> None:
        """Kill every worker."""
        for worker in self._workers:
            ray.kill(worker.actor)
        self._workers = []

    def _at(self, slot: Slot) -> _Worker:
        return next(worker for worker in self._workers if worker.slot == slot)

    def _collect(self, worker: _Worker) -> Advanced | Lost | None:
        call, worker.call = worker.call, None
        trial, slot, attempt = worker.trial, worker.slot, worker.attempt
        try:
            result = ray.get(call)
        except RayTaskError as error:  # the trial raised; the process lives on
            worker.trial = None
            cause, strike = blame(error.cause), True
            if slot is None or self._placement.gpus:
                # A worker that can't even say hello is of no use, nor a GPU process after an error: CUDA may
                # refuse everything from then on, and such a worker would fail trial after trial.
                self._replace(worker, error)
        except RayError as error:
            cause, strike = self._replace(worker, error)
        else:
            if slot is None:
                self._welcome(worker, *result)
                return None
            if trial is None:
                return None
            done = (result.records, result.outcome, result.setup_s, result.test)
            return Advanced(slot, trial.key, attempt, *done)
        if slot is None or trial is None:
            return None
        return Lost(slot, trial.key, attempt, cause, strike)

    def _welcome(self, worker: _Worker, node_id: str, host: str, device: str) -> None:
        self._start_failures = 0
        worker.node_id = node_id
        worker.slot = WorkerInfo(worker=f"{self._token}/{worker.serial}", node=host, device=device)

    def _replace(self, worker: _Worker, error: RayError) -> tuple[str, bool]:
        """Put a new actor in the place of a dead one; why it died, and whether its trial may be at fault."""
        ray.kill(worker.actor)
        if worker.slot is None:
            self._start_failures += 1
            if self._start_failures >= START_FAILURES and not any(w.slot for w in self._workers):
                raise ClusterError(f"Ray workers can't start: {_last_line(error)}") from error
        node_lives = self._node_lives(worker, patient=isinstance(error, ActorUnavailableError))
        self._workers[self._workers.index(worker)] = self._spawn()
        if not node_lives:
            return f"its node {worker.slot.node if worker.slot else ''} died", False
        if isinstance(error, OutOfMemoryError):
            return "its process ran out of memory", True
        return "its process died", True

    def _node_lives(self, worker: _Worker, *, patient: bool) -> bool:
        """Whether the worker's node is up; `patient` gives a node that died just now time to be known."""
        deadline = time.monotonic() + (NODE_DEATH_S if patient else 0)
        while True:
            alive = {node["NodeID"] for node in ray.nodes() if node["Alive"]}
            if worker.node_id not in alive or time.monotonic() >= deadline:
                return worker.node_id in alive
            time.sleep(0.1)


def _last_line(error: BaseException) -> str:
    """A remote traceback's last line: the error itself."""
    lines = str(error).strip().splitlines()
    return lines[-1].strip() if lines else type(error).__name__
