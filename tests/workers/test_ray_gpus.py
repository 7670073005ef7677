"""Placement on GPUs, with Ray's logical ones: no device is there, so the workers train on the CPU."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.ray

PROGRAM = """
import time
import ray
import torch
from conftest import TINY, brightness_images
from sweeper import experiment as experiments
from sweeper.records import Origin, Phase, Trial, TrialKey
from sweeper.workers import Advanced, Lost
from sweeper.workers.memory import Memory
from sweeper.workers.ray import Placement, RayWorkers, capacity, place
from sweeper.workers.ray.actor import Actor
from sweeper.workers.ray.plan import Need

ray.init(address="local", num_cpus=4, num_gpus=1, log_to_driver=False, include_dashboard=False)
assert [capacity(Need(1, gpus)) for gpus in (1.0, 0.5, 0.1)] == [1, 2, 4], "processors limit the last"
assert capacity(Need(2, 0.1)) == 2

experiment = experiments.loads('[experiment]\\nname = "gpu"', TINY)
placement = place(experiment.resources, 2)
assert placement == Placement(1, 1.0, 2, may_share=True), placement


class Pretending(Actor):
    '''A worker that pretends to have a GPU of 16 GiB, which is not enough for adagrad unless it is whole.'''

    def prepare(self, *given):
        device = super().prepare(*given)
        begin, gpus = self._trainer.begin, self._gpus

        def hungry(trial, *rest):
            if trial.key.optimizer == "adagrad" and gpus < 1:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            begin(trial, *rest)

        self._trainer.begin = hungry
        return device

    def memory(self):
        return Memory(16 * 2**30, 2 * 2**30, 0)


workers = RayWorkers(
    experiment, brightness_images(), sweep="gpu", token=1, placement=placement, actor=Pretending
)


def until(is_so):
    events, deadline = [], time.monotonic() + 60
    while not is_so(events):
        assert time.monotonic() < deadline, (events, workers._crew.workers)
        events += workers.wait(0.1)
    return events


def begin(optimizer, number, attempt=1):
    trial = Trial(
        TrialKey(optimizer, Phase.SEARCH, number),
        seed=7,
        params={"lr": 0.01, "batch_size": 50, "weight_decay": 0.0},
        proposal={},
        origin=Origin.PROPOSED,
        independent=True,
        setting=number,
    )
    slot = workers.start(trial, attempt)
    workers.advance(slot, 2)
    return slot


def free_gpu():
    return ray.available_resources().get("GPU", 0)


until(lambda events: len(workers.slots()) == 1)
assert free_gpu() == 0, "the first has a whole GPU"
first = begin("sgd", 1)
(event,) = until(lambda events: events)
assert isinstance(event, Advanced)
workers.discard(first)
until(lambda events: len(workers.slots()) == 2)
assert first not in workers.slots()
assert free_gpu() == 0, "two share it, for no more are wanted"
print("shared")

busy, hungry = begin("sgd", 2), begin("adagrad", 1)
told = {event.slot: event for event in until(lambda events: len(events) == 2)}
lost = told[hungry]
assert isinstance(lost, Lost) and lost.strike and "CUDA out of memory" in lost.cause, lost
assert hungry in workers.slots(), "the worker is as good as ever"

alone = begin("adagrad", 1, attempt=2)
assert alone not in {busy, hungry}
until(lambda events: not workers.slots())
assert [worker.is_ready for worker in workers._crew.workers if worker.is_alone] == [False], "busy is there"
workers.discard(busy)
(event,) = until(lambda events: events)
assert isinstance(event, Advanced) and (event.slot, event.attempt) == (alone, 2), event
assert free_gpu() == 0
workers.discard(alone)
until(lambda events: len(workers.slots()) == 2)
assert not {busy, hungry, alone} & set(workers.slots())
print("alone")
workers.close()
ray.shutdown()
"""


def test_workers_share_a_gpu_by_what_the_first_trial_needed_and_who_needs_more_gets_it_alone() -> None:
    environment = {
        **os.environ,
        "RAY_AUTH_MODE": "disabled",
        "PYTHONPATH": str(Path(__file__).parent.parent),
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["shared", "alone"]
