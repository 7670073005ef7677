"""Keeps the workers' contract with actors on a Ray cluster.

One call per stretch of epochs, so nothing has to be cancelled. Ray restarts and retries nothing: an actor
that dies or hangs is reported as `Lost`, and `crew` sees to it that others take its place. The images lie in
the object store once per node, and every worker reads them without a copy.
"""

import logging
import math
import time
from typing import Any

import ray
from ray.exceptions import ActorUnschedulableError, RayError, RayTaskError

from sweeper.checkpoints import CheckpointFiles
from sweeper.errors import ClusterError
from sweeper.experiment import Experiment
from sweeper.records import Checkpoint, Trial, TrialKey
from sweeper.training.data import Dataset
from sweeper.workers.blame import blame
from sweeper.workers.protocol import Advanced, Lost, Slot
from sweeper.workers.ray import deaths, nodes, predecessors
from sweeper.workers.ray.actor import Actor, Arrival, OutOfMemory, Report, Unreadable
from sweeper.workers.ray.agency import RayAgency
from sweeper.workers.ray.crew import Crew
from sweeper.workers.ray.deaths import Death
from sweeper.workers.ray.packing import unpacked
from sweeper.workers.ray.patience import Vacancy, Wakefulness
from sweeper.workers.ray.placement import Placement
from sweeper.workers.ray.plan import Need
from sweeper.workers.ray.worker import Stage, Worker

logger = logging.getLogger("sweeper.ray")

START_FAILURES = 3
"""So many actors in a row that die in one place before they are ready end the sweep, if there is no other."""

VACANT_S = 60.0
"""After so long without any worker it is worth a line."""


class RayWorkers:
    """Keeps the contract of `Workers` with actors on the connected cluster.

    `token` is the sweep's lease token: it makes the actors' names unique to this coordinator. `namespace` is
    the sweep's own; workers in it with an older token are killed. `checkpoints` is where progress is saved.
    `actor` is what runs in a worker's process.
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
        actor: type[Actor] = Actor,
    ) -> None:
        self._placement = placement
        self._wakefulness = Wakefulness()
        self._vacancy = Vacancy(VACANT_S)
        self._out_of_memory: set[TrialKey] = set()
        self._unheard: list[Lost] = []
        if n_ended := predecessors.end_older(namespace, sweep, token):
            logger.info("sweep %s: ended %d workers of an earlier coordinator", sweep, n_ended)
        self._agency = RayAgency(
            sweep=sweep,
            token=token,
            namespace=namespace,
            checkpoints=checkpoints,
            actor=actor,
        )
        self._crew = Crew(placement, self._agency, nodes.survey)
        self._asked_for: Need | None = None
        try:
            self._look()
        except ClusterError:
            self.close()
            raise
        # While their processes start.
        self._given = (ray.put(experiment), ray.put(dataset))

    @property
    def n_ready(self) -> int:
        """How many workers have started."""
        return sum(worker.is_ready for worker in self._crew.workers)

    def slots(self) -> list[Slot]:
        """The workers that are ready and have no trial."""
        return [worker.slot for worker in self._crew.workers if worker.is_free and worker.slot]

    def start(
        self, trial: Trial, attempt: int, *, checkpoint: Checkpoint | None = None, avoid: Slot | None = None
    ) -> Slot:
        """Give `trial` to a free worker.

        One that ran out of memory on a share of a GPU goes to a worker that is made for it, alone on a GPU;
        it may have to wait until others are through there.
        """
        free = [worker for worker in self._crew.workers if worker.is_free]
        worker = next((each for each in free if each.slot != avoid), free[0])
        if trial.key in self._out_of_memory and worker.gpus < 1:
            assert worker.slot is not None
            worker = self._crew.alone(worker.slot.device) or worker
        worker.take(trial, attempt, checkpoint)
        assert worker.slot is not None
        return worker.slot

    def advance(self, slot: Slot, until_epoch: int, limit_s: float = math.inf) -> None:
        """Send the worker on; the first call carries the trial.

        One whose node is about to leave trains no further: its trial is reported as lost.
        """
        worker = next(worker for worker in self._crew.workers if worker.slot == slot)
        if not worker.is_draining:
            worker.send(until_epoch, limit_s)
        elif lost := _lost(worker, deaths.by_leaving(worker)):
            self._unheard.append(lost)
            self._crew.remove(worker)

    def discard(self, slot: Slot) -> None:
        """Take the trial away. A call under way is let run, to its limit; what it gives is dropped.

        The worker may be gone already, where `wait` had found that out and then raised.
        """
        self._unheard = [lost for lost in self._unheard if lost.slot != slot]
        for worker in [each for each in self._crew.workers if each.slot == slot]:
            worker.trial = None
            self._crew.released(worker)

    def wait(self, timeout_s: float) -> list[Advanced | Lost]:
        """Collect what workers report; replace those that died or hang, and follow the cluster's changes."""
        slept_s = self._wakefulness.look()
        self._look()
        calls = {worker.call: worker for worker in self._crew.workers if worker.call is not None}
        ready = _ready(list(calls), 0 if self._unheard else timeout_s)
        slept_s += self._wakefulness.look(expected_s=timeout_s)
        now = self._wakefulness.looked_at
        for worker in self._crew.workers:
            worker.deadline += slept_s
        events = [self._collect(calls[call]) for call in ready]
        late = [worker for worker in self._crew.workers if worker.deadline < now]
        events += [self._give_up_on(worker) for worker in late]
        self._tell_if_vacant()
        unheard, self._unheard = self._unheard, []
        return [*unheard, *(event for event in events if event is not None)]

    def close(self) -> None:
        """Kill every worker, and take back what an autoscaler was asked for."""
        for worker in self._crew.workers:
            self._agency.dismiss(worker)
        self._crew.workers.clear()
        if self._asked_for:
            nodes.ask_for(self._asked_for, 0)

    def _look(self) -> None:
        lost = [_lost(worker, deaths.of_node(worker)) for worker in self._crew.look()]
        self._unheard += [each for each in lost if each is not None]
        if self._placement.asks_for_nodes and self._asked_for != self._crew.need:
            self._asked_for = self._crew.need
            nodes.ask_for(self._crew.need, self._placement.n_workers or 0)

    def _collect(self, worker: Worker) -> Advanced | Lost | None:
        try:
            result = ray.get(worker.answered())
        except RayTaskError as error:  # the trial raised; the process lives on
            return self._raised(worker, error)
        except ActorUnschedulableError:  # its node is gone, or about to go
            self._crew.remove(worker)
            return _lost(worker, deaths.of_node(worker))
        except RayError as error:
            death = deaths.of_process(worker, error)
            self._replace(worker, _last_line(error))
            return _lost(worker, death)
        if isinstance(result, Arrival):
            if worker.stage is Stage.COMING:
                worker.arrived(result, self._given)
            return None
        if not worker.is_ready:
            self._welcome(worker, result)
            return None
        return self._heard(worker, unpacked(result))

    def _heard(self, worker: Worker, result: Report | Unreadable | OutOfMemory) -> Advanced | Lost | None:
        if isinstance(result, Unreadable):
            return self._given_back(worker, Death(result.cause, strike=False), unreadable_checkpoint=True)
        if isinstance(result, OutOfMemory):
            if worker.trial is not None:
                self._out_of_memory.add(worker.trial.key)
            return self._given_back(worker, Death(result.cause, strike=True))
        worker.heard(result.memory)
        if worker.slot is None or worker.trial is None:
            return None
        stretch, key = result.stretch, worker.trial.key
        told = (stretch.records, stretch.outcome, stretch.setup_s, stretch.test)
        return Advanced(worker.slot, key, worker.attempt, *told, stretch.checkpoint, stretch.checkpoint_error)

    def _given_back(
        self, worker: Worker, death: Death, *, unreadable_checkpoint: bool = False
    ) -> Lost | None:
        """The worker is as good as ever, but its trial is lost."""
        lost = _lost(worker, death, unreadable_checkpoint=unreadable_checkpoint)
        self._crew.released(worker)
        return lost

    def _raised(self, worker: Worker, error: RayTaskError) -> Lost | None:
        lost = _lost(worker, Death(blame(error.cause), strike=True))
        if not worker.is_ready or worker.gpus:
            # A worker that can't get ready is of no use, nor a GPU process after an error: CUDA may refuse
            # everything from then on, and such a worker would fail trial after trial.
            self._replace(worker, _last_line(error))
        elif worker.is_leaving:
            self._crew.remove(worker)
        return lost

    def _give_up_on(self, worker: Worker) -> Lost | None:
        """Kill a worker that hangs. Its trial may have been taken away already: its slot is needed."""
        self._agency.dismiss(worker)
        lost = _lost(worker, deaths.by_hanging(worker)) if worker.trial else None
        self._replace(worker, f"not ready after {worker.limit_s:g} s")
        return lost

    def _welcome(self, worker: Worker, device: str) -> None:
        worker.stage = Stage.READY
        worker.slot = worker.slot or self._agency.name(worker, device)
        if worker.asked is not None:  # a trial waited for it
            worker.send(*worker.asked)

    def _replace(self, worker: Worker, why: str) -> None:
        """Put a new actor in the place of one that is dead or of no use any more."""
        failures = 0 if worker.is_ready else worker.failures + 1
        if failures >= START_FAILURES and not any(each.is_ready for each in self._crew.workers):
            raise ClusterError(f"Ray workers can't start: {why}")
        self._crew.replace(worker, failures)

    def _tell_if_vacant(self) -> None:
        if self._vacancy.lasts(is_vacant=not self.n_ready):
            logger.warning(
                "no worker for %.0f s: each needs %d CPU and %g GPU, and the nodes of the Ray cluster have "
                "room for %d; waiting for more",
                VACANT_S, self._crew.need.cpus, self._crew.need.gpus, self._crew.room,
            )  # fmt: skip


def _ready(calls: list[Any], timeout_s: float) -> list[Any]:
    """The calls that have come to their ends; waits for the first."""
    if not calls:
        time.sleep(timeout_s)
        return []
    ready, _ = ray.wait(calls, num_returns=len(calls), timeout=0, fetch_local=False)
    if not ready and timeout_s:
        ready, _ = ray.wait(calls, num_returns=1, timeout=timeout_s, fetch_local=False)
    return list(ready)


def _lost(worker: Worker, death: Death, *, unreadable_checkpoint: bool = False) -> Lost | None:
    """The worker's trial is lost, if it had one; it has none any more."""
    trial, worker.trial = worker.trial, None
    if trial is None or worker.slot is None:
        return None
    return Lost(worker.slot, trial.key, worker.attempt, *death, unreadable_checkpoint)


def _last_line(error: BaseException) -> str:
    """A remote traceback's last line: the error itself."""
    lines = str(error).strip().splitlines()
    return lines[-1].strip() if lines else type(error).__name__
