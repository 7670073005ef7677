"""Runs a sweep that is ready to run: puts workers, writer and coordinator together, and takes them apart."""

import contextlib
import gc
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from sweeper import checkpoints
from sweeper.agenda import Agenda
from sweeper.api import facts
from sweeper.api.display import Display
from sweeper.api.loading import Loading
from sweeper.api.metering import metered
from sweeper.api.signals import Signals, received
from sweeper.api.tidying import Tidier
from sweeper.checkpoints import CheckpointFiles
from sweeper.clock import SystemClock
from sweeper.coordinator import Coordinator
from sweeper.errors import CheckpointError, ClusterError, InterruptedSweepError, NotFoundError
from sweeper.experiment import Experiment
from sweeper.judging import Judges
from sweeper.records import Origin, Phase, StoredTrial, SweepState
from sweeper.store import Committer, ExperimentExtended, Store, WriterThread
from sweeper.watcher import Watcher

if TYPE_CHECKING:
    from sweeper.workers import Workers
    from sweeper.workers.ray import Placement

WorkerCount = int | Literal["auto", "inline"]
"""How many workers: a number, as many as fit, or one in this process without Ray."""


@dataclass(frozen=True, slots=True)
class Job:
    """A sweep to be run. `acquire` makes it or takes it over, with its lease, unless it is told to stop.

    `loading` gives its images; `facts` are what its search depends on; `is_extended`: it asks for more than
    the store knows of.
    """

    store: Store
    name: str
    experiment: Experiment
    loading: Loading
    facts: Mapping[str, Any]
    acquire: Callable[[threading.Event], Committer]
    is_new: bool
    is_extended: bool = False


@dataclass(frozen=True, slots=True)
class Means:
    """With what: how many workers, on which cluster, with Ray's dashboard or without."""

    workers: WorkerCount
    address: str | None
    ray_dashboard: bool


MakeWorkers = Callable[[Committer], "Workers"]

AWAY_S = 1.0
"""If the last writes take longer, the store is away, and the user is told so."""


def execute(job: Job, means: Means, display: Display) -> None:
    """Run the job to its end or its limit of seconds, or raise InterruptedSweepError.

    A new sweep is made only once there are workers to be had, so that a machine too small or a cluster out of
    reach doesn't use up its name; an existing one is taken first, for there is no use in workers without it.
    """
    with received() as signals:
        try:
            state, is_by_request = _execute(job, means, display, signals)
        except ClusterError:
            if not signals.stop.is_set():
                raise
            # A terminal's Ctrl-C reaches Ray's processes as well.
            state, is_by_request = SweepState.INTERRUPTED, False
            if not _is_stored(job):
                _require_going_on(job, signals)
    if state is SweepState.INTERRUPTED:
        raise InterruptedSweepError(f"interrupted; `sweeper resume {job.name}` goes on")
    if state is SweepState.STOPPED:
        display.note(_left_out(job, is_by_request=is_by_request))


def _execute(job: Job, means: Means, display: Display, signals: Signals) -> tuple[SweepState, bool]:
    """How the sweep ended, and whether somebody had asked it to stop."""
    with contextlib.ExitStack() as stack:  # what is entered last is left first
        lease = stack.enter_context(contextlib.ExitStack())
        notes = [*job.experiment.notices, *facts.warm_start_lines(job.facts)]
        _tell_of_checkpoints(job, display)
        writer = None if job.is_new else _writer(job, lease, display, signals)
        _require_going_on(job, signals)
        make_workers = stack.enter_context(_workers(job, means, notes, display, signals))
        stack.callback(lease.close)  # before Ray ends, which takes seconds
        _require_going_on(job, signals)
        writer = writer or _writer(job, lease, display, signals)
        workers = make_workers(writer.committer)
        stack.callback(workers.close)
        if job.is_extended:
            writer.put(ExperimentExtended(job.experiment.document()))
        known = job.store.trials(job.name)
        tidier = Tidier(checkpoints_of(job))
        watcher: Watcher = display
        if means.workers != "inline":
            numbers = metered(display, job.name, job.experiment, known, workers, writer)
            watcher = stack.enter_context(numbers)
        coordinator = _coordinator(job, workers, writer, watcher, known, tidier)
        display.begins(job.name, job.experiment, known, [job.loading.images().description(), *notes])
        with frozen():
            state = coordinator.run(signals.stop)
        if state is SweepState.COMPLETE:
            tidier.forget_all()
        return state, writer.is_asked_to_stop


@contextlib.contextmanager
def frozen() -> Iterator[None]:
    """What exists now lives as long as the sweep: the garbage collector need not look at it all the time."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def require_writable_checkpoints(experiment: Experiment) -> None:
    """Raises CheckpointError where progress is to be saved and can't be."""
    section = experiment.checkpoint
    if section.every_epochs:
        CheckpointFiles(checkpoints.absolute(section.directory)).require_writable()


def _tell_of_checkpoints(job: Job, display: Display) -> None:
    """Say where a sweep that is gone on with can't save progress: its directory can't be changed any more.

    Refusing to go on would lose the work that checkpoints are to protect.
    """
    if job.is_new:
        return
    try:
        require_writable_checkpoints(job.experiment)
    except CheckpointError as error:
        display.note(f"{error}; trials go on without checkpoints")


def _is_stored(job: Job) -> bool:
    try:
        job.store.sweep(job.name)
    except NotFoundError:
        return False
    return True


def _require_going_on(job: Job, signals: Signals) -> None:
    """Raises InterruptedSweepError where a signal came before the sweep began."""
    if signals.stop.is_set():
        goes_on = "nothing of it is stored" if job.is_new else f"`sweeper resume {job.name}` goes on"
        raise InterruptedSweepError(f"interrupted before sweep {job.name} began; {goes_on}")


def _left_out(job: Job, *, is_by_request: bool) -> str:
    """What a sweep that was stopped, by its limit or by request, has not done."""
    known = [trial for trial in job.store.trials(job.name) if trial.state.is_finished]
    n_trials = sum(trial.key.phase is Phase.SEARCH for trial in known)
    n_finals = sum(trial.trial.origin is Origin.FINAL for trial in known)
    left = [f"{job.experiment.n_trials - n_trials} of {job.experiment.n_trials} trials"]
    if job.experiment.n_finals:
        left.append(f"{max(job.experiment.n_finals - n_finals, 0)} of {job.experiment.n_finals} finals")
    limit, spent_s = job.experiment.budget.max_seconds, job.store.spent_s(job.name)
    is_over = f"budget.max_seconds = {limit:g} are over, {spent_s:.0f} s are spent"
    why, more = ("by request", "") if is_by_request else (is_over, " --set budget.max_seconds=N")
    return f"stopped: {why}; left out: {' and '.join(left)}; `sweeper resume {job.name}{more}` goes on"


def _writer(job: Job, lease: contextlib.ExitStack, display: Display, signals: Signals) -> WriterThread:
    """The sweep's writer; `lease` closes it, and gives the sweep's lease up."""
    writer = WriterThread(job.acquire(signals.stop))
    lease.callback(_close, writer, display, signals)
    return writer


def _close(writer: WriterThread, display: Display, signals: Signals) -> None:
    """Store the last writes, and say so where that takes long."""

    def tell() -> None:
        again = "another Ctrl-C" if signals.stop.is_set() else "Ctrl-C twice"
        display.note(
            f"the store is away; waiting at most {writer.committer.lease.duration_s:g} s for it; "
            f"{again} gives up what is not written"
        )

    timer = threading.Timer(AWAY_S, tell)
    timer.start()
    try:
        writer.close()
    finally:
        timer.cancel()


def _coordinator(
    job: Job,
    workers: "Workers",
    writer: WriterThread,
    watcher: Watcher,
    known: Sequence[StoredTrial],
    tidier: Tidier,
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
        watcher=watcher,
        known=known,
        records=job.store.records(job.name),
        forget=tidier.forget,
        spent_s=job.store.spent_s(job.name) if experiment.budget.max_seconds else 0,
    )


@contextlib.contextmanager
def _workers(
    job: Job, means: Means, notes: list[str], display: Display, signals: Signals
) -> Iterator[MakeWorkers]:
    """What makes the sweep's workers, once its lease is held; Ray is up as long as this lasts."""
    if means.workers == "inline":
        yield lambda committer: _inline_workers(job, committer, signals)
        return
    from sweeper.workers import ray

    display.note(f"Ray: joining {means.address}" if means.address else "Ray: starting on this machine")
    resources = job.experiment.resources
    n_cpus = None if means.workers == "auto" else means.workers * resources.cpus_per_trial
    image_bytes, dashboard = job.loading.nbytes, means.ray_dashboard
    job.loading.begin()
    with ray.cluster(means.address, n_cpus=n_cpus, image_bytes=image_bytes, dashboard=dashboard) as way_in:
        notes += [way_in] if way_in else []
        n_trials = max(job.experiment.n_trials, job.experiment.n_finals)
        is_joined = means.address is not None
        placement = ray.place(resources, means.workers, n_trials=n_trials, is_joined=is_joined)
        yield lambda committer: _ray_workers(job, committer, placement)


def _inline_workers(job: Job, committer: Committer, signals: Signals) -> "Workers":
    from sweeper.workers.inline import InlineWorkers

    workers = InlineWorkers(
        job.experiment, job.loading.images(), token=committer.lease.token, checkpoints=checkpoints_of(job)
    )
    signals.on_stop = workers.interrupt
    return workers


def _ray_workers(job: Job, committer: Committer, placement: "Placement") -> "Workers":
    from sweeper.workers import ray

    return ray.RayWorkers(
        job.experiment,
        job.loading.images(),
        sweep=job.name,
        token=committer.lease.token,
        placement=placement,
        namespace=ray.namespace(job.name, job.store.sweep(job.name).created_at),
        checkpoints=checkpoints_of(job),
    )


def checkpoints_of(job: Job) -> CheckpointFiles | None:
    """Where the job's trials save their progress, once there is such a sweep."""
    created_at = job.store.sweep(job.name).created_at
    return checkpoint_files(job.experiment.document(), job.name, created_at)


def checkpoint_files(document: Mapping[str, Any], name: str, created_at: datetime) -> CheckpointFiles | None:
    """The checkpoints of the sweep `name`, made at `created_at`; None where its experiment saves none."""
    section = document.get("checkpoint", {})
    if not section.get("every_epochs"):
        return None
    return CheckpointFiles(checkpoints.directory_of(section["directory"], name, created_at))
