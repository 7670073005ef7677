"""Puts a sweep's parts together and runs it: images, workers, writer, search and coordinator."""

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Literal

from sweeper import experiment as experiments
from sweeper import optimizers, space
from sweeper.api import facts
from sweeper.api.display import Display, Silent
from sweeper.api.sweep import StoreLocation, Sweep, open_store
from sweeper.clock import SystemClock
from sweeper.coordinator import Coordinator
from sweeper.errors import ExperimentError, InterruptedSweepError, LeaseHeldError, UsageError
from sweeper.experiment import ArmSpace, Experiment
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
    _look_up_classes(experiment, experiment.name if isinstance(source, Experiment) else str(source))
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

    means = _Means(_worker_count(workers, experiment), address, ray_dashboard)
    job = _Job(opened, sweep_name, experiment, images, create, is_new=True)
    _execute(job, means, display or Silent())
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
        return _take(opened, name, experiment.resources.lease_s, shown)

    means = _Means(_worker_count(workers, experiment), address, ray_dashboard)
    _execute(_Job(opened, name, experiment, images, take, is_new=False), means, shown)
    return sweep


def _experiment(source: Experiment | Path | str, settings: Sequence[str]) -> Experiment:
    if not isinstance(source, Experiment):
        return experiments.read(source, settings)
    if not settings:
        return source
    return experiments.from_document(source.document(), settings, text=source.text, is_resolved=True)


def _look_up_classes(experiment: Experiment, source: str) -> None:
    """Raises ExperimentError where an arm's class of torch.optim, or a value for it, is none."""
    problems = []
    for arm in experiment.arms:
        if arm.torch_class is not None:
            searched = {key: d for key, d in arm.space.items() if key not in space.TRAINING}
            values = {key: space.extremes(dimension) for key, dimension in searched.items()}
            if values.get("weight_decay") == (0.0,):
                del values["weight_decay"]  # what a class has no name for need not be given
            found = optimizers.custom.problems(arm.torch_class, values)
            problems += [_class_problem(arm, line) for line in found]
    if problems:
        raise ExperimentError(source, problems)


def _class_problem(arm: ArmSpace, line: str) -> str:
    if line.startswith("weight_decay: unknown") and "weight_decay" not in arm.own:
        return (
            f"space.weight_decay: {arm.torch_class} takes none; "
            f"optimizers.{arm.name}.weight_decay = 0.0 leaves it out"
        )
    return f"optimizers.{arm.name}.{line}"


def _worker_count(given: WorkerCount | None, experiment: Experiment) -> WorkerCount:
    """`given`, or what the experiment says. Raises UsageError where it is no number of workers."""
    if given is None:
        return experiment.resources.workers
    if given in ("auto", "inline") or (isinstance(given, int) and given >= 1):
        return given
    raise UsageError(f"workers {given}: must be a whole number from 1 on, auto or inline")


def _take(store: Store, name: str, lease_s: float, display: Display) -> Committer:
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
        time.sleep(min(1.0, lease_s / 10))


@dataclass(frozen=True, slots=True)
class _Job:
    """A sweep to be run. `acquire` makes it or takes it over, with its lease."""

    store: Store
    name: str
    experiment: Experiment
    images: Dataset
    acquire: Callable[[], Committer]
    is_new: bool


@dataclass(frozen=True, slots=True)
class _Means:
    """With what: how many workers, on which cluster, with Ray's dashboard or without."""

    workers: WorkerCount
    address: str | None
    ray_dashboard: bool


MakeWorkers = Callable[[Committer], "Workers"]


def _execute(job: _Job, means: _Means, display: Display) -> None:
    """Run the job to its end, or raise InterruptedSweepError.

    A new sweep is made only once there are workers to be had, so that a machine too small or a cluster out of
    reach doesn't use up its name; an existing one is taken first, for there is no use in workers without it.
    """
    state = SweepState.INTERRUPTED
    with contextlib.ExitStack() as stack:  # what is entered last is left first
        notes = [job.images.description(), *job.experiment.notices]
        stop = threading.Event()
        writer = None if job.is_new else _writer(job, stack)
        make_workers = stack.enter_context(_workers(job, means, notes, display))
        stack.enter_context(_stopped_by_signals(stop))
        writer = writer or _writer(job, stack)
        workers = make_workers(writer.committer)
        stack.callback(workers.close)
        known = job.store.trials(job.name)
        coordinator = _coordinator(job, workers, writer, display, known)
        display.begins(job.name, job.experiment, known, notes)
        state = coordinator.run(stop)
    if state is SweepState.INTERRUPTED:
        raise InterruptedSweepError(f"interrupted; `sweeper resume {job.name}` goes on")


def _writer(job: _Job, stack: contextlib.ExitStack) -> WriterThread:
    writer = WriterThread(job.acquire())
    stack.callback(writer.close)
    return writer


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


@contextlib.contextmanager
def _workers(job: _Job, means: _Means, notes: list[str], display: Display) -> Iterator[MakeWorkers]:
    """What makes the sweep's workers, once its lease is held; Ray is up as long as this lasts."""
    if means.workers == "inline":
        from sweeper.workers.inline import InlineWorkers

        yield lambda committer: InlineWorkers(job.experiment, job.images)
        return
    from sweeper.workers import ray

    display.note(f"Ray: joining {means.address}" if means.address else "Ray: starting on this machine")
    resources = job.experiment.resources
    n_cpus = None if means.workers == "auto" else means.workers * resources.cpus_per_trial
    image_bytes, dashboard = job.images.nbytes, means.ray_dashboard
    with ray.cluster(means.address, n_cpus=n_cpus, image_bytes=image_bytes, dashboard=dashboard) as way_in:
        notes += [way_in] if way_in else []
        placement = ray.place(resources, means.workers)
        yield lambda committer: ray.RayWorkers(
            job.experiment, job.images, sweep=job.name, token=committer.lease.token, placement=placement
        )


@contextlib.contextmanager
def _stopped_by_signals(stop: threading.Event) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM sets `stop`, the second ends the program at once.

    Set after Ray is started, which replaces the handlers; only the main thread may set any.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def handle(number: int, frame: FrameType | None) -> None:
        for each in previous:
            signal.signal(each, signal.default_int_handler)
        stop.set()

    for number in previous:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
