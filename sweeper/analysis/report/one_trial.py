"""Everything about one trial: what it is, its curves, its attempts, its error, and how to repeat it."""

import shlex

import pandas as pd

from sweeper.analysis import figures, scores, shown
from sweeper.analysis.report.blocks import (
    Block,
    Code,
    Drawing,
    Folded,
    Missing,
    Section,
    Text,
    section,
    table,
)
from sweeper.analysis.sentences import OBJECTIVES, counted
from sweeper.experiment import Experiment
from sweeper.printable import printable
from sweeper.records import Origin, Phase, TrialKey, TrialState

ORIGINS = {
    Origin.DEFAULT: "default: the untuned setting",
    Origin.PROPOSED: "proposed",
    Origin.IMPORTED: "imported",
    Origin.FINAL: "final",
    Origin.SUPERSEDED: "superseded: a final of a setting that is no longer chosen",
}
TIMES = {
    "queued_s": "queued",
    "setup_s": "setup",
    "train_s": "training",
    "eval_s": "evaluation",
    "wall_s": "wall",
}
MOST_ROWS = 500
"""Of more epochs the table shows the last ones."""


def one_trial(
    name: str,
    store_url: str,
    trial: pd.Series,
    epochs: pd.DataFrame,
    attempts: pd.DataFrame,
    experiment: Experiment,
) -> Section:
    """All that is known of a trial of the sweep `name`.

    `trial` is its row of the frame `trials`, `epochs` and `attempts` are its rows of theirs.
    """
    key = TrialKey(str(trial["optimizer"]), Phase(trial["phase"]), int(trial["number"]))
    return section(
        "trial",
        str(key),
        _facts(trial, experiment),
        *_error(trial),
        *_curves(epochs, key, experiment),
        _attempts(attempts, experiment),
        _times(trial),
        _again(name, store_url, key, experiment),
    )


def _facts(trial: pd.Series, experiment: Experiment) -> Block:
    params = [str(c).removeprefix("params.") for c in trial.index if str(c).startswith("params.")]
    is_final = trial["phase"] == Phase.FINAL
    repeated = TrialKey(str(trial["optimizer"]), Phase.SEARCH, int(trial["setting"]))
    origin = ORIGINS[Origin(trial["origin"])]
    rows = [
        ("state", str(trial["state"])),
        ("origin", f"{origin}, drawn without a look at other trials" if trial["independent"] else origin),
        ("seed", _seed(trial, experiment)),
        (f"setting, that of {repeated}" if is_final else "setting", shown.setting(trial, params)),
        (f"score ({OBJECTIVES[experiment.objective]})", _score(trial, experiment)),
        *(
            (OBJECTIVES[column], shown.measured(trial[column]))
            for column in ("test_loss", "test_accuracy")
            if not shown.is_missing(trial[column])
        ),
        ("epochs", _epochs(trial, experiment)),
        *(
            (f"{OBJECTIVES[column]}, latest", shown.measured(trial[column]))
            for column in ("train_loss", "val_loss", "val_accuracy")
        ),
    ]
    return table("", ("", ""), [(what, value or shown.NOTHING) for what, value in rows], words=(0, 1))


def _seed(trial: pd.Series, experiment: Experiment) -> str:
    """The trial's seed; imported results need not tell it."""
    return shown.NOTHING if experiment.imported and trial["seed"] < 0 else str(trial["seed"])


def _epochs(trial: pd.Series, experiment: Experiment) -> str:
    """How far it was trained; `of` how many where the budget is the experiment's own."""
    if experiment.imported or experiment.arm(str(trial["optimizer"])).steps is not None:
        return str(trial["epochs"])
    return f"{trial['epochs']} of {experiment.budget.epochs}"


def _score(trial: pd.Series, experiment: Experiment) -> str:
    """What statistics count of it, or why they count nothing."""
    state = TrialState(trial["state"])
    if not state.is_finished:
        return "none yet"
    if not state.has_score:
        return f"none: it {'was pruned' if state is TrialState.PRUNED else 'failed'}"
    frame = trial.to_frame().T
    [value] = scores.of(frame, experiment.objective, experiment.loss.name, experiment.n_classes)
    if state is TrialState.DIVERGED and not shown.is_missing(float(value)):
        return f"{shown.measured(value)}, that of chance: it diverged"
    return shown.measured(float(value))


def _error(trial: pd.Series) -> list[Block]:
    if not isinstance(trial["error"], str):
        return []
    lines = (printable(line) for line in trial["error"].splitlines())
    return [Code("\n".join(lines), "text", "The error")]


def _curves(epochs: pd.DataFrame, key: TrialKey, experiment: Experiment) -> list[Block]:
    if epochs.empty:
        why = "the imported results have none" if experiment.imported else "none is recorded"
        return [Missing(f"No epochs: {why}.")]
    blocks: list[Block] = [Drawing("trial-losses", figures.trial_losses(epochs, key.optimizer))]
    if epochs["val_accuracy"].notna().any():
        blocks.append(Drawing("trial-accuracy", figures.trial_accuracy(epochs, key.optimizer)))
    last = epochs.sort_values("epoch").tail(MOST_ROWS)
    rows = [
        (
            shown.count(row["epoch"]),
            shown.count(row["samples"]),
            *(shown.measured(row[column]) for column in ("train_loss", "val_loss", "val_accuracy")),
            shown.number(float(row["lr"])),
            *(_seconds(row[column]) for column in ("train_s", "eval_s")),
        )
        for _, row in last.iterrows()
    ]
    headings = (
        *("epoch", "samples", "training loss", "validation loss", "validation accuracy", "lr"),
        *("training", "evaluation"),
    )
    is_cut = len(last) < len(epochs)
    title = f"Its last {len(last)} of {len(epochs):,} epochs" if is_cut else "Every epoch"
    return [*blocks, Folded(title, (table("", headings, rows, words=()),))]


def _attempts(attempts: pd.DataFrame, experiment: Experiment) -> Block:
    if experiment.imported and attempts["started_at"].isna().all():
        return Missing("No attempts: the imported results don't tell who trained it, and when.")
    if attempts.empty:
        return Missing("No attempts: no worker has begun it.")
    rows = [
        (
            str(row["attempt"]),
            *(_text(row[column]) for column in ("worker", "node", "device")),
            *(_time(row[column]) for column in ("started_at", "ended_at")),
            _why(row),
            "yes" if row["strike"] else "no",
        )
        for _, row in attempts.iterrows()
    ]
    headings = ("attempt", "worker", "node", "device", "started, UTC", "ended, UTC", "why", "strike")
    return table(counted(len(rows), "attempt"), headings, rows, words=range(1, len(headings)))


def _why(row: pd.Series) -> str:
    """Why the attempt ended."""
    return "under way" if pd.isna(row["ended_at"]) and pd.isna(row["why"]) else _text(row["why"])


def _text(value: object) -> str:
    return value if isinstance(value, str) else shown.NOTHING


def _time(moment: pd.Timestamp) -> str:
    return shown.NOTHING if pd.isna(moment) else f"{moment:%Y-%m-%d %H:%M:%S}"


def _times(trial: pd.Series) -> Block:
    if all(shown.is_missing(trial[column]) for column in TIMES):
        return Missing("No times: none is known.")
    return table(
        "Times: queued until its latest attempt began, wall from there to its end",
        tuple(TIMES.values()),
        [tuple(_seconds(trial[column]) for column in TIMES)],
        words=(),
    )


def _seconds(value: float) -> str:
    """Short times to three digits, longer ones as `shown.duration` writes them."""
    if shown.is_missing(value) or value >= 60:
        return shown.duration(value)
    return f"{value:.3g} s"


def _again(name: str, store_url: str, key: TrialKey, experiment: Experiment) -> Block:
    if experiment.imported:
        return Text(("An imported trial can't be repeated: Sweeper has not trained it.",))
    words = ["sweeper", "repeat", name, key.optimizer, str(key.number)]
    words += ["--final"] if key.phase is Phase.FINAL else []
    return Code(shlex.join([*words, "--store", store_url]), "sh", "Trained again, here and now")
