"""Results from elsewhere, such as a spreadsheet of old runs, as the frames that the analysis reads.

Only `optimizer`, `number` and one score are required. What a table doesn't tell is NaN, and nothing is made
up. Every mistake is told at once.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sweeper.analysis import columns, scores, spreadsheets, wrong_rows
from sweeper.analysis.sentences import counted
from sweeper.analysis.wrong_rows import KEYS, REQUIRED
from sweeper.errors import TableError
from sweeper.experiment import Experiment, Imported, imported
from sweeper.records import Origin, Phase, TrialState
from sweeper.store.text import kept

SCORES = ("val_loss", "val_accuracy", "train_loss", "test_loss", "test_accuracy")
"""What an objective may be, in the order in which one is taken."""

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
    known = spreadsheets.known(given, columns.TRIALS, source, REQUIRED, problems, notes)
    objective = next((score for score in SCORES if score in known and known[score].notna().any()), None)
    if objective is None and not (problems and set(SCORES) & set(known)):
        problems.append(f"{source}: no score; one column of {', '.join(SCORES)} is required")
    if objective is None or not set(REQUIRED) <= set(known):
        raise TableError(_first(problems))
    complete = _trials(known, name, objective, independent=independent)
    problems += wrong_rows.of_trials(complete, source)
    own = _epochs(given_epochs, name, more, complete, problems, notes)
    if problems:
        raise TableError(_first(problems))
    notes += _remarks(complete, _filled_with(known, "state", None), objective, source)
    complete = _filled(_typed(complete), own)
    files = f"{source} and {more}" if more else source
    return Results(
        complete, own, _experiment(name, objective, complete, own, files, independent), tuple(notes)
    )


def _first(problems: list[str]) -> list[str]:
    """As many mistakes as anyone reads at once."""
    more = [f"... and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else []
    return [*problems[:SHOWN], *more]


def _trials(known: pd.DataFrame, name: str, objective: str, *, independent: bool) -> pd.DataFrame:
    """The trials with what is not known filled in; a final's `setting` may still be missing."""
    phase = _filled_with(known, "phase", Phase.SEARCH)
    is_final = phase == Phase.FINAL
    origin = _filled_with(known, "origin", Origin.IMPORTED)
    origin = origin.mask(is_final & (origin == Origin.IMPORTED), Origin.FINAL)
    tested = _column(known, scores.counterpart(objective)).where(is_final)
    score = tested.where(tested.notna(), known[objective]).astype("float64")
    ended = pd.Series(np.where(np.isfinite(score), TrialState.COMPLETE, TrialState.DIVERGED), known.index)
    counts = {count: _column(known, count).fillna(0) for count in ("epochs", "samples", "grad_evals")}
    filled = known.assign(
        sweep=name,
        optimizer=_names(known["optimizer"]),
        phase=phase,
        origin=origin,
        state=_filled_with(known, "state", ended),
        independent=_filled_with(known, "independent", independent).astype("bool") & ~is_final,
        seed=_column(known, "seed").fillna(UNKNOWN_SEED),
        attempt=_column(known, "attempt").fillna(1),
        error=_filled_with(known, "error", None),
        **counts,
    )
    setting = _column(known, "setting")
    return filled.assign(setting=setting.fillna(known["number"].where(~is_final, _only_setting(filled))))


def _only_setting(filled: pd.DataFrame) -> "pd.Series[Any]":
    """What a final repeats where nothing says it: its optimizer's one search trial; 1 where it has none."""
    search = filled[filled["phase"] == Phase.SEARCH]
    numbers = search.drop_duplicates("optimizer", keep=False).set_index("optimizer")["number"]
    found = filled["optimizer"].map(numbers).astype("Int64")
    return found.where(filled["optimizer"].isin(search["optimizer"]), 1)


def _typed(filled: pd.DataFrame) -> pd.DataFrame:
    """The frame `trials`, its columns in order and with their dtypes."""
    missing = {column: dtype for column, dtype in columns.TRIALS.items() if column not in filled}
    nothing = {column: pd.Series(None, index=filled.index, dtype=dtype) for column, dtype in missing.items()}
    params = [column for column in filled.columns if str(column).startswith("params.")]
    return (
        filled.assign(**nothing)[[*columns.TRIALS, *params]]
        .astype(dict(columns.TRIALS))
        .reset_index(drop=True)
    )


def _remarks(trials: pd.DataFrame, told: "pd.Series[Any]", objective: str, source: str) -> Iterator[str]:
    """What a user must know of how rows were understood; `told` are the states that stood there."""
    if n := int(((trials["state"] == TrialState.DIVERGED) & told.isna()).sum()):
        yield f"{source}: {counted(n, 'row')} without a finite {objective}: taken as diverged"
    unfinished = [str(state) for state in TrialState if not state.is_finished]
    if n := int(trials["state"].isin(unfinished).sum()):
        yield f"{source}: {counted(n, 'trial')} queued or running: counted, but without a score"


def _names(optimizers: "pd.Series[Any]") -> "pd.Series[str]":
    """The optimizers' names as the store keeps them."""
    return optimizers.astype("str").map(kept, na_action="ignore").astype("str")


def _filled_with(known: pd.DataFrame, column: str, default: object) -> "pd.Series[Any]":
    if column not in known:
        return pd.Series(default, index=known.index)
    return known[column] if default is None else known[column].where(known[column].notna(), default)


def _column(known: pd.DataFrame, column: str) -> "pd.Series[Any]":
    if column in known:
        return known[column]
    dtype = "Int64" if column in spreadsheets.WHOLE else "float64"
    return pd.Series(None, index=known.index, dtype=dtype)


def _epochs(
    given: pd.DataFrame | None,
    name: str,
    source: str,
    trials: pd.DataFrame,
    problems: list[str],
    notes: list[str],
) -> pd.DataFrame:
    """The frame `epochs`; empty where none are given, or where there are mistakes."""
    nothing = pd.DataFrame({column: [] for column in columns.EPOCHS}).astype(dict(columns.EPOCHS))
    if given is None:
        return nothing
    required = (*REQUIRED, "epoch")
    known = spreadsheets.known(given, columns.EPOCHS, source, required, problems, notes)
    if not set(required) <= set(known):
        return nothing
    known = known.assign(
        sweep=name,
        optimizer=_names(known["optimizer"]),
        phase=_filled_with(known, "phase", Phase.SEARCH),
        **{count: _column(known, count).fillna(0) for count in ("samples", "grad_evals")},
    )
    problems += wrong_rows.of_epochs(known, trials, source)
    if problems:
        return nothing
    missing = [column for column in columns.EPOCHS if column not in known]
    whole = known.assign(**dict.fromkeys(missing, np.nan))[list(columns.EPOCHS)].astype(dict(columns.EPOCHS))
    order = trials.reset_index(drop=True).reset_index(names="place")[["place", *KEYS]]
    places = whole[KEYS].merge(order, on=KEYS, how="left")["place"]
    return whole.iloc[np.lexsort([whole["epoch"], places])].reset_index(drop=True)


def _filled(trials: pd.DataFrame, epochs: pd.DataFrame) -> pd.DataFrame:
    """The trials with what their epochs tell of them, where they don't tell it themselves."""
    if epochs.empty:
        return trials
    last = epochs.groupby(KEYS, sort=False).agg(
        epochs=("epoch", "max"), samples=("samples", "max"), grad_evals=("grad_evals", "max")
    )
    told = trials[KEYS].merge(last.reset_index(), on=KEYS, how="left")
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
