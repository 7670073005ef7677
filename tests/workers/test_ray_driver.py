"""What the driver of Ray workers decides by itself, without any Ray process."""

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ray.autoscaler import sdk
from ray.exceptions import ActorDiedError

from sweeper.checkpoints import CheckpointFiles
from sweeper.errors import CheckpointError, ClusterError
from sweeper.experiment import Experiment
from sweeper.records import Checkpoint, Trial, WorkerInfo
from sweeper.training.data import Dataset
from sweeper.workers.ray import namespace, pool
from sweeper.workers.ray.actor import Actor, Arrival, Assignment, Report, Unreadable
from sweeper.workers.ray.agency import RayAgency
from sweeper.workers.ray.crew import Crew
from sweeper.workers.ray.deaths import Death
from sweeper.workers.ray.packing import packed, unpacked
from sweeper.workers.ray.patience import Vacancy, Wakefulness
from sweeper.workers.ray.placement import Placement
from sweeper.workers.ray.plan import Need, Node
from sweeper.workers.ray.pool import START_FAILURES, RayWorkers
from sweeper.workers.ray.privacy import without_passwords
from sweeper.workers.ray.worker import PREPARE_S, Stage, Worker

MakeTrial = Any

NOWHERE: dict[str, Any] = {
    "sweep": "s",
    "token": 1,
    "namespace": "n",
    "checkpoints": None,
    "actor": Actor,
}


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_only_what_is_much_longer_than_expected_counts_as_sleep() -> None:
    clock = Clock()
    wakefulness = Wakefulness(clock)
    slept = []
    for passed, expected in ((1.5, 0.0), (11.0, 10.0), (60.0, 0.25), (0.1, 0.0)):
        clock.now += passed
        slept.append(wakefulness.look(expected))
    assert slept == [0, 0, pytest.approx(59.75), 0]


def test_a_vacancy_is_told_once_each_time() -> None:
    clock = Clock()
    vacancy = Vacancy(60, clock)
    told = []
    for passed, is_vacant in (
        (0, True),
        (59, True),
        (1, True),
        (99, True),
        (0, False),
        (0, True),
        (60, True),
    ):
        clock.now += passed
        told.append(vacancy.lasts(is_vacant=is_vacant))
    assert told == [False, False, True, False, False, False, True]


@pytest.mark.parametrize(
    ("argument", "shown"),
    [
        ("postgresql://ada:pa@s/s:w@db.example:5432/sweeps", "postgresql://ada:***@db.example:5432/sweeps"),
        ("--store=postgresql+psycopg://ada:x@/s", "--store=postgresql+psycopg://ada:***@/s"),
        ("postgresql://db/s?user=ada&password=x&sslmode=require", "postgresql://db/s?user=ada&password=***&sslmode=require"),
        ("postgresql://db/s?sslPassword=x", "postgresql://db/s?sslPassword=***"),
        ("postgresql://ada@db:5432/sweeps", "postgresql://ada@db:5432/sweeps"),
        ("sqlite:////data/a@b/sweeper.db", "sqlite:////data/a@b/sweeper.db"),
        ("10.0.0.1:6379", "10.0.0.1:6379"),
    ],
)  # fmt: skip
def test_a_password_in_a_url_is_not_shown(argument: str, shown: str) -> None:
    assert without_passwords(argument) == shown


def test_sweeps_of_one_name_in_two_stores_have_workers_apart() -> None:
    made = datetime(2026, 11, 23, 7, 0, 0, 1, tzinfo=UTC)
    spaces = {namespace("s", made), namespace("s", made + timedelta(microseconds=1)), namespace("t", made)}
    assert len(spaces) == 3
    assert namespace("s", made.astimezone()) in spaces, "the same moment, told in another time zone"


def test_a_checkpoint_that_cannot_be_read_is_told_and_its_worker_goes_on(
    make_experiment: Any, images: Dataset, make_trial: MakeTrial, tmp_path: Path
) -> None:
    experiment: Experiment = make_experiment("checkpoint.every_epochs=1", f"checkpoint.directory={tmp_path}")
    actor = Actor(0.0, CheckpointFiles(str(tmp_path)))
    actor.prepare(experiment, images)
    trial: Trial = make_trial()
    unreadable = actor.advance(Assignment(trial, 2, Checkpoint(1, 1)), 2)
    assert isinstance(unreadable, Unreadable)
    assert str(tmp_path) in unreadable.cause
    assert "\n" not in unreadable.cause
    first = actor.advance(Assignment(trial, 3, None), 1)
    assert isinstance(first, Report)
    assert first.stretch.checkpoint == Checkpoint(3, 1)
    second = actor.advance(None, 2)
    gone_on = actor.advance(Assignment(trial, 4, first.stretch.checkpoint), 2)
    assert isinstance(second, Report)
    assert isinstance(gone_on, Report)
    losses = [[r.train_loss for r in each.stretch.records] for each in (gone_on, second)]
    assert losses[0] == losses[1]
    packed_whole = actor.advance_packed(packed(Assignment(trial, 5, None)), 2)
    whole = unpacked(packed_whole)
    assert isinstance(packed_whole, bytes)
    assert [r.train_loss for r in whole.stretch.records][1:] == losses[1]
    with pytest.raises(CheckpointError):
        CheckpointFiles(str(tmp_path)).load(trial.key, Checkpoint(4, 2))


class Recorder:
    """An actor that is asked and never answers."""

    def __init__(self) -> None:
        self.prepare = self

    def options(self, name: str) -> "Recorder":
        return self

    def remote(self, *given: object) -> str:
        return "preparing"


def test_a_worker_that_waits_for_room_is_given_time_and_one_that_is_stuck_is_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    node = Node("a", "host", 1, 0, 1, 0)
    hired: list[int] = []

    class Agency(RayAgency):
        def hire(self, node: Node, need: Need, failures: int = 0) -> Worker:
            hired.append(failures)
            return Worker(len(hired), Recorder(), "coming", node.id, node.host, failures=failures)

    monkeypatch.setattr(pool, "_ready", lambda calls, timeout_s: [])
    monkeypatch.setattr(pool.ray, "kill", lambda actor: None)
    monkeypatch.setattr(RayWorkers, "__init__", lambda self: None)
    workers = RayWorkers()  # type: ignore[call-arg]
    workers._placement = Placement(1, 0, 1)
    workers._agency = Agency(**NOWHERE)
    workers._crew = Crew(workers._placement, workers._agency, lambda: [node])
    workers._wakefulness, workers._vacancy, workers._unheard = Wakefulness(), Vacancy(60), []
    assert workers.wait(0) == []
    (coming,) = workers._crew.workers
    assert coming.deadline == math.inf, "it may wait for room for as long as it takes"
    coming.arrived(Arrival("a", "host", ""), ())
    assert (coming.call, coming.limit_s) == ("preparing", PREPARE_S)
    coming.deadline = 0
    assert workers.wait(0) == []
    assert hired == [0, 1]


@pytest.mark.parametrize("placement", [Placement(2, 0.5, 3, asks_for_nodes=True), Placement(2, 0.5, 3)])
def test_an_autoscaler_is_asked_for_what_can_be_used_and_the_request_is_taken_back(
    placement: Placement, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests: list[list[dict[str, float]]] = []
    monkeypatch.setattr(sdk, "request_resources", lambda bundles: requests.append(bundles))
    monkeypatch.setattr(RayWorkers, "__init__", lambda self: None)
    workers = RayWorkers()  # type: ignore[call-arg]
    workers._placement, workers._asked_for, workers._unheard = placement, None, []
    workers._crew = Crew(placement, RayAgency(**NOWHERE), lambda: [])
    workers._look()
    workers._look()
    workers.close()
    assert requests == ([[{"CPU": 2, "GPU": 0.5}] * 3, []] if placement.asks_for_nodes else [])


def test_a_worker_can_be_discarded_that_was_lost_when_the_others_could_not_start(
    monkeypatch: pytest.MonkeyPatch, make_trial: MakeTrial
) -> None:
    slot = WorkerInfo("1/0", "here", "cpu")
    busy = Worker(0, actor=None, call="busy", stage=Stage.READY, slot=slot, trial=make_trial())
    starting = Worker(1, actor=None, call="starting", failures=START_FAILURES - 1)

    def dead(call: Any) -> None:
        raise ActorDiedError

    monkeypatch.setattr(pool, "_ready", lambda calls, timeout_s: calls)
    monkeypatch.setattr(pool.ray, "get", dead)
    monkeypatch.setattr(pool.ray, "kill", lambda actor: None)
    monkeypatch.setattr(pool.deaths, "of_process", lambda worker, error: Death("its process died", True))
    monkeypatch.setattr(RayWorkers, "__init__", lambda self: None)
    monkeypatch.setattr(RayWorkers, "_look", lambda self: None)
    workers = RayWorkers()  # type: ignore[call-arg]
    workers._crew = Crew(Placement(1, 0, 2), RayAgency(**NOWHERE), lambda: [])
    workers._crew.workers += [busy, starting]
    workers._wakefulness, workers._unheard = Wakefulness(), []
    with pytest.raises(ClusterError, match="can't start"):
        workers.wait(0)
    workers.discard(slot)  # as the coordinator does with all that it had running
