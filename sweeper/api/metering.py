"""Who is told how a sweep goes: its display, and where Ray's metrics can carry them, its numbers as well."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, cast

from sweeper.api.display import Display
from sweeper.experiment import Experiment
from sweeper.metrics import Meter
from sweeper.records import StoredTrial
from sweeper.store import WriterThread
from sweeper.watcher import Watcher, Watchers

if TYPE_CHECKING:
    from sweeper.workers import Workers
    from sweeper.workers.ray import RayWorkers


@contextlib.contextmanager
def metered(
    display: Display,
    sweep: str,
    experiment: Experiment,
    known: Sequence[StoredTrial],
    workers: "Workers",
    writer: WriterThread,
) -> Iterator[Watcher]:
    """`display`, and a meter beside it, for a sweep that `workers` on Ray train and `writer` stores."""
    from sweeper.workers.ray import RaySink

    pool = cast("RayWorkers", workers)
    sink = RaySink()
    meter = Meter(
        sweep,
        experiment,
        known,
        sink,
        n_workers=lambda: pool.n_ready,
        n_unwritten=lambda: writer.n_unwritten,
    )
    writer.on_commit = meter.committed
    try:
        yield Watchers(display, meter)
    finally:
        writer.on_commit = lambda seconds: None
        sink.close()
