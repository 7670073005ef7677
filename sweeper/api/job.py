"""Runs a sweep that is ready to run: puts workers, writer and coordinator together, and takes them apart."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any, Literal

from sweeper.agenda import Agenda
from sweeper.api import facts
from sweeper.api.display import Display
from sweeper.clock import SystemClock
from sweeper.coordinator import Coordinator
from sweeper.errors import InterruptedSweepError
from sweeper.experiment import Experiment
from sweeper.judging import Judges
from sweeper.records import Origin, Phase, StoredTrial, SweepState
from sweeper.store import Committer, ExperimentExtended, Store, WriterThread
from sweeper.training.data import Dataset

if TYPE_CHECKING:
    from sweeper.workers import Workers

WorkerCount = int | Literal["auto", "inline"]
"""How many workers: a number, as many as fit, or one in this process without Ray."""


@dataclass(frozen=True, slots=True)
class Job:
    """A sweep to be run. `acquire` makes it or takes it over, with its lease.

    `facts` are what it depends on; `is_extended`: it asks for more than the store knows of.
    """

    store: Store
    name: str
    experiment: Experiment
    images: Dataset
    facts: Mapping[str, Any]
    acquire: Callable[[], Committer]
    is_new: bool
    is_extended: bool = False


@dataclass(frozen=True, slots=True)
class Means:
    """With what: how many workers, on which cluster, with Ray's dashboard or without."""

    workers: WorkerCount
    address: str | None
    ray_dashboard: bool


MakeWorkers = Callable[[Committer], "Workers"]


def execute(job: Job, means: Means, display: Display) -> None:
    """Run the job to its end or its limit of seconds, or raise InterruptedSweepError.

    A new sweep is made only once there are workers to be had, so that a machine too small or a cluster out of
    reach doesn't use up its name; an existing one is taken first, for there is no use in workers without it.
    """
    state = SweepState.INTERRUPTED
    with contextlib.ExitStack() as stack:  # what is entered last is left first
        notes = [job.images.description(), *job.experiment.notices, *facts.warm_start_lines(job.facts)]
        stop = threading.Event()
        writer = None if job.is_new else _writer(job, stack)
        make_workers = stack.enter_context(_workers(job, means, notes, display))
        stack.enter_context(_stopped_by_signals(stop))
        writer = writer or _writer(job, stack)
        workers = make_workers(writer.committer)
        stack.callback(workers.close)
        if job.is_extended:
            writer.put(ExperimentExtended(job.experiment.document()))
        known = job.store.trials(job.name)
        coordinator = _coordinator(job, workers, writer, display, known)
        display.begins(job.name, job.experiment, known, notes)
        state = coordinator.run(stop)
    if state is SweepState.INTERRUPTED:
        raise InterruptedSweepError(f"interrupted; `sweeper resume {job.name}` goes on")
    if state is SweepState.STOPPED:
        display.note(_left_out(job))


def _left_out(job: Job) -> str:
    """What `budget.max_seconds` left no time for."""
    known = [trial for trial in job.store.trials(job.name) if trial.state.is_finished]
    n_trials = sum(trial.key.phase is Phase.SEARCH for trial in known)
    n_finals = sum(trial.trial.origin is Origin.FINAL for trial in known)
    left = [f"{job.experiment.n_trials - n_trials} of {job.experiment.n_trials} trials"]
    if job.experiment.n_finals:
        left.append(f"{max(job.experiment.n_finals - n_finals, 0)} of {job.experiment.n_finals} finals")
    limit = job.experiment.budget.max_seconds
    return (
        f"stopped: budget.max_seconds = {limit:g} are over, {job.store.spent_s(job.name):.0f} s are spent; "
        f"left out: {' and '.join(left)}; "
        f"`sweeper resume {job.name} --set budget.max_seconds=N` goes on"
    )


def _writer(job: Job, stack: contextlib.ExitStack) -> WriterThread:
    writer = WriterThread(job.acquire())
    stack.callback(writer.close)
    return writer


def _coordinator(
    job: Job,
    workers: "Workers",
    writer: WriterThread,
    display: Display,
    known: Sequence[StoredTrial],
) -> Coordinator:
    from sweeper.search import Search

    experiment = job.experiment
    has_rungs = bool(experiment.pruning.rungs)
    curves = job.store.curves(job.name, experiment.objective) if has_rungs and known else {}
    return Coordinator(
        experiment,
        agenda=Agenda(experiment, Search(experiment, known, facts.priors(job.facts)), known),
        judges=Judges(experiment, known, curves),
        workers=workers,
        writer=writer,
        clock=SystemClock(),
        watcher=display,
        known=known,
        spent_s=job.store.spent_s(job.name) if experiment.budget.max_seconds else 0,
    )


@contextlib.contextmanager
def _workers(job: Job, means: Means, notes: list[str], display: Display) -> Iterator[MakeWorkers]:
    """What makes the sweep's workers, once its lease is held; Ray is up as long as this lasts."""
    if means.workers == "inline":
        from sweeper.workers.inline import InlineWorkers

        yield lambda committer: InlineWorkers(job.experiment, job.images, token=committer.lease.token)
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
