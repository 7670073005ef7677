"""Results in and out: frames as files, Optuna studies, and results that Sweeper did not produce."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeper import experiment as experiments
from sweeper.api.display import Display, Silent
from sweeper.api.sweep import StoreLocation, Sweep, open_store
from sweeper.errors import SweepExistsError, UsageError
from sweeper.store import UNKNOWN_S

if TYPE_CHECKING:
    import pandas as pd

FORMATS = ("csv", "parquet", "optuna")

JOURNAL = "optuna.journal"
"""The file of exported studies."""


def export(sweep: Sweep, out: Path, format_: str = "csv", *, storage: str | None = None) -> list[str]:
    """Write the sweep's trials and epochs to files in `out`, or as Optuna studies; tells what was written.

    `optuna` writes a study per optimizer to OUT/optuna.journal, or to the Optuna storage at the database URL
    `storage`. Raises UsageError where that can't be done.
    """
    from sweeper.analysis import optuna_io, tables
    from sweeper.analysis.optuna_storage import storage_at

    if format_ not in FORMATS:
        raise UsageError(f"--format {format_}: must be one of {', '.join(FORMATS)}")
    if storage is not None and format_ != "optuna":
        raise UsageError(f"--storage: only --format optuna writes to a storage, not {format_}")
    if format_ != "optuna":
        frames = {"trials": sweep.trials, "epochs": sweep.epochs}
        return [str(path) for path in tables.write(frames, out, format_)]
    if storage is None:
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"--out {out}: can't be written: {error.strerror}") from None
    location = out / JOURNAL if storage is None else storage
    with storage_at(location) as opened:
        names = optuna_io.export_studies(sweep.trials, sweep.epochs, sweep.experiment, opened)
    return [*([str(location)] if storage is None else []), *names]


def import_trials(
    name: str,
    trials: "pd.DataFrame | Path | str",
    epochs: "pd.DataFrame | Path | str | None" = None,
    *,
    independent: bool = False,
    store: StoreLocation = None,
    display: Display | None = None,
) -> Sweep:
    """Make a sweep of results from elsewhere: frames, or files of them (.csv, .tsv, .parquet).

    Of the frames of `sweeper.analysis.frames` only `optimizer`, `number` and one score are required; the
    objective is val_loss where there is one, else the first of val_accuracy, train_loss, test_loss and
    test_accuracy. `independent`: the settings were drawn without looking at other trials. `display` gets
    notes on what was ignored. Raises TableError with every mistake, UsageError for what is no table, and
    SweepExistsError.
    """
    from sweeper.analysis import imports

    checked = experiments.checked_name(name)
    given = [Path(one) if isinstance(one, str) else one for one in (trials, epochs)]
    assert given[0] is not None
    found = imports.results(checked, given[0], given[1], independent=independent)
    now = datetime.now(UTC)
    opened = open_store(store, create=True)
    document = experiments.imported.document(found.experiment)
    try:
        opened.import_sweep(
            {"name": checked, "experiment": document, "experiment_text": "", "facts": {}},
            list(_trial_rows(found.trials, now)),
            list(_attempt_rows(found.trials, now)),
            list(_epoch_rows(found.epochs, found.trials, now)),
        )
    except SweepExistsError:
        raise SweepExistsError(
            f"a sweep called {checked!r} exists: import under another name, or `sweeper delete {checked}` "
            f"first"
        ) from None
    for note in found.notes:
        (display or Silent()).note(note)
    return Sweep(opened, checked)


TRIAL_COLUMNS = (
    *("optimizer", "phase", "number", "origin", "independent", "setting", "seed", "state", "attempt"),
    *("epochs", "samples", "grad_evals", "train_loss", "val_loss", "val_accuracy", "test_loss"),
    *("test_accuracy", "setup_s", "train_s", "eval_s", "started_at", "finished_at", "error"),
)
EPOCH_COLUMNS = (
    *("optimizer", "phase", "number", "epoch", "samples", "grad_evals"),
    *("train_loss", "val_loss", "val_accuracy", "lr", "train_s", "eval_s"),
)


def _rows(frame: "pd.DataFrame", columns: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """A frame's rows as plain values; None where there is none, or no finite number."""
    values = [_plain(frame[name]) for name in columns]
    for row in zip(*values, strict=True):
        yield dict(zip(columns, row, strict=True))


def _plain(column: "pd.Series[Any]") -> list[Any]:
    import numpy as np

    values = column.astype(object)
    if column.dtype.kind == "M":
        values = values.map(lambda moment: moment.to_pydatetime(), na_action="ignore").astype(object)
    known = np.isfinite(column) if column.dtype.kind == "f" else column.notna()
    plain: list[Any] = values.where(known, None).tolist()
    return plain


def _trial_rows(trials: "pd.DataFrame", now: datetime) -> Iterator[dict[str, Any]]:
    params = [str(name) for name in trials.columns if str(name).startswith("params.")]
    settings = _rows(trials, tuple(params))
    waited = trials["queued_s"].tolist()
    for place, row in enumerate(_rows(trials, TRIAL_COLUMNS)):
        known = next(settings) if params else {}
        yield {
            **row,
            "proposal": {},
            "params": {name.removeprefix("params."): v for name, v in known.items() if v is not None},
            "queued_at": _queued_at(row, waited[place], now),
        }


def _queued_at(row: Mapping[str, Any], waited_s: float, now: datetime) -> datetime:
    started: datetime | None = row["started_at"]
    if started is None:
        return now
    return started - timedelta(seconds=waited_s if waited_s == waited_s else 0)


def _attempt_rows(trials: "pd.DataFrame", now: datetime) -> Iterator[dict[str, Any]]:
    """One attempt per trial; a worker, node or device that nobody knows is no text."""
    columns = ("optimizer", "phase", "number", "attempt", "worker", "node", "device", "state")
    times = _rows(trials, ("started_at", "finished_at"))
    for row, time in zip(_rows(trials, columns), times, strict=True):
        place = {name: row[name] or "" for name in ("worker", "node", "device")}
        yield {
            **{name: row[name] for name in ("optimizer", "phase", "number", "attempt")},
            **place,
            "first_epoch": 1,
            "started_at": time["started_at"] or now,
            "ended_at": time["finished_at"] if time["started_at"] else None,
            "why": row["state"],
            "strike": False,
        }


def _epoch_rows(epochs: "pd.DataFrame", trials: "pd.DataFrame", now: datetime) -> Iterator[dict[str, Any]]:
    keys = ["optimizer", "phase", "number"]
    attempts = epochs[keys].merge(trials[[*keys, "attempt"]], on=keys, how="left")["attempt"].tolist()
    for attempt, row in zip(attempts, _rows(epochs, EPOCH_COLUMNS), strict=True):
        yield {
            **row,
            "attempt": attempt,
            "steps": 0,
            **{name: UNKNOWN_S if row[name] is None else row[name] for name in ("train_s", "eval_s")},
            "recorded_at": now,
        }
