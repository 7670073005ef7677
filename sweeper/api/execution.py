"""Puts a sweep's parts together and runs it: images, workers, writer, search and coordinator."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Literal

from sweeper import experiment as experiments
from sweeper.api import facts
from sweeper.api.display import Display, Silent
from sweeper.api.sweep import StoreLocation, Sweep, open_store
from sweeper.clock import Clock, SystemClock
from sweeper.coordinator import Coordinator
from sweeper.errors import InterruptedSweepError, LeaseHeldError
from sweeper.experiment import Experiment
from sweeper.records import StoredTrial, SweepState
from sweeper.store import Committer, Store, WriterThread
from sweeper.training import data
from sweeper.training.data import Dataset

if TYPE_CHECKING:
    from sweeper.workers import Workers

WorkerCount = int | Literal["auto", "inline"]
"""How many workers: a number, as many as fit, or one in this process without Ray."""


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
    display: Display | None = None,
) -> Sweep:
    """Run the experiment `source`, a TOML file or an `Experiment`, as a new sweep, to its end.

    `settings` are "key=value" on top of it; `name` is the experiment's own unless given; `workers` wins
    over `[resources] workers`; `data_dir` holds the images (None: SWEEPER_DATA, or the user's cache);
    `address` is a Ray cluster to join instead of starting a private one. Ctrl-C and SIGTERM stop it
    cleanly: it raises InterruptedSweepError, and `resume` goes on.

    Raises ExperimentError, DataError, SweepExistsError, StoreError and ClusterError.
    """
    experiment = _experiment(source, settings)
    sweep_name = experiments.checked_name(name) if name is not None else experiment.name
    open_store(store).require_unused(sweep_name)
    images = data.load(experiment, data.directory(data_dir))
    opened = open_store(store, create=True)

    def create() -> Committer:
        return opened.create_sweep(
            sweep_name,
            experiment.document(),
            experiment.text,
            facts.describe(images),
            experiment.resources.lease_s,
        )

    means = _Means(workers or experiment.resources.workers, address, ray_dashboard)
    _execute(_Job(opened, sweep_name, experiment, images, create), means, display or Silent())
    return Sweep(opened, sweep_name)


def resume(
    name: str,
    store: StoreLocation = None,
    *,
    force: bool = False,
    workers: WorkerCount | None = None,
    data_dir: Path | str | None = None,
    address: str | None = None,
    ray_dashboard: bool = False,
    display: Display | None = None,
) -> Sweep:
    """Go on with the sweep `name` after any interruption; a complete one is left as it is.

    Finished trials stay, the others are trained again. Waits one lease for another coordinator to go. `force`
    accepts other versions of torch or optuna than the sweep began with. The rest is as in `run`.

    Raises NotFoundError, LeaseHeldError, and as `run` does.
    """
    opened = open_store(store)
    sweep = Sweep(opened, name)
    began = sweep.info
    if began.state is SweepState.COMPLETE:
        return sweep
    experiment = sweep.experiment
    shown = display or Silent()
    images = data.load(experiment, data.directory(data_dir))
    for line in facts.check_unchanged(began.facts, facts.describe(images), force=force):
        shown.note(line)

    def take() -> Committer:
        return _take(opened, name, experiment.resources.lease_s, SystemClock(), shown)

    means = _Means(workers or experiment.resources.workers, address, ray_dashboard)
    _execute(_Job(opened, name, experiment, images, take), means, shown)
    return sweep


def _experiment(source: Experiment | Path | str, settings: Sequence[str]) -> Experiment:
    if not isinstance(source, Experiment):
        return experiments.read(source, settings)
    if not settings:
        return source
    return experiments.from_document(source.document(), settings, text=source.text, is_resolved=True)


def _take(store: Store, name: str, lease_s: float, clock: Clock, display: Display) -> Committer:
    """The sweep's lease, after waiting for its holder at most as long as a lease lasts."""
    deadline = clock.monotonic() + lease_s
    has_told = False
    while True:
        try:
            return store.take_sweep(name, lease_s)
        except LeaseHeldError as held:
            if clock.monotonic() >= deadline:
                raise
            if not has_told:
                display.note(f"{held}; waiting for it")
                has_told = True
        clock.sleep(min(1.0, lease_s / 10))


@dataclass(frozen=True, slots=True)
class _Job:
    """A sweep to be run. `acquire` makes or takes it, with its lease, once workers can be had."""

    store: Store
    name: str
    experiment: Experiment
    images: Dataset
    acquire: Callable[[], Committer]


@dataclass(frozen=True, slots=True)
class _Means:
    """With what: how many workers, on which cluster, with Ray's dashboard or without."""

    workers: WorkerCount
    address: str | None
    ray_dashboard: bool


def _execute(job: _Job, means: _Means, display: Display) -> None:
    with contextlib.ExitStack() as stack:  # what is entered last is left first
        notes = [job.images.description(), *job.experiment.notices]
        if means.workers != "inline":
            display.note(
                f"Ray: {f'joining {means.address}' if means.address else 'starting on this machine'}"
            )
            notes += stack.enter_context(_ray(job, means, means.workers))
        committer = job.acquire()
        writer = WriterThread(committer)
        stack.callback(writer.close)
        workers = _workers(job, means.workers, committer)
        stack.callback(workers.close)
        known = job.store.trials(job.name)
        coordinator = _coordinator(job, workers, writer, display, known)
        stack.enter_context(_stopped_by_signals(coordinator))
        display.begins(job.name, job.experiment, known, notes)
        state = coordinator.run()
    if state is SweepState.INTERRUPTED:
        raise InterruptedSweepError(f"interrupted; `sweeper resume {job.name}` goes on")


def _coordinator(
    job: _Job,
    workers: "Workers",
    writer: WriterThread,
    display: Display,
    known: Sequence[StoredTrial],
) -> Coordinator:
    from sweeper.search import Search

    return Coordinator(
        job.experiment,
        search=Search(job.experiment, known),
        workers=workers,
        writer=writer,
        clock=SystemClock(),
        watcher=display,
        known=known,
    )


def _workers(job: _Job, n_workers: WorkerCount, committer: Committer) -> "Workers":
    if n_workers == "inline":
        from sweeper.workers.inline import InlineWorkers

        return InlineWorkers(job.experiment, job.images)
    from sweeper.workers.ray import RayWorkers

    return RayWorkers(
        job.experiment, job.images, sweep=job.name, token=committer.lease.token, n_workers=n_workers
    )


@contextlib.contextmanager
def _ray(job: _Job, means: _Means, n_workers: int | Literal["auto"]) -> Iterator[list[str]]:
    """A Ray cluster for the sweep; gives the lines to show about it."""
    from sweeper.workers import ray

    n_cpus = None if n_workers == "auto" else n_workers * job.experiment.resources.cpus_per_trial
    with ray.cluster(
        means.address, n_cpus=n_cpus, image_bytes=job.images.nbytes, dashboard=means.ray_dashboard
    ) as way_in:
        yield [way_in] if way_in else []


@contextlib.contextmanager
def _stopped_by_signals(coordinator: Coordinator) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM stops the coordinator cleanly, the second at once.

    Set after Ray is started, which replaces the handlers; only the main thread may set any.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def handle(number: int, frame: FrameType | None) -> None:
        for each in previous:
            signal.signal(each, signal.default_int_handler)
        coordinator.stop()

    for number in previous:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
