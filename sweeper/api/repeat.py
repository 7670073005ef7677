"""Trains a stored trial again, here and now, and holds it against what the store has of it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sweeper.api import facts
from sweeper.api.display import Display, Silent
from sweeper.api.sweep import StoreLocation, load
from sweeper.errors import NotFoundError, SweeperError, UsageError
from sweeper.experiment import Experiment
from sweeper.records import EpochRecord, FinalScore, Phase, StoredTrial, TrialKey, TrialState
from sweeper.training import data

if TYPE_CHECKING:
    from sweeper.workers.trainer import Trainer


@dataclass(frozen=True, slots=True)
class Repetition:
    """A trial trained again.

    `is_same`: every epoch that is stored came out the same, bit for bit; None where none is stored. `largest`
    is the largest difference of a loss or accuracy.
    """

    stored: StoredTrial
    records: tuple[EpochRecord, ...]
    outcome: TrialState | None
    test: FinalScore | None
    is_same: bool | None
    largest: float


def repeat(
    name: str,
    optimizer: str,
    number: int,
    store: StoreLocation = None,
    *,
    final: bool = False,
    save: Path | None = None,
    data_dir: Path | str | None = None,
    force: bool = False,
    display: Display | None = None,
    reported: Callable[[EpochRecord], None] = lambda record: None,
) -> Repetition:
    """Train trial `number` of the sweep `name` again in this process, with the same seed and images.

    As far as it was trained then: a pruned one to its last rung. `save` names a file for the trained network
    (see `training.saving`); `reported` gets each epoch. `force` accepts other versions of torch.

    Raises NotFoundError where there is no such trial, UsageError where `save` can't be written, SweeperError
    where the training fails, as that of a failed trial may, and as `resume` does.
    """
    sweep = load(name, store)
    experiment = sweep.experiment
    if experiment.imported:
        raise UsageError(
            f"sweep {name!r} was imported: Sweeper has not trained its trials and can't repeat one"
        )
    stored = _find(sweep.store.trials(name), name, TrialKey(optimizer, _phase(final), number), experiment)
    if save is not None:
        _require_writable(save)
    images = data.load(experiment, data.directory(data_dir))
    for line in facts.check_unchanged(sweep.info.facts, facts.describe(images), force=force):
        (display or Silent()).note(line)

    from sweeper import analysis
    from sweeper.workers.trainer import Trainer

    trainer = Trainer(experiment, images, use_gpu=False)
    records, outcome, test = _train(trainer, stored, reported)
    if save is not None:
        from sweeper.training import saving

        about = {"sweep": name, "trial": str(stored.key), "params": dict(stored.trial.params)}
        try:
            saving.save(save, trainer.network, experiment.model, images, about)
        except OSError as error:
            raise UsageError(f"--save {save}: can't be written: {error.strerror}") from None
    frame = sweep.epochs
    mine = frame[
        (frame["optimizer"] == optimizer) & (frame["number"] == number) & (frame["phase"] == _phase(final))
    ]
    is_same, largest = analysis.compare_epochs(mine, records)
    return Repetition(stored, tuple(records), outcome, test, is_same, largest)


def _require_writable(save: Path) -> None:
    """Raises UsageError where no file can be written to `save`, before anything is trained."""
    try:
        if not save.parent.is_dir():
            raise UsageError(f"--save {save}: {save.parent} is no directory")
        if save.is_dir():
            raise UsageError(f"--save {save}: is a directory; must be a file")
    except OSError as error:
        raise UsageError(f"--save {save}: can't be written: {error.strerror}") from None


def _train(
    trainer: "Trainer", stored: StoredTrial, reported: Callable[[EpochRecord], None]
) -> tuple[list[EpochRecord], TrialState | None, FinalScore | None]:
    """Train the trial to its end, or a pruned one to its last epoch: what came of it."""
    from sweeper.workers.blame import blame

    records: list[EpochRecord] = []
    outcome = test = None
    is_pruned = stored.state is TrialState.PRUNED
    try:
        trainer.begin(stored.trial)
        while outcome is None and not (is_pruned and records and records[-1].epoch >= stored.epochs):
            stretch = trainer.advance(records[-1].epoch + 1 if records else 1)
            outcome, test = stretch.outcome, stretch.test
            records += stretch.records
            for record in stretch.records:
                reported(record)
    except Exception as error:
        epoch = records[-1].epoch if records else 0
        raise SweeperError(f"{stored.key} failed after epoch {epoch}: {blame(error)}") from error
    return records, outcome, test


def _phase(final: bool) -> Phase:
    return Phase.FINAL if final else Phase.SEARCH


def _find(known: list[StoredTrial], name: str, key: TrialKey, experiment: Experiment) -> StoredTrial:
    for stored in known:
        if stored.key == key:
            return stored
    optimizers = ", ".join(arm.name for arm in experiment.arms)
    raise NotFoundError(f"sweep {name!r} has no trial {key}; its optimizers: {optimizers}")
