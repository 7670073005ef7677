"""Keeps the workers' contract with actors on a Ray cluster.

One call per stretch of epochs, so nothing has to be cancelled. Ray restarts and retries nothing: an actor
that dies or hangs is reported as `Lost` and replaced here. The images lie in the object store once per node,
and every worker reads them without a copy.
"""

import itertools
import logging
import math
import time
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from sweeper.checkpoints import CheckpointFiles
from sweeper.errors import ClusterError
from sweeper.experiment import Experiment
from sweeper.records import Checkpoint, Trial, WorkerInfo
from sweeper.training.data import Dataset
from sweeper.workers.blame import blame, first_line
from sweeper.workers.protocol import Advanced, Lost, Slot
from sweeper.workers.ray import deaths, nodes, predecessors
from sweeper.workers.ray.actor import Actor, Unreadable
from sweeper.workers.ray.deaths import Death
from sweeper.workers.ray.patience import Vacancy, Wakefulness
from sweeper.workers.ray.placement import Placement, capacity
from sweeper.workers.ray.worker import Worker

logger = logging.getLogger("sweeper.ray")

START_FAILURES = 3
"""So many actors in a row that die in one place before they are ready end the sweep, if there is no other."""

LOOK_S = 2.0
"""How often the pool looks which nodes there are; it takes about a millisecond."""

VACANT_S = 60.0
"""After so long without any worker it is worth a line."""


class RayWorkers:
    """Keeps the contract of `Workers` with actors on the connected cluster.

    `token` is the sweep's lease token: it makes the actors' names unique to this coordinator. `namespace` is
    the sweep's own; workers in it with an older token are killed. `checkpoints` is where progress is saved.
    """

    def __init__(
        self,
        experiment: Experiment,
        dataset: Dataset,
        *,
        sweep: str,
        token: int,
        placement: Placement,
        namespace: str = "sweeper",
        checkpoints: CheckpointFiles | None = None,
    ) -> None:
        self._placement = placement
        self._sweep = sweep
        self._token = token
        self._namespace = namespace
        self._checkpoints = checkpoints
        self._serials = itertools.count()
        self._wakefulness = Wakefulness()
        self._vacancy = Vacancy(VACANT_S)
        if n_ended := predecessors.end_older(namespace, sweep, token):
            logger.info("sweep %s: ended %d workers of an earlier coordinator", sweep, n_ended)
        self._experiment = ray.put(experiment)
        self._dataset = ray.put(dataset)
        self._workers: list[Worker] = []
        self._leaving: frozenset[str] = frozenset()
        self._looked_at = -math.inf
        self._given_back: list[Lost] = []
        self._resize()
        if placement.grows:
            nodes.ask_for(experiment.n_trials, placement.cpus, placement.gpus)

    def _spawn(self, failures: int = 0) -> Worker:
        serial = next(self._serials)
        name = predecessors.actor_name(self._sweep, self._token, serial)
        # num_cpus is what Ray schedules by; without it an actor is placed by one CPU and then runs on none.
        actor_class = ray.remote(max_restarts=0, max_task_retries=0, max_concurrency=1)(Actor)
        cpus, gpus = self._placement.cpus, self._placement.gpus
        try:
            actor = actor_class.options(
                name=name, namespace=self._namespace, num_cpus=cpus, num_gpus=gpus
            ).remote(self._experiment, self._dataset, gpus, self._checkpoints)
        except (RayError, ValueError) as error:  # ValueError: the name is taken, or no such share of a GPU
            self.close()
            raise ClusterError(f"Ray worker {name}: {first_line(error)}") from error
        return Worker(serial, actor, actor.hello.options(name="start").remote(), failures)

    @property
    def n_ready(self) -> int:
        """How many workers have started."""
        return sum(worker.slot is not None for worker in self._workers)

    def slots(self) -> list[Slot]:
        """The workers that are ready and have no trial."""
        return [worker.slot for worker in self._free() if worker.slot]

    def start(
        self, trial: Trial, attempt: int, *, checkpoint: Checkpoint | None = None, avoid: Slot | None = None
    ) -> Slot:
        """Give `trial` to a free worker."""
        free = self._free()
        worker = next((each for each in free if each.slot != avoid), free[0])
        assert worker.slot is not None
        worker.take(trial, attempt, checkpoint)
        return worker.slot

    def advance(self, slot: Slot, until_epoch: int, limit_s: float = math.inf) -> None:
        """Send the worker on; the first call carries the trial. From a node that leaves it is given back."""
        worker = self._at(slot)
        if worker.node_id not in self._leaving:
            worker.send(until_epoch, limit_s)
        elif (lost := _lost(worker, Death(f"its node {slot.node} is leaving", strike=False))) is not None:
            self._given_back.append(lost)
            self._replace(worker)

    def discard(self, slot: Slot) -> None:
        """Take the trial away. A call under way is let run, to its limit; what it gives is dropped.

        The worker may be gone already, where `wait` had found that out and then raised.
        """
        for worker in self._workers:
            if worker.slot == slot:
                worker.trial = None

    def wait(self, timeout_s: float) -> list[Advanced | Lost]:
        """Collect what workers report; replace those that died or hang."""
        slept_s = self._wakefulness.look()
        self._look_at_nodes()
        if self._given_back:
            given_back, self._given_back = self._given_back, []
            return list(given_back)
        calls = {worker.call: worker for worker in self._workers if worker.call is not None}
        ready = _ready(list(calls), timeout_s)
        slept_s += self._wakefulness.look(expected_s=timeout_s)
        now = self._wakefulness.looked_at
        for worker in self._workers:
            worker.deadline += slept_s
        events = [self._collect(calls[call]) for call in ready]
        events += [self._give_up_on(worker) for worker in list(self._workers) if worker.deadline < now]
        self._tell_if_vacant()
        return [event for event in events if event is not None]

    def close(self) -> None:
        """Kill every worker."""
        for worker in self._workers:
            ray.kill(worker.actor)
        self._workers = []
        if self._placement.grows:
            nodes.ask_for(0, self._placement.cpus, self._placement.gpus)

    def _look_at_nodes(self) -> None:
        """Every now and then: leave nodes that leave, and be as many as fit, where that is asked for."""
        if time.monotonic() - self._looked_at < LOOK_S:
            return
        self._looked_at = time.monotonic()
        self._leaving = nodes.draining()
        for worker in [each for each in self._workers if each.is_free and each.node_id in self._leaving]:
            self._replace(worker)
        self._resize()

    def _resize(self) -> None:
        """Have as many workers as are wanted and fit, at least one; of too many those go that wait."""
        fitting = capacity(self._placement.cpus, self._placement.gpus)
        n_workers = max(fitting if self._placement.grows else min(self._placement.n_workers, fitting), 1)
        for _ in range(len(self._workers), n_workers):
            self._workers.append(self._spawn())
        waiting = [worker for worker in self._workers if worker.slot is None]
        for worker in waiting[: max(len(self._workers) - n_workers, 0)]:
            ray.kill(worker.actor)
            self._workers.remove(worker)

    def _free(self) -> list[Worker]:
        """The workers that are ready for a trial, on nodes that stay."""
        return [each for each in self._workers if each.is_free and each.node_id not in self._leaving]

    def _at(self, slot: Slot) -> Worker:
        return next(worker for worker in self._workers if worker.slot == slot)

    def _collect(self, worker: Worker) -> Advanced | Lost | None:
        try:
            result = ray.get(worker.answered())
        except RayTaskError as error:  # the trial raised; the process lives on
            return self._raised(worker, error)
        except RayError as error:
            death = deaths.of_process(worker, error)
            self._replace(worker, error)
            return _lost(worker, death)
        if worker.slot is None:
            self._welcome(worker, *result)
            return None
        if isinstance(result, Unreadable):
            return _lost(worker, Death(result.cause, strike=False), unreadable_checkpoint=True)
        return _advanced(worker, worker.slot, result)

    def _raised(self, worker: Worker, error: RayTaskError) -> Lost | None:
        lost = _lost(worker, Death(blame(error.cause), strike=True))
        if worker.slot is None or self._placement.gpus:
            # A worker that can't even say hello is of no use, nor a GPU process after an error: CUDA may
            # refuse everything from then on, and such a worker would fail trial after trial.
            self._replace(worker, error)
        return lost

    def _give_up_on(self, worker: Worker) -> Lost | None:
        """Kill a worker that hangs. Its trial may have been taken away already: its slot is needed."""
        ray.kill(worker.actor)
        lost = _lost(worker, deaths.by_hanging(worker)) if worker.trial else None
        self._replace(worker)
        return lost

    def _welcome(self, worker: Worker, node_id: str, host: str, device: str) -> None:
        worker.node_id = node_id
        worker.slot = WorkerInfo(worker=f"{self._token}/{worker.serial}", node=host, device=device)

    def _replace(self, worker: Worker, error: RayError | None = None) -> None:
        """Put a new actor in the place of one that is dead or of no use any more."""
        ray.kill(worker.actor)
        failures = 0 if worker.slot else worker.failures + 1
        if failures >= START_FAILURES and not any(each.slot for each in self._workers):
            raise ClusterError(f"Ray workers can't start: {_last_line(error)}") from error
        self._workers[self._workers.index(worker)] = self._spawn(failures)

    def _tell_if_vacant(self) -> None:
        if self._vacancy.lasts(is_vacant=not any(worker.slot for worker in self._workers)):
            cpus, gpus = self._placement.cpus, self._placement.gpus
            logger.warning(
                "no worker for %.0f s: each needs %d CPU and %g GPU, and the nodes of the Ray cluster have "
                "room for %d; waiting for more",
                VACANT_S, cpus, gpus, capacity(cpus, gpus),
            )  # fmt: skip


def _ready(calls: list[Any], timeout_s: float) -> list[Any]:
    """The calls that have come to their ends; waits for the first."""
    if not calls:
        time.sleep(timeout_s)
        return []
    ready, _ = ray.wait(calls, num_returns=1, timeout=timeout_s, fetch_local=False)
    if ready and len(calls) > 1:
        ready, _ = ray.wait(calls, num_returns=len(calls), timeout=0, fetch_local=False)
    return list(ready)


def _advanced(worker: Worker, slot: Slot, result: Any) -> Advanced | None:
    """What a worker reports of its trial; None where that was taken away."""
    if worker.trial is None:
        return None
    return Advanced(
        slot,
        worker.trial.key,
        worker.attempt,
        result.records,
        result.outcome,
        result.setup_s,
        result.test,
        result.checkpoint,
        result.checkpoint_error,
    )


def _lost(worker: Worker, death: Death, *, unreadable_checkpoint: bool = False) -> Lost | None:
    """The worker's trial is lost, if it had one; it has none any more."""
    trial, worker.trial = worker.trial, None
    if trial is None or worker.slot is None:
        return None
    return Lost(worker.slot, trial.key, worker.attempt, *death, unreadable_checkpoint)


def _last_line(error: BaseException | None) -> str:
    """A remote traceback's last line: the error itself."""
    lines = str(error).strip().splitlines()
    return lines[-1].strip() if lines else type(error).__name__
