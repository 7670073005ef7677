"""Results from elsewhere, such as a spreadsheet of old runs, as the frames that the analysis reads.

Only `optimizer`, `number` and one score are required. What a table doesn't tell is NaN, and nothing is made
up. Every mistake is told at once.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sweeper.analysis import frames, spreadsheets
from sweeper.errors import TableError
from sweeper.experiment import Experiment, Imported, imported
from sweeper.printable import one_line
from sweeper.records import Origin, Phase, TrialState

SCORES = ("val_loss", "val_accuracy", "train_loss", "test_loss", "test_accuracy")
"""What an objective may be, in the order in which one is taken."""

REQUIRED = ("optimizer", "number")

SHOWN = 20
"""So many mistakes are told; of more their number."""

UNKNOWN_SEED = -1


@dataclass(frozen=True, slots=True, eq=False)
class Results:
    """Results from elsewhere: complete frames, the experiment that they stand for, and notes for the user."""

    trials: pd.DataFrame
    epochs: pd.DataFrame
    experiment: Experiment
    notes: tuple[str, ...]


def results(
    name: str,
    trials: pd.DataFrame | Path,
    epochs: pd.DataFrame | Path | None = None,
    *,
    independent: bool = False,
) -> Results:
    """The results in `trials` and `epochs`, frames or files of them, under the sweep's name `name`.

    `independent`: their settings were drawn without looking at other trials. The objective is val_loss where
    the trials have it, else the first score that they have. Raises TableError with every mistake.
    """
    given, source = spreadsheets.read(trials)
    given_epochs, more = (None, "") if epochs is None else spreadsheets.read(epochs)
    problems: list[str] = []
    notes: list[str] = []
    known = spreadsheets.known(given, frames.TRIALS, source, REQUIRED, problems, notes)
    objective = next((score for score in SCORES if score in known and known[score].notna().any()), None)
    if objective is None:
        problems.append(f"{source}: no score; one column of {', '.join(SCORES)} is required")
    _raise(problems)
    assert objective is not None
    complete = _trials(known, name, objective, independent=independent, source=source, problems=problems)
    own = _epochs(given_epochs, name, more, complete, problems, notes)
    _raise(problems)
    files = f"{source} and {more}" if more else source
    return Results(
        _filled(complete, own),
        own,
        _experiment(name, objective, complete, own, files, independent),
        tuple(notes),
    )


def _raise(problems: list[str]) -> None:
    if problems:
        more = [f"... and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else []
        raise TableError([*problems[:SHOWN], *more])


def _trials(
    known: pd.DataFrame, name: str, objective: str, *, independent: bool, source: str, problems: list[str]
) -> pd.DataFrame:
    """The frame `trials`, with what is not known filled as its dtype asks for."""
    phase = _filled_with(known, "phase", Phase.SEARCH)
    origin = _filled_with(known, "origin", Origin.IMPORTED)
    is_final = phase == Phase.FINAL
    origin = origin.mask(is_final & (origin == Origin.IMPORTED), Origin.FINAL)
    score = known[objective].where(~is_final, _column(known, objective.replace("val_", "test_")))
    has_score = pd.Series(np.isfinite(score.astype("float64")), index=known.index)
    state = _filled_with(known, "state", "")
    state = state.mask(state == "", np.where(has_score, TrialState.COMPLETE, TrialState.DIVERGED))
    number = known["number"].fillna(0)
    filled = known.assign(
        sweep=name,
        phase=phase,
        origin=origin,
        state=state,
        independent=_filled_with(known, "independent", independent).astype("bool") & ~is_final,
        setting=_column(known, "setting").fillna(number.where(~is_final, 1)),
        seed=_column(known, "seed").fillna(UNKNOWN_SEED),
        attempt=_column(known, "attempt").fillna(1),
        **{count: _column(known, count).fillna(0) for count in ("epochs", "samples", "grad_evals")},
        error=_filled_with(known, "error", None),
    )
    problems += _unlike(filled, source)
    if problems:
        return filled
    missing = {column: dtype for column, dtype in frames.TRIALS.items() if column not in filled}
    nothing = pd.DataFrame(
        {column: pd.Series(None, index=filled.index, dtype=dtype) for column, dtype in missing.items()}
    )
    filled = pd.concat([filled, nothing], axis="columns")
    params = [column for column in filled.columns if str(column).startswith("params.")]
    return filled[[*frames.TRIALS, *params]].astype(dict(frames.TRIALS))


def _unlike(filled: pd.DataFrame, source: str) -> Iterator[str]:
    """Rows that no trial can have."""
    for column, legal in (("phase", Phase), ("origin", Origin), ("state", TrialState)):
        for place in filled.index[~filled[column].isin([str(one) for one in legal])]:
            yield spreadsheets.problem(
                source, place, column, filled.at[place, column], f"one of {', '.join(legal)}"
            )
    for column in REQUIRED:
        for place in filled.index[filled[column].isna()]:
            yield f"{source} row {int(place) + 2}: {column} is empty"
    keys = ["optimizer", "phase", "number"]
    for place in filled.index[filled.duplicated(keys) & filled["optimizer"].notna()]:
        row = filled.loc[place]
        yield (
            f"{source} row {int(place) + 2}: {one_line(str(row['optimizer']))} number {row['number']:.0f} of "
            f"phase {row['phase']} stands there twice"
        )


def _filled_with(known: pd.DataFrame, column: str, default: object) -> "pd.Series[Any]":
    if column not in known:
        return pd.Series(default, index=known.index)
    return known[column] if default is None else known[column].where(known[column].notna(), default)


def _column(known: pd.DataFrame, column: str) -> "pd.Series[float]":
    return known[column] if column in known else pd.Series(math.nan, index=known.index)


def _epochs(
    given: pd.DataFrame | None,
    name: str,
    source: str,
    trials: pd.DataFrame,
    problems: list[str],
    notes: list[str],
) -> pd.DataFrame:
    """The frame `epochs`; empty where none are given."""
    if given is None:
        return pd.DataFrame({column: [] for column in frames.EPOCHS}).astype(dict(frames.EPOCHS))
    known = spreadsheets.known(given, frames.EPOCHS, source, (*REQUIRED, "epoch"), problems, notes)
    if problems:
        return known
    keys = ["optimizer", "phase", "number"]
    known = known.assign(sweep=name, phase=_filled_with(known, "phase", Phase.SEARCH))
    known = known.assign(**{count: _column(known, count).fillna(0) for count in ("samples", "grad_evals")})
    for column in (*REQUIRED, "epoch"):
        problems += [
            f"{source} row {int(p) + 2}: {column} is empty" for p in known.index[known[column].isna()]
        ]
    whose = known[keys].merge(trials[keys].drop_duplicates(), on=keys, how="left", indicator=True)["_merge"]
    for place in known.index[(whose == "left_only").to_numpy()]:
        row = known.loc[place]
        whom = f"{one_line(str(row['optimizer']))} number {row['number']}"
        problems.append(f"{source} row {int(place) + 2}: there is no trial {whom} of phase {row['phase']}")
    for place in known.index[known.duplicated([*keys, "epoch"])]:
        problems.append(f"{source} row {int(place) + 2}: this epoch of its trial stands there twice")
    if problems:
        return known
    missing = [column for column in frames.EPOCHS if column not in known]
    return known.assign(**dict.fromkeys(missing, np.nan))[list(frames.EPOCHS)].astype(dict(frames.EPOCHS))


def _filled(trials: pd.DataFrame, epochs: pd.DataFrame) -> pd.DataFrame:
    """The trials with what their epochs tell of them, where they don't tell it themselves."""
    if epochs.empty:
        return trials
    keys = ["optimizer", "phase", "number"]
    last = epochs.groupby(keys, sort=False).agg(
        epochs=("epoch", "max"), samples=("samples", "max"), grad_evals=("grad_evals", "max")
    )
    told = trials[keys].merge(last.reset_index(), on=keys, how="left")
    changed = {
        column: trials[column].mask(trials[column] == 0, told[column].fillna(0).to_numpy()).astype("int64")
        for column in ("epochs", "samples", "grad_evals")
    }
    return trials.assign(**changed)


def _experiment(
    name: str, objective: str, trials: pd.DataFrame, epochs: pd.DataFrame, source: str, independent: bool
) -> Experiment:
    """What the results tell of the experiment that they stand for."""
    search, finals = trials[trials["phase"] == Phase.SEARCH], trials[trials["phase"] == Phase.FINAL]
    most = int(search["optimizer"].value_counts().max()) if len(search) else 0
    longest = max(int(trials["epochs"].max()), int(epochs["epoch"].max()) if len(epochs) else 0)
    by_setting = finals.groupby(["optimizer", "setting"]).size()
    return imported.imported(
        name,
        objective,
        [str(optimizer) for optimizer in pd.unique(trials["optimizer"])],
        Imported(source, independent),
        trials_per_optimizer=most,
        epochs=longest,
        top_k=int(len(finals) > 0),
        seeds=int(by_setting.max()) if len(by_setting) else 0,
    )
