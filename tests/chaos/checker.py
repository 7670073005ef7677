"""Reads a store with plain SQL and says what is wrong with it. Imports nothing of Sweeper.

Nothing that the checker knows comes from the code that it checks: the tables' names and what they must hold
are written down here once more. `watch` sets triggers that note under which lease each row was written.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import psycopg

NO_STRIKES = ("complete", "interrupted", "its coordinator died")
"""Ends of attempts that are no fault of their trials."""

NOTED = (
    "SELECT 'attempt', trial_id, attempt FROM attempts UNION ALL "
    "SELECT 'epoch', trial_id, attempt FROM epochs UNION ALL "
    "SELECT 'end', id, attempt FROM trials WHERE finished_at IS NOT NULL"
)
"""What the triggers must have noted: were they silent, no fenced write would show."""

SQLITE_WATCH = """
CREATE TABLE chaos_audit (what TEXT, trial_id INTEGER, attempt INTEGER, writer TEXT, token INTEGER);
CREATE TRIGGER chaos_attempts AFTER INSERT ON attempts BEGIN
  INSERT INTO chaos_audit SELECT 'attempt', NEW.trial_id, NEW.attempt, NEW.worker, s.lease_token
  FROM sweeps s JOIN trials t ON t.sweep_id = s.id WHERE t.id = NEW.trial_id; END;
CREATE TRIGGER chaos_epochs AFTER INSERT ON epochs BEGIN
  INSERT INTO chaos_audit SELECT 'epoch', NEW.trial_id, NEW.attempt, a.worker, s.lease_token
  FROM sweeps s JOIN trials t ON t.sweep_id = s.id
  LEFT JOIN attempts a ON a.trial_id = t.id AND a.attempt = NEW.attempt WHERE t.id = NEW.trial_id; END;
CREATE TRIGGER chaos_trials AFTER UPDATE OF state ON trials WHEN NEW.finished_at IS NOT NULL BEGIN
  INSERT INTO chaos_audit SELECT 'end', NEW.id, NEW.attempt, a.worker, s.lease_token
  FROM sweeps s LEFT JOIN attempts a ON a.trial_id = NEW.id AND a.attempt = NEW.attempt
  WHERE s.id = NEW.sweep_id; END;
"""

POSTGRES_WATCH = """
CREATE TABLE chaos_audit (what TEXT, trial_id INTEGER, attempt INTEGER, writer TEXT, token INTEGER);
CREATE FUNCTION chaos_note() RETURNS trigger AS $$
DECLARE what TEXT := TG_ARGV[0]; trial INTEGER; try INTEGER;
BEGIN
  IF what = 'end' THEN trial := NEW.id; ELSE trial := NEW.trial_id; END IF;
  try := NEW.attempt;
  INSERT INTO chaos_audit SELECT what, trial, try, a.worker, s.lease_token
  FROM sweeps s JOIN trials t ON t.sweep_id = s.id
  LEFT JOIN attempts a ON a.trial_id = t.id AND a.attempt = try WHERE t.id = trial;
  RETURN NEW;
END $$ LANGUAGE plpgsql;
CREATE TRIGGER chaos_attempts AFTER INSERT ON attempts
  FOR EACH ROW EXECUTE FUNCTION chaos_note('attempt');
CREATE TRIGGER chaos_epochs AFTER INSERT ON epochs FOR EACH ROW EXECUTE FUNCTION chaos_note('epoch');
CREATE TRIGGER chaos_trials AFTER UPDATE OF state ON trials
  FOR EACH ROW WHEN (NEW.finished_at IS NOT NULL) EXECUTE FUNCTION chaos_note('end');
"""


@dataclass(frozen=True)
class Plan:
    """What a sweep must hold in the end, counted by hand from its experiment file."""

    optimizers: tuple[str, ...]
    n_trials: int
    n_finals: int
    epochs: int
    lasting: frozenset[str] = frozenset()
    """Optimizers whose steps span epochs: they may have fewer records."""


class Database:
    """A database read past Sweeper: `sqlite:///PATH` or `postgresql://...`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.is_sqlite = url.startswith("sqlite")

    @contextmanager
    def connection(self, *, write: bool = False) -> Iterator[Any]:
        """A connection of its own."""
        if self.is_sqlite:
            path = self.url.removeprefix("sqlite:///")
            uri = path if write else f"file:{path}?mode=ro"
            with closing(sqlite3.connect(uri, uri=not write, timeout=20)) as connection:
                yield connection
                connection.commit()
        else:
            with psycopg.connect(self.url.replace("postgresql+psycopg", "postgresql")) as connection:
                yield connection

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What `query` gives."""
        with self.connection() as connection:
            return [tuple(row) for row in connection.execute(query).fetchall()]

    def watch(self) -> None:
        """Note from now on under which lease each row is written."""
        with self.connection(write=True) as connection:
            if self.is_sqlite:
                connection.executescript(SQLITE_WATCH)
            else:
                connection.execute(POSTGRES_WATCH)

    def dump(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of every table."""
        tables = {"sweeps": "id", "trials": "id", "attempts": "1, 2", "epochs": "1, 2, 3"}
        return {name: self.rows(f"SELECT * FROM {name} ORDER BY {order}") for name, order in tables.items()}


def faults(database: Database, plan: Plan, undisturbed: Database) -> list[str]:
    """Everything that is not as it must be; empty where the sweep lost and doubled nothing."""
    found = [
        *_unfinished(database),
        *_not_as_planned(database, plan),
        *_broken_attempts(database),
        *_broken_epochs(database, plan),
        *_fenced_writes(database),
    ]
    mine, theirs = _results(database), _results(undisturbed)
    for key in sorted(mine.keys() | theirs.keys()):
        if mine.get(key) != theirs.get(key):
            found.append(f"{key}: {mine.get(key)} instead of {theirs.get(key)}")
    return found


def _unfinished(database: Database) -> list[str]:
    found = [
        f"sweep is {state}" for (state,) in database.rows("SELECT state FROM sweeps") if state != "complete"
    ]
    query = "SELECT optimizer, phase, number, state FROM trials WHERE state <> 'complete'"
    return found + [f"{row} is not complete" for row in database.rows(query)]


def _not_as_planned(database: Database, plan: Plan) -> list[str]:
    rows = database.rows("SELECT optimizer, phase, number FROM trials")
    planned = [(name, "search", n) for name in plan.optimizers for n in range(plan.n_trials)]
    planned += [(name, "final", n) for name in plan.optimizers for n in range(plan.n_finals)]
    return [] if sorted(rows) == sorted(planned) else [f"trials are {sorted(rows)}"]


def _broken_attempts(database: Database) -> list[str]:
    """Attempts count from 1 without a gap, all have ended, the last one by the trial's completion."""
    found = []
    query = (
        "SELECT t.id, t.attempt, a.attempt, a.ended_at, a.why, a.worker, a.started_at, a.strike "
        "FROM trials t LEFT JOIN attempts a ON a.trial_id = t.id ORDER BY t.id, a.attempt"
    )
    by_trial: dict[int, list[tuple[Any, ...]]] = {}
    for row in database.rows(query):
        by_trial.setdefault(row[0], []).append(row)
    for trial, rows in by_trial.items():
        if rows[0][2] is None:
            found.append(f"trial {trial}: no attempt")
            continue
        if [row[2] for row in rows] != list(range(1, rows[0][1] + 1)):
            found.append(f"trial {trial}: attempts {[row[2] for row in rows]}")
        if any(row[3] is None for row in rows):
            found.append(f"trial {trial}: an attempt never ended")
        if [row[4] == "complete" for row in rows] != [False] * (len(rows) - 1) + [True]:
            found.append(f"trial {trial}: attempts ended by {[row[4] for row in rows]}")
        tokens = [token_of(row[5]) for row in rows]
        if tokens != sorted(tokens):
            found.append(f"trial {trial}: coordinators {tokens}")
        if any(row[3] is not None and row[3] < row[6] for row in rows):
            found.append(f"trial {trial}: an attempt ended before it began")
        if any(row[7] and row[4] in NO_STRIKES for row in rows):
            found.append(f"trial {trial}: a strike for {[row[4] for row in rows if row[7]]}")
    return found


def _broken_epochs(database: Database, plan: Plan) -> list[str]:
    """Each attempt's epochs follow each other in time; those that count are all there, once."""
    found = []
    attempts = (
        "SELECT t.id, t.optimizer, a.attempt, a.first_epoch FROM trials t "
        "JOIN attempts a ON a.trial_id = t.id ORDER BY t.id, a.attempt"
    )
    recorded: dict[tuple[int, int], list[tuple[Any, ...]]] = {}
    for trial, attempt, *record in database.rows(
        "SELECT trial_id, attempt, epoch, recorded_at, samples FROM epochs ORDER BY 1, 2, 3"
    ):
        recorded.setdefault((trial, attempt), []).append(tuple(record))
    counting: dict[tuple[int, str], list[int]] = {}
    for trial, name, attempt, first_epoch in database.rows(attempts):
        mine = recorded.get((trial, attempt), [])
        for (_, at, spent), (epoch, later, more) in pairwise(mine):
            if not (at <= later and spent < more):
                found.append(f"trial {trial} attempt {attempt}: epoch {epoch} is not after the one before")
        if mine and mine[0][0] < first_epoch:
            found.append(f"trial {trial} attempt {attempt}: epoch {mine[0][0]} lies before {first_epoch}")
        # A new attempt takes over from its first epoch on: what an earlier one had from there counts no more.
        before = [epoch for epoch in counting.get((trial, name), []) if epoch < first_epoch]
        counting[trial, name] = before + [epoch for epoch, _, _ in recorded.pop((trial, attempt), [])]
    found += [f"trial {trial} attempt {attempt}: has epochs and isn't there" for trial, attempt in recorded]
    for (trial, name), epochs in counting.items():
        whole = list(range(1, plan.epochs + 1))
        is_right = epochs == sorted(set(epochs) & set(whole)) if name in plan.lasting else epochs == whole
        if not is_right:
            found.append(f"trial {trial} ({name}): epochs {epochs}")
    return found


def _fenced_writes(database: Database) -> list[str]:
    """Every row was written by the coordinator that held the lease just then, and there is a note of each."""
    rows = database.rows("SELECT what, trial_id, attempt, writer, token FROM chaos_audit")
    found = [f"written by a fenced coordinator: {row}" for row in rows if token_of(row[3]) != row[4]]
    noted, stored = {row[:3] for row in rows}, set(database.rows(NOTED))
    found += [f"stored, and nobody noted it: {row}" for row in sorted(stored - noted)]
    return found + [f"noted, and not stored any more: {row}" for row in sorted(noted - stored)]


def token_of(worker: str | None) -> int:
    """The lease token in a worker's name, `TOKEN/SLOT`."""
    return int(worker.split("/")[0]) if worker else -1


def _results(database: Database) -> dict[str, Any]:
    """What must be the same from run to run: settings, losses and test scores of every trial, to the bit."""
    results: dict[str, Any] = {}
    query = (
        "SELECT optimizer, phase, number, origin, setting, seed, proposal, params, epochs, samples, "
        "train_loss, val_loss, val_accuracy, test_loss, test_accuracy FROM trials"
    )
    for optimizer, phase, number, *rest in database.rows(query):
        plain = [json.loads(v) if isinstance(v, str) and v.startswith("{") else v for v in rest]
        results[f"{optimizer}/{phase}/{number}"] = plain
    query = (
        "SELECT t.optimizer, t.phase, t.number, e.epoch, e.samples, e.steps, e.grad_evals, "
        "e.train_loss, e.val_loss, e.val_accuracy, e.lr FROM epochs e JOIN trials t ON t.id = e.trial_id"
    )
    for optimizer, phase, number, epoch, *values in database.rows(query):
        # Every attempt's, also those that were lost: the same epoch has the same numbers.
        results.setdefault(f"{optimizer}/{phase}/{number} epoch {epoch}", values)
        if results[f"{optimizer}/{phase}/{number} epoch {epoch}"] != values:
            results[f"{optimizer}/{phase}/{number} epoch {epoch}"] = "differs between attempts"
    return results
