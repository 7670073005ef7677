"""Runs an experiment as a new sweep, and goes on with one: everything is checked before anything is spent."""

import time
from collections.abc import Sequence
from pathlib import Path
from threading import Event
from typing import Any

from sweeper import experiment as experiments
from sweeper.api import facts, preparation
from sweeper.api.display import Display, Silent
from sweeper.api.job import Job, Means, WorkerCount, checkpoint_files, execute, require_writable_checkpoints
from sweeper.api.loading import Loading
from sweeper.api.sweep import StoreLocation, Sweep, open_store
from sweeper.errors import InterruptedSweepError, LeaseHeldError, SweepExistsError, UsageError
from sweeper.experiment import Experiment
from sweeper.records import SweepState
from sweeper.store import Committer, Store
from sweeper.training import data

SHOWN_DIFFERENCES = 3
"""So many keys are named of an experiment that isn't the stored one."""


def run(
    source: Experiment | Path | str,
    store: StoreLocation = None,
    *,
    name: str | None = None,
    settings: Sequence[str] = (),
    workers: WorkerCount | None = None,
    data_dir: Path | str | None = None,
    address: str | None = None,
    ray_dashboard: bool = False,
    warm_start: str | None = None,
    display: Display | None = None,
) -> Sweep:
    """Run the experiment `source`, a TOML file or an `Experiment`, as a new sweep, to its end.

    `settings` are "key=value" on top of it; `name` is the experiment's own unless given; `workers` wins
    over `[resources] workers`; `data_dir` holds the images (None: SWEEPER_DATA, or the user's cache);
    `address` is a Ray cluster to join instead of starting a private one; `warm_start` names an earlier sweep
    in the store whose trials TPE shall know. Ctrl-C and SIGTERM stop it
    cleanly: it raises InterruptedSweepError, and `resume` goes on.

    Raises ExperimentError, DataError, SweepExistsError, CheckpointError, StoreError and ClusterError.
    """
    experiment = preparation.read(source, settings)
    sweep_name = experiments.checked_name(name) if name is not None else experiment.name
    _require_unused(open_store(store), sweep_name, experiment)
    earlier = _warm_start(experiment, warm_start, store) if warm_start is not None else {}
    require_writable_checkpoints(experiment)
    loading = Loading(experiment, data.directory(data_dir))
    opened = open_store(store, create=True)

    def create(stop: Event) -> Committer:
        depends_on = {**facts.describe(loading.images()), **earlier}
        return opened.create_sweep(
            sweep_name, experiment.document(), experiment.text, depends_on, experiment.resources.lease_s
        )

    means = Means(preparation.worker_count(workers, experiment), address, ray_dashboard)
    job = Job(opened, sweep_name, experiment, loading, earlier, create, is_new=True)
    execute(job, means, display or Silent())
    return Sweep(opened, sweep_name)


def resume(
    name: str,
    store: StoreLocation = None,
    *,
    settings: Sequence[str] = (),
    force: bool = False,
    workers: WorkerCount | None = None,
    data_dir: Path | str | None = None,
    address: str | None = None,
    ray_dashboard: bool = False,
    display: Display | None = None,
) -> Sweep:
    """Go on with the sweep `name` after any interruption; a complete one is left as it is.

    Finished trials stay, the others are trained again. `settings` are "key=value" that raise
    `budget.trials_per_optimizer`, `budget.max_seconds` or `final.seeds`, and are kept. Waits one lease for
    another coordinator to go. `force` accepts other versions of torch or optuna than the sweep began with.
    The rest is as in `run`.

    Raises NotFoundError, LeaseHeldError, and as `run` does.
    """
    opened = open_store(store)
    sweep = Sweep(opened, name)
    began = sweep.info
    if sweep.experiment.imported:
        raise UsageError(f"sweep {name!r} was imported: there is nothing to go on with")
    stored = sweep.experiment
    experiment = experiments.extended(stored, settings, source=f"sweep {name}")
    is_extended = experiment.document() != stored.document()
    if began.state is SweepState.COMPLETE and not is_extended:
        # Its coordinator may have been killed just before it did this.
        if (files := checkpoint_files(began.experiment, name, began.created_at)) is not None:
            files.forget_all()
        return sweep
    shown = display or Silent()
    loading = Loading(experiment, data.directory(data_dir))
    for line in facts.check_unchanged(began.facts, facts.describe(loading.images()), force=force):
        shown.note(line)

    def take(stop: Event) -> Committer:
        committer = _take(opened, name, experiment.resources.lease_s, shown, stop)
        if sweep.info.experiment != began.experiment:
            committer.release()
            raise UsageError(f"sweep {name!r} was asked for more while this waited; resume it again")
        return committer

    means = Means(preparation.worker_count(workers, experiment), address, ray_dashboard)
    job = Job(opened, name, experiment, loading, began.facts, take, is_new=False, is_extended=is_extended)
    execute(job, means, shown)
    return sweep


def _require_unused(store: Store, name: str, experiment: Experiment) -> None:
    """Raises SweepExistsError where a sweep is called `name`, and says how that one's experiment differs."""
    try:
        store.require_unused(name)
    except SweepExistsError as exists:
        other = Sweep(store, name).experiment
        if other.imported:
            raise SweepExistsError(
                f"a sweep called {name!r} exists, of imported results: `sweeper run FILE --name OTHER` makes "
                f"another"
            ) from None
        lines = experiments.differences(other, experiment)
        more = f" and {len(lines) - SHOWN_DIFFERENCES} more" if len(lines) > SHOWN_DIFFERENCES else ""
        differs = f"; its experiment differs: {'; '.join(lines[:SHOWN_DIFFERENCES])}{more}" if lines else ""
        raise SweepExistsError(f"{exists}{differs}") from None


def _warm_start(experiment: Experiment, name: str, store: StoreLocation) -> dict[str, Any]:
    """What the sweep `name` knows that this experiment's search can use, as a fact of the new sweep."""
    from sweeper.search.priors import priors

    earlier = Sweep(open_store(store), name)
    if earlier.experiment.imported:
        raise UsageError(
            f"--warm-start {name}: was imported, and its settings are not in a search's coordinates"
        )
    known = priors(experiment, earlier.experiment, earlier.store.trials(name))
    return facts.warm_start(name, known)


def _take(store: Store, name: str, lease_s: float, display: Display, stop: Event) -> Committer:
    """The sweep's lease, after waiting for its holder at most as long as a lease lasts."""
    deadline = time.monotonic() + lease_s
    has_told = False
    while True:
        try:
            return store.take_sweep(name, lease_s)
        except LeaseHeldError as held:
            if time.monotonic() >= deadline:
                raise
            if not has_told:
                display.note(f"{held}; waiting for it")
                has_told = True
        if _is_set_within(stop, min(1.0, lease_s / 10)):
            raise InterruptedSweepError(f"interrupted before sweep {name} began; it is left as it was")


def _is_set_within(stop: Event, seconds: float) -> bool:
    """Whether `stop` is set before so many seconds are over.

    `stop.wait` would hold the event's lock now and then, for which a signal's handler would wait for ever: it
    runs in this thread.
    """
    deadline = time.monotonic() + seconds
    while not stop.is_set() and (left := deadline - time.monotonic()) > 0:
        time.sleep(min(left, 0.05))
    return stop.is_set()
