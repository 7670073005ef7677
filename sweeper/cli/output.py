"""What commands print on stdout: tables for people, JSON for programs."""

import dataclasses
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
import typer
from rich.console import Console, RenderableType

from sweeper.analysis import shown
from sweeper.analysis.progress import progress
from sweeper.api import Sweep
from sweeper.cli import notes, tables
from sweeper.errors import NotFoundError
from sweeper.experiment import Experiment
from sweeper.printable import one_line, printable
from sweeper.records import Phase, SweepInfo, TrialKey
from sweeper.store import Store
from sweeper.store.text import kept

if TYPE_CHECKING:
    from sweeper.cluster import SweepJob

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
    typer.echo(json.dumps(value, indent=2, default=shown.jsonable, allow_nan=False))


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
        from sweeper.analysis.report import record

        facts = {"objective": experiment.objective, "facts": info.facts}
        _print_json(
            {**_info(info), **facts, "summary": shown.rows(summary), "verdict": record.verdict(verdict)}
        )
        return
    _print(f"sweep {info.name}: {info.state}{_held(info)}", *_workload(info, experiment))
    so_far = progress(sweep.trials, experiment)
    _print("", tables.summary(summary, experiment))
    _print(*notes.of_summary(summary, experiment, info, so_far))
    if so_far.searched_all and not so_far.n_finals_missing and summary["final_n"].any():
        _print("", tables.finals(summary, experiment, verdict))
    _print(*verdict.lines)


def _workload(info: SweepInfo, experiment: Experiment) -> list[str]:
    """What was trained on what, where that is known."""
    if experiment.imported:
        return []
    data = info.facts["data"]
    return [
        f"{experiment.model.name} on {data['name']}, {data['train']:,} training images "
        f"(sha256 {data['sha256'][:12]}), {experiment.budget.epochs} epochs, seed {experiment.seed}"
    ]


def _held(info: SweepInfo) -> str:
    """Who runs the sweep, and since when."""
    since = f" since {info.held_since:%Y-%m-%d %H:%M:%S} UTC" if info.held_since else ""
    return f", held by {info.holder}{since}" if info.holder else ""


def print_sweeps(store: Store, *, as_json: bool) -> None:
    """Print every sweep in the store."""
    infos = store.sweeps()
    if as_json:
        _print_json([_info(info) for info in infos])
    elif infos:
        _print(tables.sweeps(infos))
    else:
        typer.echo(f"no sweeps in {one_line(store.url)}; `sweeper run FILE` makes one", err=True)


def print_jobs(jobs: "Sequence[SweepJob]", address: str, *, as_json: bool) -> None:
    """Print a cluster's jobs that run or ran sweeps."""
    if as_json:
        _print_json([dataclasses.asdict(job) for job in jobs])
    elif jobs:
        _print(tables.jobs(jobs))
    else:
        typer.echo(f"no jobs at {address} run or ran a sweep; `sweeper submit FILE` makes one", err=True)


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
        _print_json(
            {**shown.rows(trial)[0], "epoch_records": shown.rows(epochs), "attempts": shown.rows(attempts)}
        )
        return
    row = trial.iloc[0]
    params = [c.removeprefix("params.") for c in trial.columns if c.startswith("params.")]
    _print(
        f"{key}: {row['state']} ({row['origin']}){_seed(row, sweep.experiment)}",
        shown.setting(row, params),
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


def _seed(row: pd.Series, experiment: Experiment) -> str:
    """The trial's seed; imported results need not tell it."""
    is_unknown = experiment.imported is not None and row["seed"] < 0
    return "" if is_unknown else f", seed {row['seed']}"


def _test_score(row: pd.Series) -> list[str]:
    """What a final scored, as far as that is known."""
    scores = {"test loss": row["test_loss"], "test accuracy": row["test_accuracy"]}
    known = [f"{name} {shown.measured(score)}" for name, score in scores.items() if pd.notna(score)]
    return [", ".join(known)] if known else []


def _of(frame: pd.DataFrame, optimizer: str, number: int, phase: Phase) -> pd.DataFrame:
    return frame[(frame["optimizer"] == optimizer) & (frame["number"] == number) & (frame["phase"] == phase)]
