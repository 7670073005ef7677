"""Does one coordinator keep up with 1,000 workers, however many trials its sweep has already?

A store is filled with a sweep of six optimizers (tpe, twelve epochs a trial): `--known` trials that have
ended, and as many under way as there are workers, each with a checkpoint after another of its epochs. A
process of its own then takes the sweep over with all that `sweeper resume` puts together for it: agenda,
search, judges, meter, the writer's thread and the coordinator itself. Only the workers are simulated: they
train nothing, ten of them report at a time, an epoch each, and say that it took them five seconds, so that
nobody is sent further. Once as many trials have ended as there are workers, so that what was handed out at
once no longer shows, the next `--measured` trials are measured; others begin in their places.

What the simulated workers themselves cost is not the coordinator's: the processor time that its thread spends
within their methods is taken off, and the time that they sleep because nobody is under way. What is left of
the wall time has the waits of the two threads for each other, for the disk, and for a processor where the
machine does other things as well. All of it is divided by the records, and all of it again by the trials:
asks, commits and all, so a trial's share includes its twelve records. The processor time of the coordinator's
thread and of the writer's is given apart. Asks, and by how many calls the writer's queue grew, tell whether
the window holds what it should: as many asks as trials, and a queue as long as before. An ask is one call of
the agenda's; all are TPE's. Memory is the process's peak, everything imported; resuming is everything from
opening the store to the first handing out. The store is SQLite on this machine's disk, or with `--postgres` a
server on this machine that waits for its disk.

    python benchmarks/scale.py
    python benchmarks/scale.py --known 1000 --workers 100 --measured 200 --postgres
"""

import argparse
import resource
import time
from collections.abc import Callable, Sequence
from threading import Event
from typing import Any

import measured
from timed import NoSink, TimedAgenda, TimedWorkers, WritersTime
from underway import EPOCH_S, LEASE_S, NAME, fill, postgres, size_mb, sqlite

from sweeper import experiment as experiments
from sweeper.api.display import Silent
from sweeper.api.job import frozen
from sweeper.clock import SystemClock
from sweeper.coordinator import Coordinator
from sweeper.judging import Judges
from sweeper.metrics import Meter
from sweeper.records import EpochRecord, FinalScore, Trial, TrialState
from sweeper.search import Search
from sweeper.store import Store, WriterThread
from sweeper.watcher import Watchers
from sweeper.workers.simulated import SimulatedWorkers

AT_ONCE = 10

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
        if what == "fill":
            fill(url, *map(int, numbers))
            measured.tell({})
        else:
            measured.tell(run(url, *map(int, numbers)))
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
        measured.side("scale.py", "--side", "fill", url, known, n_workers)
        found = measured.side("scale.py", "--side", "run", url, n_workers, n_measured)
        return {"known": known, "workers": n_workers, **found}


def _costs(row: Figures) -> Figures:
    return {
        "known": row["known"],
        "workers": row["workers"],
        "trials": row["trials"],
        "records": row["records"],
        "asks": row["asks"],
        "unwritten": row["unwritten"],
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
    return {"known": row["known"], **{name: ours[name] / theirs[name] for name in list(ours)[6:]}}


class Window(Silent):
    """Opens once `n_workers` trials have ended, and sets `stop` once `n_trials` more have.

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

    def finished(
        self, trial: Trial, state: TrialState, last: EpochRecord | None, test: FinalScore | None
    ) -> None:
        """Count trials."""
        self._n["trials"] += 1
        if not self._opened and self._n["trials"] >= self._n_workers:
            self._opened = self._now()
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


if __name__ == "__main__":
    main()
