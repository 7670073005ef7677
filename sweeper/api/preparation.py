"""What a sweep, and the plan of one, begin with: the experiment read, its classes looked up, its workers."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from sweeper import checkpoints, optimizers, space
from sweeper import experiment as experiments
from sweeper.api.job import WorkerCount
from sweeper.errors import ExperimentError, UsageError
from sweeper.experiment import ArmSpace, Experiment


def read(source: Experiment | Path | str, settings: Sequence[str]) -> Experiment:
    """The experiment that a user names, a file or an `Experiment`, with "key=value" on top of it.

    Raises ExperimentError with every mistake, also where an arm's class of torch.optim, or a value for it, is
    none: only torch knows. A directory for checkpoints is made absolute: the sweep may be resumed from
    elsewhere. Raises CheckpointError for one in the home of a user who doesn't exist.
    """
    experiment = _with_absolute_checkpoints(_read(source, settings))
    if problems := _class_problems(experiment):
        raise ExperimentError(experiment.name if isinstance(source, Experiment) else str(source), problems)
    return experiment


def _read(source: Experiment | Path | str, settings: Sequence[str]) -> Experiment:
    if not isinstance(source, Experiment):
        return experiments.read(source, settings)
    if not settings:
        return source
    return experiments.from_document(source.document(), settings, text=source.text, is_resolved=True)


def _with_absolute_checkpoints(experiment: Experiment) -> Experiment:
    section = experiment.checkpoint
    if not section.every_epochs:
        return experiment
    where = checkpoints.absolute(section.directory)
    return dataclasses.replace(experiment, checkpoint=section.model_copy(update={"directory": where}))


def _class_problems(experiment: Experiment) -> list[str]:
    problems = []
    for arm in experiment.arms:
        if arm.torch_class is not None:
            searched = {key: d for key, d in arm.space.items() if key not in space.TRAINING}
            values = {key: space.extremes(dimension) for key, dimension in searched.items()}
            if values.get("weight_decay") == (0.0,):
                del values["weight_decay"]  # what a class has no name for need not be given
            found = optimizers.custom.problems(arm.torch_class, values)
            problems += [_class_problem(arm, line) for line in found]
    return problems


def _class_problem(arm: ArmSpace, line: str) -> str:
    if line.startswith("weight_decay: unknown") and "weight_decay" not in arm.own:
        return (
            f"space.weight_decay: {arm.torch_class} takes none; "
            f"optimizers.{arm.name}.weight_decay = 0.0 leaves it out"
        )
    return f"optimizers.{arm.name}.{line}"


def worker_count(given: WorkerCount | None, experiment: Experiment) -> WorkerCount:
    """`given`, or what the experiment says. Raises UsageError where it is no number of workers."""
    if given is None:
        return experiment.resources.workers
    if given in ("auto", "inline") or (isinstance(given, int) and given >= 1):
        return given
    raise UsageError(f"workers {given}: must be a whole number from 1 on, auto or inline")
