"""The answer to take away from a sweep: an optimizer's best setting, as TOML, lines of torch, or JSON."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from sweeper.analysis import finals, recipes, scores
from sweeper.analysis.progress import progress
from sweeper.analysis.sentences import OBJECTIVES, counted
from sweeper.analysis.verdict import leader
from sweeper.errors import NotFoundError, UsageError
from sweeper.experiment import ArmSpace, Experiment
from sweeper.printable import printable
from sweeper.records import Phase, Trial, TrialState


@dataclass(frozen=True, slots=True)
class Best:
    """An optimizer's best setting: trial `number` of its search, the best of `n_tried`.

    In a joint search those are of all optimizers, unless one was asked for.
    `score` is its objective in the search; the finals' numbers are of the fresh seeds at this setting, on
    test images: of the objective's test counterpart and of the accuracy, NaN where there are none.
    `is_complete`: the sweep has nothing left to train that could change the answer.
    """

    sweep: str
    experiment: Experiment
    trial: Trial
    score: float
    n_tried: int
    final_mean: float
    final_sd: float
    final_accuracy: float
    final_accuracy_sd: float
    final_n: int
    is_complete: bool

    @property
    def optimizer(self) -> str:
        """The optimizer."""
        return self.trial.key.optimizer

    @property
    def number(self) -> int:
        """The number of the search trial whose setting it is."""
        return self.trial.key.number

    @property
    def arm(self) -> ArmSpace:
        """The optimizer's search space."""
        return self.experiment.arm(self.optimizer)

    def toml(self) -> str:
        """A piece of an experiment file in which every hyperparameter is fixed at this setting."""
        return _commented(self._origin(), recipes.toml(self.trial, self.arm))

    def python(self) -> str:
        """Lines of torch that make this optimizer for a `model`."""
        return _commented(self._origin(), recipes.python(self.trial, self.arm, self.experiment))

    def record(self) -> dict[str, Any]:
        """The answer as plain values for JSON; None where there is no number."""
        record = {
            "sweep": self.sweep,
            "optimizer": self.optimizer,
            "number": self.number,
            "params": dict(self.trial.params),
            "objective": self.experiment.objective,
            "score": self.score,
            "tried": self.n_tried,
            "final_mean": self.final_mean,
            "final_sd": self.final_sd,
            "final_accuracy": self.final_accuracy,
            "final_accuracy_sd": self.final_accuracy_sd,
            "final_n": self.final_n,
            "complete": self.is_complete,
        }
        return {
            key: None if isinstance(value, float) and math.isnan(value) else value
            for key, value in record.items()
        }

    def _origin(self) -> list[str]:
        """Where the setting comes from, and how good it was."""
        experiment = self.experiment
        lines = [
            f"{self.optimizer}'s best setting in sweep {self.sweep}: trial {self.trial.key}, "
            f"{OBJECTIVES[experiment.objective]} {self.score:.4g},",
            f"the best of {self.n_tried} tried; {experiment.model.name} on {experiment.data.name}, "
            f"{experiment.data.train_size:,} images, {counted(experiment.budget.epochs, 'epoch')}.",
        ]
        if self.final_n:
            accuracy = f"test accuracy {_spread(self.final_accuracy, self.final_accuracy_sd)}"
            loss = f"test loss {_spread(self.final_mean, self.final_sd)}, "
            judges_loss = scores.counterpart(experiment.objective) == "test_loss"
            seeds = counted(self.final_n, "fresh seed")
            lines.append(f"Trained again with {seeds}: {loss if judges_loss else ''}{accuracy} (mean ± sd).")
        if not self.is_complete:
            lines.append("So far: the sweep is not complete.")
        return lines


def best(
    sweep: str,
    trials: pd.DataFrame,
    planned: Iterable[Trial],
    experiment: Experiment,
    optimizer: str | None = None,
) -> Best:
    """The best setting of `optimizer`; None: of the one that leads the search.

    `trials` is the sweep's frame, `planned` the same trials with their exact settings. Where finals were made
    at several settings, the best is the one with the best mean objective over them. Raises UsageError for an
    unknown optimizer, NotFoundError where no tuned trial is complete.
    """
    names = [arm.name for arm in experiment.arms]
    if optimizer is not None and optimizer not in names:
        raise UsageError(
            f"optimizer {optimizer!r} is not in sweep {sweep!r}; its optimizers: {', '.join(names)}"
        )
    objective, loss, n_classes = experiment.objective, experiment.loss.name, experiment.n_classes
    name = leader(trials, experiment) if optimizer is None else optimizer
    search = scores.of_search(trials, objective, loss, n_classes)
    tried = scores.best_first(scores.proposed(search[search["optimizer"] == name]), objective)
    if name is None or not (tried["state"] == TrialState.COMPLETE).any():
        whose = f" of {name}" if name else ""
        raise NotFoundError(f"sweep {sweep!r} has no complete trial{whose} yet besides the untuned setting")
    final = finals.scored(trials, objective, loss, n_classes)
    final = final[(final["optimizer"] == name) & (final["setting"] != finals.UNTUNED)]
    so_far = progress(trials, experiment)
    is_complete = so_far.searched_all and not so_far.n_finals_missing
    represents = finals.representative(final, objective) if is_complete else None
    number = int(tried["number"].iloc[0]) if represents is None else represents
    among_all = optimizer is None and experiment.search.mode == "joint"
    final = final[final["setting"] == number]
    return Best(
        sweep=sweep,
        experiment=experiment,
        trial=_trial(planned, name, number),
        score=float(tried.loc[tried["number"] == number, "score"].iloc[0]),
        n_tried=len(scores.proposed(search)) if among_all else len(tried),
        final_mean=float(final["test"].mean()),
        final_sd=float(final["test"].std()),
        final_accuracy=float(final["accuracy"].mean()),
        final_accuracy_sd=float(final["accuracy"].std()),
        final_n=len(final),
        is_complete=is_complete,
    )


def _trial(planned: Iterable[Trial], optimizer: str, number: int) -> Trial:
    return next(
        trial
        for trial in planned
        if (trial.key.optimizer, trial.key.phase, trial.key.number) == (optimizer, Phase.SEARCH, number)
    )


def _commented(comments: Iterable[str], lines: Iterable[str]) -> str:
    return "\n".join([*(f"# {printable(comment)}" for comment in comments), *lines]) + "\n"


def _spread(mean: float, sd: float) -> str:
    return f"{mean:.4f}" if math.isnan(sd) else f"{mean:.4f} ± {sd:.4f}"
