"""Which workers there are: as many as the cluster has room for, by a plan made anew every two seconds.

Nodes that join get workers, those that leave lose theirs. Each worker is tied to the node that was chosen.
"""

import time
from collections import defaultdict
from collections.abc import Callable
from typing import Protocol

from sweeper.records import WorkerInfo
from sweeper.workers.memory import Memory, gpu_share, has_grown
from sweeper.workers.ray import plan
from sweeper.workers.ray.placement import Placement
from sweeper.workers.ray.plan import Need, Node
from sweeper.workers.ray.worker import Worker

LOOK_S = 2.0
"""How often the nodes are looked at."""

HURRY_S = 0.5
"""The same while there is to be room for more workers than there are."""


class Agency(Protocol):
    """Who makes workers and ends them."""

    def hire(self, node: Node, need: Need, failures: int = 0) -> Worker:
        """A new worker on `node`."""
        ...

    def dismiss(self, worker: Worker) -> None:
        """End the worker's process."""
        ...

    def name(self, worker: Worker, device: str) -> WorkerInfo:
        """What the coordinator calls it."""
        ...


class Crew:
    """The workers of one coordinator. `need` is what each gets at present."""

    def __init__(
        self,
        placement: Placement,
        agency: Agency,
        survey: Callable[[], list[Node]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.need = Need(placement.cpus, placement.gpus)
        self.workers: list[Worker] = []
        self._placement = placement
        self._agency = agency
        self._survey = survey
        self._clock = clock
        self._nodes: list[Node] = []
        self._look_at = -float("inf")
        self._peak = 0
        self._total = 0

    def look(self) -> list[Worker]:
        """Make the crew what it should be, if it is time to look; gives those whose node has died."""
        if self._clock() < self._look_at:
            return []
        self._nodes = self._survey() or self._nodes
        dead = self._lose_dead()
        self._mark_draining()
        self._settle_share()
        self._fill()
        return dead

    def look_soon(self) -> None:
        """Something has changed that may leave room."""
        self._look_at = min(self._look_at, self._clock() + HURRY_S / 2)

    def remove(self, worker: Worker) -> None:
        """End it; the plan decides whether another takes its place."""
        self._agency.dismiss(worker)
        self.workers.remove(worker)
        self.look_soon()

    def replace(self, worker: Worker, failures: int = 0) -> None:
        """Put a new one in its place at once, if it is still to have that."""
        self.remove(worker)
        node = next((node for node in self._nodes if node.id == worker.node_id), None)
        is_wanted = not (worker.is_leaving or worker.is_alone or worker.gpus != self.need.gpus)
        if node and not node.is_draining and is_wanted:
            self.workers.append(self._agency.hire(node, self.need, failures))

    def released(self, worker: Worker) -> None:
        """Its trial was taken away: learn from it what trials need, and let it go if that is its turn."""
        memory = worker.memory
        if memory is not None and worker.first_base is not None:
            worker.is_leaving |= has_grown(worker.first_base, memory.base)
            if not worker.is_alone:
                self._learn(memory)
        if worker.is_alone or worker.is_leaving:
            self.remove(worker)

    def alone(self, device: str) -> Worker | None:
        """A new worker with a whole GPU of which others are to make room; None without any GPU.

        On the GPU with the fewest trials under way; who is on it ends the trial in hand first.
        """
        nodes = {node.id: node for node in self._nodes if node.gpus >= 1 and not node.is_draining}
        gpus: dict[tuple[str, str], list[Worker]] = defaultdict(list)
        n_alone: dict[str, int] = defaultdict(int)
        for worker in self.workers:
            if worker.is_alone:
                n_alone[worker.node_id] += 1
            elif worker.node_id in nodes and worker.gpu:
                gpus[worker.node_id, worker.gpu].append(worker)
        choices: list[tuple[int, str, list[Worker]]] = []
        for node in nodes.values():
            on_node = [group for (name, _), group in gpus.items() if name == node.id]
            choices += [(sum(w.trial is not None for w in group), node.id, group) for group in on_node]
            if node.gpus - len(on_node) - n_alone[node.id] >= 1:
                choices.append((0, node.id, []))
        if not choices:  # each has a trial alone on it already: wait for one of those
            choices = [(n_alone[name], name, []) for name in nodes]
        if not choices:
            return None
        _, name, group = min(choices, key=lambda choice: (choice[0], len(choice[2])))
        for worker in group:
            self._retire(worker)
        made = self._agency.hire(nodes[name], Need(self.need.cpus, 1.0))
        made.is_alone = True
        made.slot = self._agency.name(made, device)
        self.workers.append(made)
        return made

    @property
    def room(self) -> int:
        """How many workers fit on the nodes that were seen last, whoever holds them."""
        return plan.room(self._nodes, self.need)

    def _lose_dead(self) -> list[Worker]:
        alive = {node.id for node in self._nodes}
        dead = [worker for worker in self.workers if worker.node_id not in alive]
        for worker in dead:
            self._agency.dismiss(worker)
            self.workers.remove(worker)
        return dead

    def _mark_draining(self) -> None:
        draining = {node.id for node in self._nodes if node.is_draining}
        for worker in [each for each in self.workers if each.node_id in draining]:
            worker.is_draining = True
            self._retire(worker)

    def _retire(self, worker: Worker) -> None:
        """Give it no other trial; end it at once if it has none."""
        worker.is_leaving = True
        if worker.trial is None:
            self.remove(worker)

    def _learn(self, memory: Memory) -> None:
        peak, total = max(self._peak, memory.peak), min(self._total or memory.total, memory.total)
        if (peak, total) != (self._peak, self._total):
            self._peak, self._total = peak, total
            self.look_soon()

    def _settle_share(self) -> None:
        if not (self._placement.may_share and self._total and self._nodes):
            return
        least = gpu_share(self._peak, self._total)
        cpus, most = self.need.cpus, self._placement.n_workers
        share = plan.share(self._nodes, cpus, present=self.need.gpus, least=least, most=most)
        if share != self.need.gpus:
            self.need = Need(cpus, share)
            for worker in [each for each in self.workers if each.gpus != share and not each.is_alone]:
                self._retire(worker)

    def _fill(self) -> None:
        have: dict[str, int] = defaultdict(int)
        alone: dict[str, list[Worker]] = defaultdict(list)
        for worker in self.workers:
            if worker.is_alone:
                alone[worker.node_id].append(worker)
            elif not worker.is_leaving:
                have[worker.node_id] += 1
        nodes = [
            plan.without(node, self.need, len(alone[node.id]), sum(not w.gpu for w in alone[node.id]))
            for node in self._nodes
        ]
        most = self._placement.n_workers
        for name, change in plan.changes(nodes, self.need, have, most).items():
            node = next(each for each in nodes if each.id == name)
            for _ in range(change):
                self.workers.append(self._agency.hire(node, self.need))
            for worker in self._least_needed(name)[: max(-change, 0)]:
                self._retire(worker)
        n_workers = sum(not (worker.is_alone or worker.is_leaving) for worker in self.workers)
        fitting = plan.room(nodes, self.need)
        is_short = n_workers < (fitting if most is None else min(most, fitting))
        self._look_at = self._clock() + (HURRY_S if is_short else LOOK_S)

    def _least_needed(self, node_id: str) -> list[Worker]:
        """A node's workers, first those that are not ready, then those without a trial."""
        here = [w for w in self.workers if w.node_id == node_id and not (w.is_alone or w.is_leaving)]
        return sorted(here, key=lambda worker: (worker.trial is not None, worker.is_ready))
