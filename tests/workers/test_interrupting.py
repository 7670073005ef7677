"""Ctrl-C while a worker trains in this process."""

import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import FrameType

import numpy as np
import pytest

from sweeper import crashpoints
from sweeper.checkpoints import CheckpointFiles
from sweeper.crashpoints import Point
from sweeper.experiment import Experiment
from sweeper.records import Trial
from sweeper.training.data import Dataset, Split, averaged_down
from sweeper.workers import Advanced
from sweeper.workers.inline import InlineWorkers

MakeExperiment = Callable[..., Experiment]
MakeTrial = Callable[..., Trial]


@pytest.fixture
def alarm() -> Iterator[Callable[[Callable[[], None], float], None]]:
    """Has a signal handler call something, in this thread, after so many seconds: `alarm(call, 0.3)`."""
    previous = signal.getsignal(signal.SIGALRM)

    def after(call: Callable[[], None], seconds: float) -> None:
        def handle(number: int, frame: FrameType | None) -> None:
            call()

        signal.signal(signal.SIGALRM, handle)
        signal.setitimer(signal.ITIMER_REAL, seconds)

    yield after
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, previous)


def test_an_interrupt_ends_a_step_that_would_take_long(
    make_experiment: MakeExperiment,
    make_trial: MakeTrial,
    images: Dataset,
    alarm: Callable[[Callable[[], None], float], None],
) -> None:
    def many(split: Split) -> Split:
        return Split(np.tile(averaged_down(split.images, 8), (40, 1, 1, 1)), np.tile(split.labels, 40))

    experiment = make_experiment("model.input_size=8", "optimizers.newton.steps=2", "optimizers.adam={}")
    workers = InlineWorkers(experiment, replace(images, train=many(images.train), val=many(images.val)))
    trial = replace(make_trial("newton"), params={"lr": 1.0, "damping": 0.01, "weight_decay": 0.0})
    slot = workers.start(trial, 1)
    workers.advance(slot, 1)
    alarm(workers.interrupt, 0.3)
    started = time.monotonic()
    assert workers.wait(0) == []
    assert time.monotonic() - started < 5
    assert workers.wait(0) == []
    assert workers.slots() == []
    with pytest.raises(AssertionError, match="interrupted within a step"):
        workers.advance(slot, 1)
    workers.discard(slot)
    workers.advance(workers.start(make_trial("adam"), 1), 1)
    (event,) = workers.wait(0)
    assert isinstance(event, Advanced), "another trial can be trained"


def test_an_interrupt_while_nothing_is_trained_does_nothing(
    tiny: Experiment, images: Dataset, make_trial: MakeTrial
) -> None:
    workers = InlineWorkers(tiny, images)
    workers.interrupt()
    slot = workers.start(make_trial(), 1)
    workers.interrupt()
    for epoch in (1, 2):
        workers.advance(slot, epoch)
        (event,) = workers.wait(0)
        assert isinstance(event, Advanced)
        workers.interrupt()


def test_an_interrupt_while_a_checkpoint_is_saved_leaves_no_part_of_it(
    make_experiment: MakeExperiment, make_trial: MakeTrial, images: Dataset, tmp_path: Path
) -> None:
    experiment = make_experiment("checkpoint.every_epochs=1", f'checkpoint.directory="{tmp_path}"')
    workers = InlineWorkers(experiment, images, checkpoints=CheckpointFiles(str(tmp_path)))
    reached = []

    def hook(point: Point) -> None:
        reached.append((point, [path.suffix for path in tmp_path.iterdir()]))
        workers.interrupt()

    workers.advance(workers.start(make_trial(), 1), 1)
    crashpoints.arm(hook)
    try:
        assert workers.wait(0) == []
    finally:
        crashpoints.arm(None)
    assert reached == [(Point.BEFORE_CHECKPOINT, [".partial"])]
    assert list(tmp_path.iterdir()) == []
