"""What a reader of the summary must know beside its numbers."""

from typing import TYPE_CHECKING

from sweeper import analysis, scoring
from sweeper.analysis.progress import Progress
from sweeper.analysis.sentences import OBJECTIVES
from sweeper.analysis.shown import measured, number, searched_names, setting
from sweeper.api import facts
from sweeper.experiment import ArmSpace, Experiment
from sweeper.records import SweepInfo, SweepState

if TYPE_CHECKING:
    import pandas as pd


def of_summary(frame: "pd.DataFrame", experiment: Experiment, info: SweepInfo, so_far: Progress) -> list[str]:
    """What a reader of the summary must know: the scale, how far the sweep is, and what it can't say."""
    if experiment.imported:
        return [
            f"Imported from {experiment.imported.source}: only what it tells is shown, scores as they are."
        ]
    chance = scoring.chance_level(experiment.objective, experiment.loss.name, experiment.data.n_classes)
    data = experiment.data
    is_train = experiment.objective == "train_loss"
    n_images = min(data.train_size, data.val_size) if is_train else data.val_size
    lines = [
        f"{OBJECTIVES[experiment.objective]} after epoch {experiment.budget.epochs} on "
        f"{n_images:,} images, capped at chance level ({chance:.3f}); "
        f"accuracy is that setting's; untuned: the usual defaults; dead: no better than chance."
    ]
    lines += facts.warm_start_lines(info.facts)
    lines += _how_far(info, so_far, has_limit=experiment.budget.max_seconds > 0)
    lines += _pruned(frame, experiment)
    if experiment.search.mode == "joint":
        lines += _best_of_all(frame, experiment)
    elif behind := analysis.behind_untuned(frame, objective=experiment.objective):
        lines.append(
            f"{', '.join(behind)}: the best found is worse than the untuned setting: searched too little; "
            f"try --set budget.trials_per_optimizer={2 * experiment.budget.trials_per_optimizer}"
        )
    trained = set(frame.loc[frame["complete"] > 0, "optimizer"])
    own = [arm for arm in experiment.arms if arm.steps is not None and arm.name in trained]
    return lines + [_own_budget(arm, frame, experiment) for arm in own]


def _how_far(info: SweepInfo, so_far: Progress, *, has_limit: bool) -> list[str]:
    """What a sweep that isn't over has done, and one that was stopped has left out."""
    left = so_far.n_trials - so_far.n_searched
    if info.state is SweepState.STOPPED:
        most = "" if so_far.searched_all else "up to "
        return [
            f"Stopped: {left} of {so_far.n_trials} trials and {most}{so_far.n_finals_missing} of "
            f"{most}{so_far.n_finals} finals were left out; `sweeper resume {info.name}"
            f"{' --set budget.max_seconds=N' if has_limit else ''}` goes on."
        ]
    return [f"So far {so_far.n_searched} of {so_far.n_trials} trials."] if left else []


def _pruned(frame: "pd.DataFrame", experiment: Experiment) -> list[str]:
    if experiment.search.pruner == "none":
        return []
    return [
        f"{frame['pruned'].sum()} of {frame['planned'].sum()} trials were pruned "
        f"({experiment.search.pruner}) and have no score; pruning favours settings that start fast, and "
        f"optimizers that do."
    ]


def _best_of_all(frame: "pd.DataFrame", experiment: Experiment) -> list[str]:
    """In mode joint: the one best setting, of all optimizers."""
    found = frame[frame["best"].notna()]
    if found.empty:
        return []
    sign = -1 if scoring.higher_is_better(experiment.objective) else 1
    row = found.iloc[int((sign * found["best"]).argmin())]
    name = row["optimizer"]
    return [
        f"The best of the {frame['scored'].sum()} settings tried, over all optimizers: "
        f"{name}/{number(row['best_number'])}, {setting(row, searched_names(experiment)[name])}, "
        f"{OBJECTIVES[experiment.objective]} {measured(row['best'])}."
    ]


def _own_budget(arm: ArmSpace, frame: "pd.DataFrame", experiment: Experiment) -> str:
    """What an arm that doesn't share the others' budget has cost."""
    spent = frame.loc[frame["optimizer"] == arm.name, "samples"].iloc[0] / experiment.data.train_size
    steps = "1 step" if arm.steps == 1 else f"{arm.steps} steps"
    return (
        f"{arm.name} has a budget of its own, {steps} a trial, which cost up to {spent:,.0f} epochs where "
        f"the others have {experiment.budget.epochs}: shown beside them, not against them."
    )
