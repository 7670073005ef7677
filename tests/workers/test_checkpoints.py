"""When a worker saves its trial, and how the next one goes on from there."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sweeper.checkpoints import CheckpointFiles
from sweeper.experiment import Experiment
from sweeper.records import Checkpoint, Phase, Trial, TrialKey, TrialState
from sweeper.training.data import Dataset
from sweeper.workers import Advanced, Lost
from sweeper.workers.inline import InlineWorkers
from sweeper.workers.trainer import Trainer

MakeExperiment = Callable[..., Experiment]
MakeTrial = Callable[..., Trial]
MakeWorkers = Callable[..., InlineWorkers]


@pytest.fixture
def files(tmp_path: Path) -> CheckpointFiles:
    """A directory that isn't there yet."""
    return CheckpointFiles(str(tmp_path / "saved"))


@pytest.fixture
def make_workers(make_experiment: MakeExperiment, images: Dataset) -> MakeWorkers:
    """A new worker that saves every second epoch: `make_workers(files, "budget.epochs=9")`."""

    def make(files: CheckpointFiles, *settings: str) -> InlineWorkers:
        saving = ("checkpoint.every_epochs=2", f'checkpoint.directory="{files.directory}"')
        experiment = make_experiment("budget.epochs=7", *saving, *settings)
        return InlineWorkers(experiment, images, checkpoints=files)

    return make


def begun(
    workers: InlineWorkers, trial: Trial, attempt: int = 1, checkpoint: Checkpoint | None = None
) -> Callable[[int], Advanced]:
    """Advances the trial as far as it is told: `step = begun(...); step(3)`."""
    slot = workers.start(trial, attempt, checkpoint=checkpoint)

    def step(until_epoch: int) -> Advanced:
        workers.advance(slot, until_epoch)
        (event,) = workers.wait(0)
        assert isinstance(event, Advanced)
        return event

    return step


def saved(files: CheckpointFiles) -> list[str]:
    directory = Path(files.directory)
    return sorted(path.name for path in directory.iterdir()) if directory.exists() else []


def numbers(*parts: Advanced) -> list[tuple[object, ...]]:
    """The epochs without what differs from run to run."""
    records = [record for part in parts for record in part.records]
    return [(r.epoch, r.samples, r.steps, r.train_loss, r.val_loss, r.val_accuracy, r.lr) for r in records]


# --- when it is saved ------------------------------------------------------------------------------------


def test_a_trial_is_saved_where_it_passes_a_multiple_but_not_at_its_end(
    make_workers: MakeWorkers, files: CheckpointFiles, make_trial: MakeTrial
) -> None:
    step = begun(make_workers(files, "budget.epochs=4"), make_trial("adam", 3), attempt=2)
    assert [step(epoch).checkpoint for epoch in (1, 2, 3)] == [None, Checkpoint(2, 2), None]
    end = step(4)
    assert (end.outcome, end.checkpoint, end.checkpoint_error) == (TrialState.COMPLETE, None, None)
    assert saved(files) == ["adam-search-00003-attempt-2-epoch-2.checkpoint"]


def test_of_a_stretch_of_epochs_only_the_last_multiple_is_saved(
    make_workers: MakeWorkers, files: CheckpointFiles, make_trial: MakeTrial
) -> None:
    step = begun(make_workers(files), make_trial("adam", 3))
    assert step(5).checkpoint == Checkpoint(1, 4)
    assert len(saved(files)) == 1


def test_a_rule_whose_steps_span_epochs_is_saved_after_the_step_that_passes_a_multiple(
    make_workers: MakeWorkers, files: CheckpointFiles, make_trial: MakeTrial
) -> None:
    trial = replace(make_trial("lbfgs"), params={"lr": 10.0, "history": 5, "weight_decay": 0.0})
    settings = ("budget.epochs=12", "checkpoint.every_epochs=3", "optimizers.lbfgs={}")
    step = begun(make_workers(files, *settings), trial)
    passed, wanted, got = 0, [], []
    for until in range(1, 13):
        event = step(until)
        for record in event.records:
            if record.epoch // 3 > passed // 3 and event.outcome is None:
                wanted.append(Checkpoint(1, record.epoch))
            passed = record.epoch
        got += [event.checkpoint] if event.checkpoint else []
        if event.outcome is not None:
            break
    assert any(checkpoint.epoch % 3 for checkpoint in wanted), "a step that goes beyond the multiple"
    assert got == wanted


def test_a_diverged_trial_is_not_saved(
    make_workers: MakeWorkers, files: CheckpointFiles, make_trial: MakeTrial
) -> None:
    workers = make_workers(files, "checkpoint.every_epochs=1")
    event = begun(workers, make_trial("sgd", lr=1e6))(5)
    assert (event.outcome, event.checkpoint, saved(files)) == (TrialState.DIVERGED, None, [])


def test_without_every_epochs_nothing_is_saved(
    make_workers: MakeWorkers, files: CheckpointFiles, make_trial: MakeTrial
) -> None:
    event = begun(make_workers(files, "checkpoint.every_epochs=0"), make_trial("adam"))(6)
    assert (event.checkpoint, event.checkpoint_error, saved(files)) == (None, None, [])


class Slow(CheckpointFiles):
    """Takes its time."""

    def save(self, key: TrialKey, checkpoint: Checkpoint, state: bytes) -> None:
        time.sleep(0.5)


def test_the_time_of_saving_is_no_epochs_time(make_workers: MakeWorkers, make_trial: MakeTrial) -> None:
    step = begun(make_workers(Slow("nowhere")), make_trial("adam"))
    started = time.perf_counter()
    event = step(3)
    assert event.checkpoint == Checkpoint(1, 2)
    waited = time.perf_counter() - started
    assert sum(record.train_s + record.eval_s for record in event.records) <= waited - 0.5


def test_a_trial_that_cannot_be_saved_goes_on_and_says_so_once_a_stretch(
    make_workers: MakeWorkers, files: CheckpointFiles, make_trial: MakeTrial, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    trial = make_trial("adam", 3)
    step = begun(make_workers(CheckpointFiles(str(tmp_path / "file" / "below"))), trial)
    events = [step(5), step(6), step(7)]
    assert [event.checkpoint for event in events] == [None] * 3
    name = "file/below/adam-search-00003-attempt-1-epoch"
    for event in events[:2]:
        file = f"{name}-{event.records[-1].epoch // 2 * 2}.checkpoint"
        assert event.checkpoint_error == f"{tmp_path}/{file}: can't be written: Not a directory"
    assert events[2].checkpoint_error is None, "at the trial's end nothing is saved"
    assert numbers(*events) == numbers(begun(make_workers(files), trial)(7))


# --- how the next attempt goes on ------------------------------------------------------------------------


@pytest.mark.parametrize("phase", Phase)
def test_the_next_attempt_goes_on_as_if_nothing_had_happened(
    phase: Phase, make_workers: MakeWorkers, files: CheckpointFiles, make_trial: MakeTrial
) -> None:
    trial = replace(make_trial("momentum", momentum=0.9), key=TrialKey("momentum", phase, 5))
    whole = begun(make_workers(files), trial)(7)
    assert saved(files) != []
    files.forget_all()
    first = begun(make_workers(files), trial)
    assert first(3).checkpoint == Checkpoint(1, 2)
    second = begun(make_workers(files), trial, 2, Checkpoint(1, 2))
    middle = second(5)
    assert middle.checkpoint == Checkpoint(2, 4)
    last = begun(make_workers(files), trial, 3, Checkpoint(2, 4))(7)
    kept = [*numbers(whole)[:2], *numbers(middle)[:2], *numbers(last)]
    assert kept == numbers(whole)
    assert last.outcome is TrialState.COMPLETE
    assert last.test == whole.test
    assert (last.test is not None) == (phase is Phase.FINAL)


@pytest.mark.parametrize("damage", ["gone", "truncated", "of another trial"])
def test_a_checkpoint_that_cannot_be_read_is_no_strike_and_the_trial_can_begin_again(
    damage: str, make_workers: MakeWorkers, files: CheckpointFiles, make_trial: MakeTrial
) -> None:
    trial, workers, given = make_trial("adam", 3), make_workers(files), Checkpoint(1, 2)
    whole = begun(workers, trial)(3)
    workers.discard(whole.slot)
    path = Path(files.path(trial.key, given))
    if damage == "gone":
        path.unlink()
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[:-1])
    else:
        path.rename(files.path(replace(trial.key, number=4), given))
        trial = replace(trial, key=replace(trial.key, number=4))
    slot = workers.start(trial, 2, checkpoint=given)
    workers.advance(slot, 3)
    (event,) = workers.wait(0)
    assert isinstance(event, Lost)
    assert (event.key, event.attempt) == (trial.key, 2)
    assert (event.strike, event.unreadable_checkpoint) == (False, True)
    assert event.cause.startswith(files.path(trial.key, given))
    assert "\n" not in event.cause
    assert workers.slots() == [slot]
    again = begun(workers, trial, 3)(3)
    assert numbers(again) == numbers(whole)


def test_a_trainer_that_takes_another_trial_saves_that_one(
    make_experiment: MakeExperiment, images: Dataset, files: CheckpointFiles, make_trial: MakeTrial
) -> None:
    experiment = make_experiment("budget.epochs=4", "checkpoint.every_epochs=1", "checkpoint.directory=x")
    trainer = Trainer(experiment, images, use_gpu=False, checkpoints=files)
    trainer.begin(make_trial("adam", 1))
    trainer.advance(1)
    trainer.begin(make_trial("sgd", 2), attempt=3)
    assert trainer.advance(2).checkpoint == Checkpoint(3, 2)
    assert saved(files) == [
        "adam-search-00001-attempt-1-epoch-1.checkpoint",
        "sgd-search-00002-attempt-3-epoch-2.checkpoint",
    ]
