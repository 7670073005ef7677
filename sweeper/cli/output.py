"""What commands print on stdout: tables for people, JSON for programs."""

import csv
import json
import math
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import typer
from rich.console import Console, RenderableType

from sweeper.analysis import Verdict
from sweeper.analysis.progress import progress
from sweeper.api import Sweep
from sweeper.cli import notes, tables
from sweeper.errors import NotFoundError, UsageError
from sweeper.printable import one_line, printable
from sweeper.records import Phase, SweepInfo, TrialKey
from sweeper.store import Store
from sweeper.store.text import kept

PIPE_WIDTH = 140
"""Columns of a table that is not printed on a terminal."""


def _print(*parts: RenderableType) -> None:
    """Print tables and lines as they are: nothing in a name or an error is markup, an emoji or a colour."""
    console = Console(emoji=False)
    if not console.is_terminal:
        console = Console(emoji=False, width=PIPE_WIDTH)
    for part in parts:
        shown = printable(part) if isinstance(part, str) else part
        console.print(shown, markup=False, highlight=False)


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2, default=_jsonable, allow_nan=False))


def _jsonable(value: Any) -> Any:
    if isinstance(value, datetime):
        return _iso(value)
    if hasattr(value, "item"):  # a numpy scalar
        return value.item()
    raise TypeError(f"no JSON for {type(value).__name__}")


def _iso(moment: datetime) -> str:
    """ISO 8601 with microseconds and offset."""
    return moment.isoformat(timespec="microseconds")


def _plain(value: Any) -> Any:
    """A frame's cell for JSON: a number that is not finite, or a missing time, is None."""
    if value is None or value is pd.NaT or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return value


def rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """A frame's rows for JSON: hyperparameters that a row has under `params`, NaN as null."""
    result = []
    for record in frame.to_dict("records"):
        plain = {str(key): _plain(value) for key, value in record.items()}
        params = {key.removeprefix("params."): v for key, v in plain.items() if key.startswith("params.")}
        row = {key: value for key, value in plain.items() if not key.startswith("params.")}
        if params:
            row["params"] = {key: value for key, value in params.items() if value is not None}
        result.append(row)
    return result


def _info(info: SweepInfo) -> dict[str, Any]:
    return {
        "name": info.name,
        "state": info.state.value,
        "created_at": info.created_at,
        "updated_at": info.updated_at,
        "trials": dict(info.trials),
        "holder": info.holder,
        "held_since": info.held_since,
    }


def print_result(sweep: Sweep, *, as_json: bool) -> int:
    """Print what a sweep came to; gives the exit status: 1 where an optimizer has no complete trial."""
    print_status(sweep, as_json=as_json)
    return int(bool((sweep.summary()["complete"] == 0).any()))


def print_status(sweep: Sweep, *, as_json: bool) -> None:
    """Print a sweep's state, its summary per optimizer, and its verdict."""
    info, experiment = sweep.info, sweep.experiment
    summary, verdict = sweep.summary(), sweep.verdict()
    if as_json:
        facts = {"objective": experiment.objective, "facts": info.facts}
        _print_json({**_info(info), **facts, "summary": rows(summary), "verdict": _verdict(verdict)})
        return
    data = info.facts["data"]
    _print(
        f"sweep {info.name}: {info.state}{_held(info)}",
        f"{experiment.model.name} on {data['name']}, {data['train']:,} training images "
        f"(sha256 {data['sha256'][:12]}), {experiment.budget.epochs} epochs, seed {experiment.seed}",
    )
    so_far = progress(sweep.trials, experiment)
    _print("", tables.summary(summary, experiment))
    _print(*notes.of_summary(summary, experiment, info, so_far))
    if so_far.searched_all and not so_far.n_finals_missing and summary["final_n"].any():
        _print("", tables.finals(summary, experiment, verdict))
    _print(*verdict.lines)


def _held(info: SweepInfo) -> str:
    """Who runs the sweep, and since when."""
    since = f" since {info.held_since:%Y-%m-%d %H:%M:%S} UTC" if info.held_since else ""
    return f", held by {info.holder}{since}" if info.holder else ""


def _verdict(verdict: Verdict) -> dict[str, Any] | None:
    if verdict.against is None:
        return None
    return {"leader": verdict.leader, "lines": verdict.lines, "against": rows(verdict.against)}


def print_sweeps(store: Store, *, as_json: bool) -> None:
    """Print every sweep in the store."""
    infos = store.sweeps()
    if as_json:
        _print_json([_info(info) for info in infos])
    elif infos:
        _print(tables.sweeps(infos))
    else:
        typer.echo(f"no sweeps in {one_line(store.url)}; `sweeper run FILE` makes one", err=True)


def print_trial(sweep: Sweep, optimizer: str, number: int, *, final: bool, as_json: bool) -> None:
    """Print one trial. Raises NotFoundError where there is none such."""
    phase = Phase.FINAL if final else Phase.SEARCH
    optimizer = kept(optimizer)
    key = TrialKey(optimizer, phase, number)
    trial, epochs, attempts = (
        _of(frame, optimizer, number, phase) for frame in (sweep.trials, sweep.epochs, sweep.attempts)
    )
    if trial.empty:
        known = ", ".join(arm.name for arm in sweep.experiment.arms)
        raise NotFoundError(f"sweep {sweep.name!r} has no trial {key}; its optimizers: {known}")
    if as_json:
        _print_json({**rows(trial)[0], "epoch_records": rows(epochs), "attempts": rows(attempts)})
        return
    row = trial.iloc[0]
    params = [c.removeprefix("params.") for c in trial.columns if c.startswith("params.")]
    _print(
        f"{key}: {row['state']} ({row['origin']}), seed {row['seed']}",
        tables.setting(row, params),
        *_test_score(row),
        *([f"error: {one_line(row['error'])}"] if isinstance(row["error"], str) else []),
        "",
        tables.records(
            "Epochs",
            epochs,
            ("epoch", "samples", "train_loss", "val_loss", "val_accuracy", "lr", "train_s", "eval_s"),
        ),
        tables.records(
            "Attempts", attempts, ("attempt", "worker", "node", "device", "started_at", "ended_at", "why")
        ),
    )


def _test_score(row: pd.Series) -> list[str]:
    """What a final scored, if it did."""
    if pd.isna(row["test_loss"]):
        return []
    return [
        f"test loss {tables.measured(row['test_loss'])}, "
        f"test accuracy {tables.measured(row['test_accuracy'])}"
    ]


def _of(frame: pd.DataFrame, optimizer: str, number: int, phase: Phase) -> pd.DataFrame:
    return frame[(frame["optimizer"] == optimizer) & (frame["number"] == number) & (frame["phase"] == phase)]


def export_csv(sweep: Sweep, out: Path) -> None:
    """Write DIR/trials.csv and DIR/epochs.csv: times in ISO 8601 with microseconds and offset."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, frame in (("trials", sweep.trials), ("epochs", sweep.epochs)):
            path = out / f"{name}.csv"
            path.write_text(_csv(frame), encoding="utf-8", newline="")
            typer.echo(printable(str(path)))
    except OSError as error:
        raise UsageError(f"--out {out}: can't be written: {error.strerror}") from None


def _csv(frame: pd.DataFrame) -> str:
    times = frame.select_dtypes("datetimetz").columns
    plain = frame.assign(**{name: frame[name].map(_iso, na_action="ignore") for name in times})
    text = plain.to_csv(index=False)
    # An unquoted carriage return, which ends a row where the file is read, is left as it is by pandas.
    return plain.to_csv(index=False, quoting=csv.QUOTE_NONNUMERIC) if "\r" in text else text
