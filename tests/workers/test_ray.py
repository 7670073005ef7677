"""Ray workers alone: real processes that die, raise, share images, and are placed on logical GPUs."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import ray
from conftest import TINY, brightness_images

from sweeper import experiment as experiments
from sweeper.checkpoints import CheckpointFiles
from sweeper.errors import ClusterError
from sweeper.experiment import Experiment
from sweeper.records import Checkpoint, Trial
from sweeper.training.data import Dataset
from sweeper.workers import Advanced, Lost, Slot
from sweeper.workers.inline import InlineWorkers
from sweeper.workers.ray import Placement, RayWorkers, capacity, cluster, patience, place, pool
from sweeper.workers.ray.plan import Need

pytestmark = pytest.mark.ray

MakeTrial = Callable[..., Trial]
MakeExperiment = Callable[..., Experiment]
Events = list[Advanced | Lost]

TWO = Placement(cpus=1, gpus=0, n_workers=2)


@pytest.fixture(scope="module", autouse=True)
def ray_cluster() -> Iterator[None]:
    with cluster(None, n_cpus=2, image_bytes=2**20):
        yield


@pytest.fixture(scope="module")
def experiment() -> Experiment:
    return experiments.loads('[experiment]\nname = "tiny"', (*TINY, "budget.epochs=10000"))


@pytest.fixture(scope="module")
def two_workers(experiment: Experiment) -> Iterator[RayWorkers]:
    """One pair for all tests: starting them is what takes time."""
    made = RayWorkers(experiment, brightness_images(), sweep="s", token=4, placement=TWO)
    yield made
    made.close()


@pytest.fixture
def workers(two_workers: RayWorkers) -> Iterator[RayWorkers]:
    """The pair, ready; what a test leaves busy is ended."""
    until(two_workers, lambda: len(two_workers.slots()) == 2)
    yield two_workers
    for worker in two_workers._crew.workers:
        worker.trial = None
        if worker.call is not None and worker.is_ready:
            worker.deadline = 0


def until(workers: RayWorkers, is_so: Callable[[], object]) -> Events:
    """Wait until `is_so`; what happened meanwhile."""
    events: Events = []
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline, "nothing happened"
        events += workers.wait(0.1)
    return events


def collect(workers: RayWorkers | InlineWorkers, n: int) -> Events:
    """The next `n` events."""
    events: Events = []
    deadline = time.monotonic() + 60
    while len(events) < n:
        assert time.monotonic() < deadline, f"only {events}"
        events += workers.wait(0.1)
    return events


def processes(name: str) -> list[psutil.Process]:
    """The processes of this test's own cluster that do what `name` says just now."""
    return [p for p in psutil.Process().children(recursive=True) if p.name().startswith(f"ray::{name}")]


def named(namespace: str = "sweeper") -> set[str]:
    """The names of the actors that live in a namespace."""
    listed = ray.util.list_named_actors(all_namespaces=True)
    return {entry["name"] for entry in listed if entry["namespace"] == namespace}


def busy_process(name: str) -> psutil.Process:
    deadline = time.monotonic() + 60
    while not (found := [p for p in processes(name) if p.status() != psutil.STATUS_ZOMBIE]):
        assert time.monotonic() < deadline, "no worker is at it"
        time.sleep(0.01)
    return found[0]


def until_slots(workers: RayWorkers, n: int) -> list[Slot]:
    until(workers, lambda: len(workers.slots()) == n)
    return workers.slots()


def numbers(event: Advanced | Lost) -> list[tuple[Any, ...]]:
    assert isinstance(event, Advanced), event
    return [(r.epoch, r.samples, r.train_loss, r.val_loss, r.val_accuracy) for r in event.records]


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_trials_numbers_are_the_same_inline_and_in_either_of_two_busy_workers(
    optimizer: str,
    workers: RayWorkers,
    experiment: Experiment,
    images: Dataset,
    make_trial: MakeTrial,
) -> None:
    trial = make_trial(optimizer)
    inline = InlineWorkers(experiment, images)
    for each in (workers, workers, inline):
        each.advance(each.start(trial, 1), 3)
    expected, *others = [numbers(e) for e in (*collect(inline, 1), *collect(workers, 2))]
    assert others == [expected, expected]


def test_a_worker_that_dies_is_a_strike_and_is_replaced(workers: RayWorkers, make_trial: MakeTrial) -> None:
    trial = make_trial("adam")
    slot = workers.start(trial, 3)
    workers.advance(slot, 10_000)
    busy_process("train[adam]").kill()
    (event,) = collect(workers, 1)
    assert isinstance(event, Lost)
    assert (event.key, event.attempt, event.strike) == (trial.key, 3, True)
    assert event.cause == "its process died"
    until(workers, lambda: len(workers.slots()) == 2)
    assert slot not in workers.slots()


def test_ray_neither_restarts_nor_repeats_what_died(workers: RayWorkers, make_trial: MakeTrial) -> None:
    workers.advance(workers.start(make_trial("adam"), 1), 10_000)
    busy_process("train[adam]").kill()
    collect(workers, 1)
    until(workers, lambda: len(workers.slots()) == 2)
    assert processes("train") == []


def test_a_trial_that_raises_is_a_strike_and_its_worker_lives_on(
    workers: RayWorkers, make_trial: MakeTrial
) -> None:
    slot = workers.start(make_trial("adam", beta1=7.0), 1)
    workers.advance(slot, 1)
    (event,) = collect(workers, 1)
    assert isinstance(event, Lost)
    assert event.strike
    assert "beta" in event.cause
    assert slot in workers.slots()


def test_a_worker_stays_warm_from_trial_to_trial(workers: RayWorkers, make_trial: MakeTrial) -> None:
    before = set(workers.slots())
    pids = {p.pid for p in processes("")}
    for number in range(6):
        slot = workers.start(make_trial("sgd", number), 1)
        workers.advance(slot, 1)
        collect(workers, 1)
        workers.discard(slot)
    assert set(workers.slots()) == before
    assert {p.pid for p in processes("")} == pids


def test_workers_share_the_images_and_cannot_change_them(workers: RayWorkers) -> None:
    reads: list[dict[str, bool]] = ray.get([_flags.remote([workers._given[1]]) for _ in range(2)])
    assert reads == [{"owns": False, "writeable": False}] * 2


@ray.remote(num_cpus=0)
def _flags(reference: list[Any]) -> dict[str, bool]:
    pixels = ray.get(reference[0]).train.images
    return {"owns": bool(pixels.flags.owndata), "writeable": bool(pixels.flags.writeable)}


def test_actors_are_named_after_sweep_token_and_slot(workers: RayWorkers) -> None:
    own = {f"sweeper/s/{slot.worker}" for slot in workers.slots()}
    assert len(own) == 2
    assert all(name.startswith("sweeper/s/4/") for name in own)
    assert own <= named()


def test_closed_workers_leave_no_process(experiment: Experiment, images: Dataset) -> None:
    made = RayWorkers(experiment, images, sweep="gone", token=1, placement=Placement(0, 0, 1))
    until(made, lambda: made.slots())
    made.close()
    deadline = time.monotonic() + 30
    while "sweeper/gone/1/0" in named():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_worker_that_hangs_is_a_strike_and_its_process_is_ended(
    workers: RayWorkers, make_trial: MakeTrial
) -> None:
    trial = make_trial("adam")
    slot = workers.start(trial, 2)
    workers.advance(slot, 10_000, limit_s=1)
    hung = busy_process("train[adam]")
    hung.suspend()  # as one that is stuck where no signal reaches it
    (event,) = collect(workers, 1)
    assert isinstance(event, Lost)
    assert (event.key, event.attempt, event.strike) == (trial.key, 2, True)
    assert event.cause == "hung: no report for 1 s"
    until(workers, lambda: len(workers.slots()) == 2)
    assert slot not in workers.slots()
    assert not hung.is_running() or hung.status() == psutil.STATUS_ZOMBIE


def test_a_call_that_hangs_does_not_keep_the_slot_of_a_trial_that_was_taken_away(
    workers: RayWorkers, make_trial: MakeTrial
) -> None:
    slot = workers.start(make_trial("adam"), 1)
    workers.advance(slot, 10_000, limit_s=1)
    workers.discard(slot)
    assert until(workers, lambda: len(workers.slots()) == 2) == []
    assert slot not in workers.slots()


def test_a_driver_that_slept_does_not_blame_its_workers(
    workers: RayWorkers, make_trial: MakeTrial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "SLEPT_S", 0.5)
    slot = workers.start(make_trial("adam"), 1)
    workers.advance(slot, 1)
    collect(workers, 1)  # a new process's first stretch is slow
    workers.advance(slot, 40, limit_s=2)
    process = busy_process("train[adam]")
    process.suspend()  # all of the machine sleeps
    time.sleep(2.2)
    process.resume()
    (event,) = collect(workers, 1)
    assert isinstance(event, Advanced), event


def test_the_death_of_an_idle_worker_is_nobodys_strike(workers: RayWorkers, make_trial: MakeTrial) -> None:
    time.sleep(0.6)
    for process in processes(""):
        if "Actor" in process.name() or "start" in process.name() or "hello" in process.name():
            process.kill()
    trial = make_trial("adam")
    workers.advance(workers.start(trial, 1), 1)
    (event,) = collect(workers, 1)
    assert isinstance(event, Lost)
    assert (event.cause, event.strike) == ("its process died before it began", False)


def test_a_lost_trial_goes_to_another_worker(workers: RayWorkers, make_trial: MakeTrial) -> None:
    for avoid in workers.slots():
        slot = workers.start(make_trial(), 1, avoid=avoid)
        assert slot != avoid
        workers.discard(slot)


def test_a_successor_ends_the_workers_of_its_own_sweeps_earlier_coordinators_only(
    experiment: Experiment, images: Dataset
) -> None:
    def make(token: int, namespace: str, sweep: str = "heir") -> RayWorkers:
        placement = Placement(cpus=0, gpus=0, n_workers=1)
        return RayWorkers(
            experiment, images, sweep=sweep, token=token, placement=placement, namespace=namespace
        )

    made = [make(3, "one"), make(1, "one"), make(1, "one", "heir-2"), make(1, "two"), make(2, "one")]
    deadline = time.monotonic() + 30
    while "sweeper/heir/1/0" in named("one"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert named("one") == {"sweeper/heir/3/0", "sweeper/heir/2/0", "sweeper/heir-2/1/0"}
    assert named("two") == {"sweeper/heir/1/0"}
    for each in made:
        each.close()


def test_a_checkpoint_that_cannot_be_read_is_no_strike(
    experiment: Experiment, images: Dataset, make_trial: MakeTrial, tmp_path: Path, workers: RayWorkers
) -> None:
    made = RayWorkers(
        experiment,
        images,
        sweep="saved",
        token=1,
        placement=Placement(0, 0, 1),
        checkpoints=CheckpointFiles(str(tmp_path)),
    )
    (slot,) = until_slots(made, 1)
    trial = make_trial()
    assert made.start(trial, 2, checkpoint=Checkpoint(1, 5)) == slot
    made.advance(slot, 6)
    (event,) = collect(made, 1)
    assert isinstance(event, Lost)
    assert (event.strike, event.unreadable_checkpoint) == (False, True)
    assert made.slots() == [slot], "the worker is as good as ever"
    made.close()


def test_a_cluster_without_room_for_a_worker_is_told_of_once(
    experiment: Experiment,
    images: Dataset,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(pool, "VACANT_S", 0.2)
    made = RayWorkers(experiment, images, sweep="big", token=1, placement=Placement(64, 0, 1))
    for _ in range(5):
        assert made.wait(0.1) == []
    made.close()
    told = [record.getMessage() for record in caplog.records if record.name == "sweeper.ray"]
    assert len(told) == 1
    assert "each needs 64 CPU and 0 GPU, and the nodes of the Ray cluster have room for 0" in told[0]


def test_a_worker_that_cannot_start_ends_the_sweep_with_the_reason(
    experiment: Experiment,
) -> None:
    made = RayWorkers(experiment, None, sweep="broken", token=1, placement=Placement(0, 0, 1))  # type: ignore[arg-type]
    with pytest.raises(ClusterError, match=r"Ray workers can't start: AttributeError: .*NoneType"):
        until(made, lambda: False)
    made.close()


def test_a_worker_that_fits_on_no_node_is_refused(make_experiment: MakeExperiment) -> None:
    resources = make_experiment("resources.cpus_per_trial=64").resources
    with pytest.raises(ClusterError, match="no node of the Ray cluster has the 64 CPU and 0 GPU"):
        place(resources, "auto")


def test_a_name_that_is_taken_is_one_clear_line(experiment: Experiment, images: Dataset) -> None:
    made = RayWorkers(experiment, images, sweep="taken", token=4, placement=Placement(0, 0, 1))
    with pytest.raises(ClusterError, match=r"Ray worker sweeper/taken/4/0: .*already") as caught:
        RayWorkers(experiment, images, sweep="taken", token=4, placement=Placement(0, 0, 1))
    made.close()
    assert "\n" not in str(caught.value)


def test_as_many_workers_fit_as_there_are_processors(experiment: Experiment) -> None:
    assert [capacity(Need(*each)) for each in ((1, 0), (2, 0), (1, 0.5))] == [2, 1, 0]
    assert place(experiment.resources, "auto") == Placement(1, 0, None)
    assert place(experiment.resources, 1_000_000, n_trials=18).n_workers == 18
