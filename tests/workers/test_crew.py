"""How the crew of workers follows the cluster and the memory of its GPUs, without any Ray process."""

import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from sweeper.records import Trial, WorkerInfo
from sweeper.workers.memory import Memory
from sweeper.workers.ray.crew import LOOK_S, Crew
from sweeper.workers.ray.placement import Placement
from sweeper.workers.ray.plan import Need, Node
from sweeper.workers.ray.worker import Stage, Worker

GIB = 2**30
MakeTrial = Callable[..., Trial]


class Cluster:
    """Nodes of a made-up cluster, an agency for workers on them, and a clock moved by hand."""

    def __init__(self, *nodes: Node) -> None:
        self.nodes = {node.id: node for node in nodes}
        self.now = 0.0
        self.living: list[Worker] = []
        self._serials = itertools.count()

    def crew(self, **placement: object) -> Crew:
        given = {"cpus": 1, "gpus": 0.0, "n_workers": None, **placement}
        made = Crew(Placement(**given), self, self.survey, lambda: self.now)  # type: ignore[arg-type]
        self.pass_time(made)
        return made

    def pass_time(self, crew: Crew) -> list[Worker]:
        """Long enough for a look or two; whoever came is ready then."""
        lost = []
        for _ in range(3):
            self.now += LOOK_S
            lost += crew.look()
            for worker in self.living:
                holds = sum(w.gpus for w in self.living if w.gpu and w.node_id == worker.node_id)
                if worker.gpus and not worker.gpu and holds + worker.gpus <= self.nodes[worker.node_id].gpus:
                    worker.gpu = str(int(holds + 1e-9))
                if worker.gpu or not worker.gpus:
                    worker.stage = Stage.READY
                    worker.slot = worker.slot or self.name(worker, "a GPU")
        return lost

    def survey(self) -> list[Node]:
        held = {id_: [w for w in self.living if w.node_id == id_] for id_ in self.nodes}
        return [
            replace(
                node,
                free_cpus=node.cpus - len(held[node.id]),
                free_gpus=node.gpus - sum(w.gpus for w in held[node.id]),
            )
            for node in self.nodes.values()
        ]

    def hire(self, node: Node, need: Need, failures: int = 0) -> Worker:
        worker = Worker(next(self._serials), None, None, node.id, node.host, need.gpus, failures=failures)
        self.living.append(worker)
        return worker

    def dismiss(self, worker: Worker) -> None:
        self.living = [each for each in self.living if each is not worker]

    def name(self, worker: Worker, device: str) -> WorkerInfo:
        return WorkerInfo(f"1/{worker.serial}", worker.host, device)

    def drain(self, name: str) -> None:
        self.nodes[name] = replace(self.nodes[name], is_draining=True)

    def census(self) -> dict[tuple[str, float], int]:
        """How many workers live where, with which share."""
        return dict(Counter((worker.node_id, worker.gpus) for worker in self.living))


def node(name: str, cpus: float, gpus: float = 0) -> Node:
    return Node(name, f"host-{name}", cpus, gpus, cpus, gpus)


def train(crew: Crew, trial: Trial, *, peak: int, total: int = 16 * GIB, base: int = 0) -> Worker:
    """A worker takes the trial and tells of its memory; the trial goes on."""
    worker = next(each for each in crew.workers if each.is_free)
    worker.take(trial, 1, None)
    worker.heard(Memory(total, peak, base))
    return worker


def end(crew: Crew, worker: Worker) -> None:
    worker.trial = None
    crew.released(worker)


def test_workers_come_and_go_with_nodes() -> None:
    cluster = Cluster(node("a", 2))
    crew = cluster.crew()
    assert cluster.census() == {("a", 0): 2}
    cluster.nodes["b"] = node("b", 3)
    cluster.pass_time(crew)
    assert cluster.census() == {("a", 0): 2, ("b", 0): 3}
    del cluster.nodes["a"]
    lost = cluster.pass_time(crew)
    assert [worker.node_id for worker in lost] == ["a", "a"]
    assert cluster.census() == {("b", 0): 3}


def test_nodes_are_not_looked_at_before_it_is_time() -> None:
    cluster = Cluster(node("a", 1))
    crew = cluster.crew()
    cluster.nodes["b"] = node("b", 1)
    cluster.now += LOOK_S / 2
    crew.look()
    assert cluster.census() == {("a", 0): 1}
    cluster.now += LOOK_S / 2
    crew.look()
    assert cluster.census() == {("a", 0): 1, ("b", 0): 1}


def test_a_head_that_cannot_be_asked_changes_nothing() -> None:
    cluster = Cluster(node("a", 2))
    crew = cluster.crew()
    cluster.nodes = {}
    assert cluster.pass_time(crew) == []
    assert cluster.census() == {("a", 0): 2}


def test_an_idle_worker_leaves_a_draining_node_at_once_and_a_busy_one_takes_no_more(
    make_trial: MakeTrial,
) -> None:
    cluster = Cluster(node("a", 2), node("b", 1))
    crew = cluster.crew()
    busy = next(worker for worker in crew.workers if worker.node_id == "a")
    busy.take(make_trial(), 1, None)
    cluster.drain("a")
    assert cluster.pass_time(crew) == []
    assert cluster.census() == {("a", 0): 1, ("b", 0): 1}
    assert busy.is_draining
    end(crew, busy)
    cluster.pass_time(crew)
    assert cluster.census() == {("b", 0): 1}


def test_a_fixed_number_moves_to_another_node_as_far_as_that_has_room() -> None:
    cluster = Cluster(node("a", 2), node("b", 3))
    crew = cluster.crew(n_workers=4)
    assert cluster.census() == {("a", 0): 2, ("b", 0): 2}
    cluster.drain("a")
    cluster.pass_time(crew)
    assert cluster.census() == {("b", 0): 3}


def test_a_worker_that_died_is_replaced_where_it_was_but_not_on_a_node_that_is_gone() -> None:
    cluster = Cluster(node("a", 1), node("b", 1))
    crew = cluster.crew()
    for worker in list(crew.workers):
        crew.replace(worker, failures=2)
    assert cluster.census() == {("a", 0): 1, ("b", 0): 1}
    assert [worker.failures for worker in crew.workers] == [2, 2]
    del cluster.nodes["b"]
    cluster.pass_time(crew)
    assert cluster.census() == {("a", 0): 1}


SHARING = {"gpus": 1.0, "may_share": True}


def test_only_the_gpu_nodes_of_a_mixed_cluster_get_workers_on_gpus() -> None:
    cluster = Cluster(node("c", 8), node("g", 8, 2))
    cluster.crew(**SHARING)
    assert cluster.census() == {("g", 1): 2}


def test_the_first_trials_memory_decides_how_many_share_a_gpu(make_trial: MakeTrial) -> None:
    cluster = Cluster(node("g", 8, 2))
    crew = cluster.crew(**SHARING)
    first = train(crew, make_trial(number=1), peak=2 * GIB)
    second = train(crew, make_trial(number=2), peak=2 * GIB)
    end(crew, first)
    cluster.pass_time(crew)
    assert cluster.census() == {("g", 1): 1, ("g", 1 / 4): 4}, "who is busy ends the trial in hand"
    end(crew, second)
    cluster.pass_time(crew)
    assert cluster.census() == {("g", 1 / 4): 8}


def test_a_trial_that_needs_more_than_the_first_makes_the_shares_larger(make_trial: MakeTrial) -> None:
    cluster = Cluster(node("g", 8, 1))
    crew = cluster.crew(**SHARING)
    end(crew, train(crew, make_trial(number=1), peak=GIB))
    cluster.pass_time(crew)
    assert cluster.census() == {("g", 1 / 8): 8}
    end(crew, train(crew, make_trial(number=2), peak=int(1.4 * GIB)))
    cluster.pass_time(crew)
    assert cluster.census() == {("g", 1 / 4): 4}


@pytest.mark.parametrize("gpus", [1.0, 0.5])
def test_a_share_that_the_user_chose_stays(gpus: float, make_trial: MakeTrial) -> None:
    cluster = Cluster(node("g", 8, 1))
    crew = cluster.crew(gpus=gpus)
    end(crew, train(crew, make_trial(), peak=GIB))
    cluster.pass_time(crew)
    assert cluster.census() == {("g", gpus): 1 / gpus}


def test_without_known_memory_nobody_shares(make_trial: MakeTrial) -> None:
    cluster = Cluster(node("g", 8, 1))
    crew = cluster.crew(**SHARING)
    worker = crew.workers[0]
    worker.take(make_trial(), 1, None)
    worker.heard(None)
    end(crew, worker)
    cluster.pass_time(crew)
    assert cluster.census() == {("g", 1): 1}


def test_a_worker_whose_memory_has_grown_is_renewed_between_trials(make_trial: MakeTrial) -> None:
    cluster = Cluster(node("g", 1, 1))
    crew = cluster.crew(**SHARING)
    serials = []
    for base in (0, GIB // 8, GIB, 0):
        worker = train(crew, make_trial(), peak=GIB, base=base)
        serials.append(worker.serial)
        end(crew, worker)
        cluster.pass_time(crew)
    assert serials == [0, 0, 0, 1]


def test_a_trial_alone_waits_for_the_emptiest_gpu_and_leaves_the_others_as_they_are(
    make_trial: MakeTrial,
) -> None:
    cluster = Cluster(node("g", 8, 2))
    crew = cluster.crew(gpus=0.5)
    by_gpu = {
        gpu: [worker for worker in crew.workers if worker.gpu == gpu]
        for gpu in {worker.gpu for worker in crew.workers}
    }
    assert {gpu: len(workers) for gpu, workers in by_gpu.items()} == {"0": 2, "1": 2}
    for worker in (*by_gpu["0"], by_gpu["1"][0]):
        worker.take(make_trial(), 1, None)
    alone = crew.alone("a GPU")
    assert alone is not None
    assert (alone.gpus, alone.is_alone, alone.is_ready) == (1, True, False)
    assert alone.slot == WorkerInfo(f"1/{alone.serial}", "host-g", "a GPU")
    alone.take(make_trial(number=9), 2, None)
    cluster.pass_time(crew)
    assert cluster.census() == {("g", 0.5): 3, ("g", 1): 1}
    assert [worker.is_leaving for worker in by_gpu["0"]] == [False, False]
    assert not alone.is_ready
    end(crew, by_gpu["1"][0])
    cluster.pass_time(crew)
    assert cluster.census() == {("g", 0.5): 2, ("g", 1): 1}
    assert alone.is_ready
    end(crew, alone)
    cluster.pass_time(crew)
    assert cluster.census() == {("g", 0.5): 4}


def test_two_trials_alone_have_the_only_gpu_one_after_the_other(make_trial: MakeTrial) -> None:
    cluster = Cluster(node("g", 8, 1))
    crew = cluster.crew(gpus=0.25)
    first, second = crew.alone("a GPU"), crew.alone("a GPU")
    assert first is not None
    assert second is not None
    for number, worker in enumerate((first, second)):
        worker.take(make_trial(number=number), 2, None)
    cluster.pass_time(crew)
    assert [first.is_ready, second.is_ready] == [True, False]
    end(crew, first)
    cluster.pass_time(crew)
    assert second.is_ready
    end(crew, second)
    cluster.pass_time(crew)
    assert cluster.census() == {("g", 0.25): 4}


def test_where_no_gpu_is_left_nobody_can_be_alone_on_one() -> None:
    cluster = Cluster(node("g", 8, 1))
    crew = cluster.crew(gpus=0.5)
    cluster.drain("g")
    cluster.pass_time(crew)
    assert crew.alone("a GPU") is None
