from collections.abc import Callable

from sweeper.experiment import Experiment
from sweeper.records import Trial
from sweeper.training.data import Dataset
from sweeper.workers import Lost
from sweeper.workers.inline import InlineWorkers


def test_a_trial_that_raises_is_lost_by_its_own_fault(
    tiny: Experiment, images: Dataset, make_trial: Callable[..., Trial]
) -> None:
    workers = InlineWorkers(tiny, images)
    slot = workers.start(make_trial("adam", 1, beta1=7.0), 1)
    workers.advance(slot, 1)
    (event,) = workers.wait(1)
    assert isinstance(event, Lost)
    assert event.strike
    assert "beta" in event.cause
    assert "\n" not in event.cause
    assert workers.slots() == [slot]
