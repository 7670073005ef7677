"""One contract for all workers: inline, simulated, and real Ray processes."""

import time
from collections.abc import Callable, Iterator

import pytest
from conftest import TINY, brightness_images

from sweeper import experiment as experiments
from sweeper.experiment import Experiment
from sweeper.records import Trial, TrialState
from sweeper.training.data import Dataset
from sweeper.workers import Advanced, Lost, Slot, Workers
from sweeper.workers.inline import InlineWorkers
from sweeper.workers.ray import Placement, RayWorkers, cluster
from sweeper.workers.simulated import SimulatedWorkers

MakeTrial = Callable[..., Trial]


EPOCHS = 5


@pytest.fixture(scope="module")
def experiment() -> Experiment:
    return experiments.loads('[experiment]\nname = "tiny"', (*TINY, f"budget.epochs={EPOCHS}"))


@pytest.fixture(scope="module")
def ray_workers(experiment: Experiment) -> Iterator[Workers]:
    """One pair of Ray workers for all tests: starting them is what takes time."""
    with cluster(None, n_cpus=2, image_bytes=2**20):
        made = RayWorkers(experiment, brightness_images(), sweep="s", token=1, placement=Placement(1, 0, 2))
        yield made
        made.close()


@pytest.fixture(params=["inline", "simulated", pytest.param("ray", marks=pytest.mark.ray)])
def workers(request: pytest.FixtureRequest, experiment: Experiment, images: Dataset) -> Iterator[Workers]:
    made: Workers
    if request.param == "inline":
        made = InlineWorkers(experiment, images)
    elif request.param == "simulated":
        made = SimulatedWorkers(experiment, n_slots=2)
    else:
        made = request.getfixturevalue("ray_workers")
    n_slots = 1 if request.param == "inline" else 2
    until(made, lambda: len(made.slots()) == n_slots)
    started: list[Slot] = []
    start = made.start
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(made, "start", lambda *args, **kw: started.append(start(*args, **kw)) or started[-1])
        yield made
    for slot in set(started) - set(made.slots()):
        made.discard(slot)
    until(made, lambda: len(made.slots()) == n_slots)


def until(workers: Workers, is_so: Callable[[], object], limit_s: float = 60) -> list[Advanced | Lost]:
    """Wait until `is_so`; what happened meanwhile."""
    events: list[Advanced | Lost] = []
    deadline = time.monotonic() + limit_s
    while not is_so():
        assert time.monotonic() < deadline, "nothing happened"
        events += workers.wait(0.1)
    return events


def next_event(workers: Workers, limit_s: float = 60) -> Advanced | Lost:
    events: list[Advanced | Lost] = []
    deadline = time.monotonic() + limit_s
    while not events:
        assert time.monotonic() < deadline, "no event"
        events = workers.wait(0.1)
    (event,) = events
    return event


def test_a_slot_with_a_trial_is_not_free(workers: Workers, make_trial: MakeTrial) -> None:
    slot = workers.start(make_trial(), 1)
    assert slot not in workers.slots()
    workers.discard(slot)
    assert slot in workers.slots()


def test_nothing_is_trained_before_it_is_asked_for(workers: Workers, make_trial: MakeTrial) -> None:
    workers.start(make_trial(), 1)
    assert workers.wait(0.2) == []


def test_a_trial_is_trained_as_far_as_it_was_asked_and_no_further(
    workers: Workers, make_trial: MakeTrial
) -> None:
    trial = make_trial("adam", 3)
    slot = workers.start(trial, 2)
    workers.advance(slot, 2)
    first = next_event(workers)
    assert isinstance(first, Advanced)
    assert (first.slot, first.key, first.attempt) == (slot, trial.key, 2)
    assert [record.epoch for record in first.records] == [1, 2]
    assert workers.wait(0.2) == []
    workers.advance(slot, 5)
    second = next_event(workers)
    assert isinstance(second, Advanced)
    assert [record.epoch for record in second.records] == [3, 4, 5]
    assert second.records[-1].samples == 5 * 200
    assert second.outcome is not TrialState.DIVERGED


def test_a_trial_that_diverges_says_so_and_stops(workers: Workers, make_trial: MakeTrial) -> None:
    slot = workers.start(make_trial("sgd", 1, lr=1e6), 1)
    workers.advance(slot, 5)
    event = next_event(workers)
    assert isinstance(event, Advanced)
    assert event.outcome is TrialState.DIVERGED
    assert len(event.records) < 5


def test_a_slot_trains_trial_after_trial(workers: Workers, make_trial: MakeTrial) -> None:
    for number in range(1, 4):
        slot = workers.start(make_trial("sgd", number), 1)
        workers.advance(slot, 1)
        event = next_event(workers)
        assert event.key.number == number
        workers.discard(slot)


def test_nothing_more_is_heard_of_a_discarded_trial(workers: Workers, make_trial: MakeTrial) -> None:
    slot = workers.start(make_trial(), 1)
    workers.advance(slot, 5)
    workers.discard(slot)
    assert until(workers, lambda: slot in workers.slots()) == []
    assert workers.wait(0.2) == []


def test_waiting_ends_when_its_time_is_over(workers: Workers) -> None:
    started = time.monotonic()
    assert workers.wait(0.2) == []
    assert time.monotonic() - started < 5
