"""Ray workers alone: real processes that die, raise, share images, and are placed on logical GPUs."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest
import ray

from sweeper.errors import ClusterError
from sweeper.experiment import Experiment
from sweeper.records import Trial
from sweeper.training.data import Dataset
from sweeper.workers import Advanced, Lost
from sweeper.workers.inline import InlineWorkers
from sweeper.workers.ray import Placement, RayWorkers, capacity, cluster, gpu_share, place

pytestmark = pytest.mark.ray

MakeTrial = Callable[..., Trial]
MakeExperiment = Callable[..., Experiment]
Events = list[Advanced | Lost]

TWO = Placement(cpus=1, gpus=0, n_workers=2)


@pytest.fixture(scope="module", autouse=True)
def ray_cluster() -> Iterator[None]:
    with cluster(None, n_cpus=2, image_bytes=2**20):
        yield


@pytest.fixture
def experiment(make_experiment: MakeExperiment) -> Experiment:
    return make_experiment("budget.epochs=10000")


@pytest.fixture
def workers(experiment: Experiment, images: Dataset) -> Iterator[RayWorkers]:
    made = RayWorkers(experiment, images, sweep="s", token=4, placement=TWO)
    until(made, lambda: len(made.slots()) == 2)
    yield made
    made.close()


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


def busy_process(name: str) -> psutil.Process:
    deadline = time.monotonic() + 60
    while not (found := processes(name)):
        assert time.monotonic() < deadline, "no worker is at it"
        time.sleep(0.01)
    return found[0]


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
    reads: list[dict[str, bool]] = ray.get([_flags.remote([workers._dataset]) for _ in range(2)])
    assert reads == [{"owns": False, "writeable": False}] * 2


@ray.remote(num_cpus=0)
def _flags(reference: list[Any]) -> dict[str, bool]:
    pixels = ray.get(reference[0]).train.images
    return {"owns": bool(pixels.flags.owndata), "writeable": bool(pixels.flags.writeable)}


def test_actors_are_named_after_sweep_token_and_slot(workers: RayWorkers) -> None:
    names = {entry["name"] for entry in ray.util.list_named_actors(all_namespaces=True)}
    assert {"sweeper/s/4/0", "sweeper/s/4/1"} <= names
    assert {slot.worker for slot in workers.slots()} == {"4/0", "4/1"}


def test_closed_workers_leave_no_process(experiment: Experiment, images: Dataset) -> None:
    made = RayWorkers(experiment, images, sweep="gone", token=1, placement=Placement(1, 0, 1))
    until(made, lambda: made.slots())
    made.close()
    deadline = time.monotonic() + 30
    while any("sweeper/gone/1/0" in str(e) for e in ray.util.list_named_actors(all_namespaces=True)):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_worker_that_cannot_start_ends_the_sweep_with_the_reason(
    experiment: Experiment,
) -> None:
    made = RayWorkers(experiment, None, sweep="broken", token=1, placement=Placement(1, 0, 1))  # type: ignore[arg-type]
    with pytest.raises(ClusterError, match=r"Ray workers can't start: AttributeError: .*NoneType"):
        until(made, lambda: False)
    made.close()


def test_a_worker_that_fits_on_no_node_is_refused(make_experiment: MakeExperiment) -> None:
    resources = make_experiment("resources.cpus_per_trial=64").resources
    with pytest.raises(ClusterError, match="no node of the Ray cluster has the 64 CPU and 0 GPU"):
        place(resources, "auto")


def test_a_name_that_is_taken_is_one_clear_line(
    workers: RayWorkers, experiment: Experiment, images: Dataset
) -> None:
    with pytest.raises(ClusterError, match=r"Ray worker sweeper/s/4/0: .*already") as caught:
        RayWorkers(experiment, images, sweep="s", token=4, placement=TWO)
    assert "\n" not in str(caught.value)


def test_as_many_workers_fit_as_there_are_processors(experiment: Experiment) -> None:
    assert capacity(cpus=1, gpus=0) == 2
    assert capacity(cpus=2, gpus=0) == 1
    assert capacity(cpus=1, gpus=0.5) == 0
    assert gpu_share("auto") == 0.0
    assert gpu_share(0.25) == 0.25
