"""Upkeep of a store: deleting a sweep with all that is kept of it, the schema, and who may only read it."""

from dataclasses import dataclass
from pathlib import Path

from sweeper.api.job import checkpoint_files
from sweeper.api.sweep import StoreLocation, open_store, store_url
from sweeper.records import SweepInfo
from sweeper.store import grant_reading
from sweeper.store import upgrade as upgrade_schema


@dataclass(frozen=True, slots=True)
class Contents:
    """What is lost with a sweep: so many trials, and so many epochs that they were trained."""

    sweep: SweepInfo
    n_trials: int
    n_epochs: int


def contents(name: str, store: StoreLocation = None) -> Contents:
    """What is lost if the sweep `name` is deleted.

    Raises NotFoundError, and LeaseHeldError while a coordinator runs it: then it can't be.
    """
    opened = open_store(store)
    opened.require_free(name)
    trials = opened.trials(name)
    return Contents(opened.sweep(name), len(trials), sum(trial.epochs for trial in trials))


def delete(name: str, store: StoreLocation = None) -> None:
    """Delete the sweep `name` from the store, and then its checkpoints.

    Raises NotFoundError, and LeaseHeldError while a coordinator runs it.
    """
    opened = open_store(store)
    sweep = opened.sweep(name)
    files = checkpoint_files(sweep.experiment, name, sweep.created_at)
    opened.delete_sweep(name)
    if files is not None:
        files.forget_all()


def upgrade(store: str | None = None) -> tuple[str, str]:
    """Bring the store's schema up to date, and tell its revisions before and after.

    Raises NotFoundError where there is no store, LeaseHeldError while a sweep in it is run, and StoreError.
    """
    return upgrade_schema(store_url(store))


def make_reader(role: str, password_file: Path, store: str | None = None) -> bool:
    """Let a PostgreSQL role log in and read the store, and nothing else: whether it was made for it.

    Raises UsageError, NotFoundError and StoreError as `sweeper.store.grant_reading` does.
    """
    return grant_reading(store_url(store), role, password_file)
