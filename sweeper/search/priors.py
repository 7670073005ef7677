"""What an earlier sweep knew of this one's settings: a start for TPE, and no part of this sweep's results."""

from collections.abc import Mapping, Sequence
from typing import Any

from sweeper import optimizers, scoring, space
from sweeper.errors import UsageError
from sweeper.experiment import ArmSpace, Experiment
from sweeper.experiment.wording import shown
from sweeper.records import Params, Phase, Prior, StoredTrial, TrialState, Value
from sweeper.search import joint
from sweeper.search.study import Result, worth_remembering

COMPARABLE = ("data", "model", "loss")
"""The sections of an experiment file in which two sweeps must agree for their scores to compare."""


def priors(
    experiment: Experiment, earlier: Experiment, trials: Sequence[StoredTrial]
) -> dict[str, list[Prior]]:
    """What the `trials` of the sweep `earlier` tell the search of `experiment`, by arm.

    Complete trials of its search count whose setting lies in the space of the new sweep's arm of the same
    name: of each arm the best 50 and the latest 150. Raises UsageError where scores don't compare, naming the
    first difference, and where no trial fits.
    """
    _check_comparable(experiment, earlier)
    complete = [t for t in trials if t.key.phase is Phase.SEARCH and t.state is TrialState.COMPLETE]
    found: dict[str, list[Prior]] = {}
    for arm in experiment.arms:
        old = next((other for other in earlier.arms if other.name == arm.name), None)
        if old is None or (old.torch_class, old.steps) != (arm.torch_class, arm.steps):
            continue
        results = [
            Result(proposal, TrialState.COMPLETE, Result.stored(experiment, stored).score, stored.epochs)
            for stored in complete
            if stored.key.optimizer == arm.name
            and (proposal := _proposal(experiment, earlier, arm, stored.trial.params))
        ]
        higher = scoring.higher_is_better(experiment.objective)
        if results:
            remembered = worth_remembering(results, higher_is_better=higher)
            found[arm.name] = [Prior(result.proposal, result.score) for result in remembered]
    if not found:
        raise UsageError(
            f"warm start from {earlier.name}: none of its {len(complete)} complete search trials has a "
            f"setting that lies in the space of {', '.join(arm.name for arm in experiment.arms)}"
        )
    return found


def _check_comparable(experiment: Experiment, earlier: Experiment) -> None:
    where = f"warm start from {earlier.name}"
    if experiment.search.sampler != "tpe":
        raise UsageError(
            f"{where}: search.sampler = {shown(experiment.search.sampler)} learns from no trial; legal: tpe"
        )
    for key, here, there in _settings(experiment, earlier):
        if here != there:
            raise UsageError(
                f"{where}: {key} is {shown(here)} here and {shown(there)} there; scores compare only where "
                f"both are equal"
            )


def _settings(experiment: Experiment, earlier: Experiment) -> list[tuple[str, Any, Any]]:
    """What decides whether scores compare: each key, its value here and its value there."""
    settings: list[tuple[str, Any, Any]] = [("experiment.objective", experiment.objective, earlier.objective)]
    for section in COMPARABLE:
        here, there = (getattr(e, section).model_dump(mode="json") for e in (experiment, earlier))
        settings += [(f"{section}.{key}", value, there[key]) for key, value in here.items()]
    return [*settings, ("budget.epochs", experiment.budget.epochs, earlier.budget.epochs)]


def _proposal(
    experiment: Experiment, earlier: Experiment, arm: ArmSpace, params: Params
) -> dict[str, Value] | None:
    """The setting in this search's coordinates; None where the arm can't propose it."""
    rule = arm.arm
    values = optimizers.search_values(rule, params, arm.space)
    if "init" in arm.space:
        values.setdefault("init", earlier.model.init)
    # What this arm leaves alone has its own value: an earlier trial that had another was another setting.
    left_alone: Mapping[str, Value] = {**rule.implied, "init": experiment.model.init}
    if any(value != left_alone.get(name) for name, value in values.items() if name not in arm.space):
        return None
    proposal = space.encode(arm.space, values)
    if not proposal:
        return None
    return joint.named(arm, proposal) if experiment.search.mode == "joint" else proposal
