"""The tables that people read on a terminal."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pandas as pd
from rich import box
from rich.table import Table

from sweeper import analysis, scoring
from sweeper.cli.progress import duration
from sweeper.experiment import ArmSpace, Experiment
from sweeper.records import SweepInfo, TrialState
from sweeper.space import Fixed

METRICS = {
    "val_loss": "validation loss",
    "val_accuracy": "validation accuracy",
    "train_loss": "training loss",
}


def number(value: object) -> str:
    """A number for people: three digits of it, a whole one whole, `-` where there is none."""
    if _is_missing(value):
        return "-"
    if isinstance(value, float) and not (value.is_integer() and abs(value) >= 1):
        return f"{value:.3g}"
    return str(int(value)) if isinstance(value, float) else str(value)


def measured(value: object) -> str:
    """A loss, accuracy or time, with three decimals, so that a column of them lines up."""
    return "-" if _is_missing(value) else f"{value:.3f}"


def _is_missing(value: object) -> bool:
    return value is None or value is pd.NaT or (isinstance(value, float) and value != value)


def setting(row: pd.Series, names: Sequence[str]) -> str:
    """`lr 0.0021, batch_size 64`: the named hyperparameters that the row has."""
    parts = []
    for name in names:
        value = row.get(f"params.{name}")
        if number(value) != "-":
            parts.append(f"{name} {number(value)}")
    return ", ".join(parts)


def _table(title: str, *columns: tuple[str, str]) -> Table:
    """A table with columns of (heading, `left` or `right`)."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for heading, justify in columns:
        table.add_column(heading, justify="right" if justify == "right" else "left")
    return table


def summary(frame: pd.DataFrame, experiment: Experiment) -> Table:
    """The summary per optimizer, in the experiment's order: no ranking."""
    metric = METRICS[experiment.objective]
    table = _table(
        f"Best {metric} of the settings tried, per optimizer",
        ("optimizer", "left"),
        ("tried", "right"),
        ("best", "right"),
        ("accuracy", "right"),
        ("median", "right"),
        ("IQR", "right"),
        ("untuned", "right"),
        ("dead", "right"),
        ("best setting", "left"),
    )
    searched = searched_names(experiment)
    for _, row in frame.iterrows():
        lost = [f"{row[s]} {s}" for s in ("pruned", "diverged", "failed") if row[s]]
        tried = str(row["scored"]) + (f" ({', '.join(lost)})" if lost else "")
        table.add_row(
            row["optimizer"],
            tried,
            measured(row["best"]),
            measured(row["best_accuracy"]),
            measured(row["median"]),
            measured(row["iqr"]),
            measured(row["untuned"]),
            "-" if pd.isna(row["dead"]) else f"{row['dead']:.0%}",
            setting(row, searched[row["optimizer"]]),
        )
    return table


def searched_names(experiment: Experiment) -> dict[str, list[str]]:
    """For each optimizer the hyperparameters worth showing: lr, its own, and the shared ones searched."""
    names = {}
    for arm in experiment.arms:
        own = [name for name in arm.own if name != "effective_lr"]
        shared = [name for name, dimension in arm.shared.items() if not isinstance(dimension, Fixed)]
        names[arm.name] = list(dict.fromkeys(["lr", *own, *shared]))
    return names


def reading_notes(frame: pd.DataFrame, experiment: Experiment, info: SweepInfo) -> list[str]:
    """What a reader of the summary must know: the scale, how far the sweep is, and what it can't say."""
    chance = scoring.chance_level(experiment.objective, experiment.loss.name, experiment.data.n_classes)
    data = experiment.data
    is_train = experiment.objective == "train_loss"
    n_images = min(data.train_size, data.val_size) if is_train else data.val_size
    lines = [
        f"{METRICS[experiment.objective]} after epoch {experiment.budget.epochs} on "
        f"{n_images:,} images, capped at chance level ({chance:.3f}); "
        f"accuracy is that setting's; untuned: the usual defaults; dead: no better than chance."
    ]
    done = sum(info.trials[state] for state in TrialState if state.is_finished)
    if done < experiment.n_trials:
        lines.append(f"So far {done} of {experiment.n_trials} trials.")
    if not frame["final_n"].sum():
        lines.append(
            "No verdict without finals: each best is chosen among those tried, which flatters it, "
            "and was trained with one seed."
        )
    if behind := analysis.behind_untuned(frame, objective=experiment.objective):
        lines.append(
            f"{', '.join(behind)}: the best found is worse than the untuned setting: searched too little; "
            f"try --set budget.trials_per_optimizer={2 * experiment.budget.trials_per_optimizer}"
        )
    trained = set(frame.loc[frame["complete"] > 0, "optimizer"])
    own = [arm for arm in experiment.arms if arm.steps is not None and arm.name in trained]
    lines += [_own_budget(arm, frame, experiment) for arm in own]
    if experiment.data.name == "synthetic":
        lines.append("Synthetic images: this shows how Sweeper works, not which optimizer is better.")
    return lines


def _own_budget(arm: ArmSpace, frame: pd.DataFrame, experiment: Experiment) -> str:
    """What an arm that doesn't share the others' budget has cost."""
    spent = frame.loc[frame["optimizer"] == arm.name, "samples"].iloc[0] / experiment.data.train_size
    steps = "1 step" if arm.steps == 1 else f"{arm.steps} steps"
    return (
        f"{arm.name} has a budget of its own, {steps} a trial, which cost up to {spent:,.0f} epochs where "
        f"the others have {experiment.budget.epochs}: shown beside them, not against them."
    )


def sweeps(infos: Sequence[SweepInfo]) -> Table:
    """The list of sweeps."""
    table = _table(
        "Sweeps",
        ("name", "left"),
        ("state", "left"),
        ("created", "left"),
        ("trials", "left"),
        ("held by", "left"),
    )
    for info in infos:
        counts = ", ".join(f"{n} {state}" for state, n in info.trials.items() if n)
        table.add_row(info.name, info.state, _ago(info.created_at), counts, info.holder or "-")
    return table


def _ago(moment: datetime) -> str:
    return f"{duration((datetime.now(UTC) - moment).total_seconds())} ago"


def records(title: str, frame: pd.DataFrame, columns: Sequence[str]) -> Table:
    """Some columns of a frame as they are."""
    table = _table(title, *((c, "left" if frame[c].dtype == "str" else "right") for c in columns))
    for _, row in frame.iterrows():
        table.add_row(*(_cell(column, row[column]) for column in columns))
    return table


def _cell(column: str, value: object) -> str:
    if isinstance(value, datetime) and not _is_missing(value):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    return measured(value) if column.endswith(("loss", "accuracy", "_s")) else number(value)
