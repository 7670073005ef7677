"""The central store: an SQL database with a row for every sweep, trial, attempt and epoch.

`Store` reads, and creates or takes sweeps; a coordinator writes through a `Writer`, under the sweep's lease.
"""

from sweeper.store.bulk import UNKNOWN_S
from sweeper.store.commit import Committer
from sweeper.store.migrate import upgrade
from sweeper.store.reader import grant_reading
from sweeper.store.store import Store
from sweeper.store.url import DEFAULT_URL
from sweeper.store.writer import InlineWriter, Writer, WriterThread
from sweeper.store.writes import (
    AttemptEnded,
    AttemptStarted,
    CheckpointSaved,
    EpochsRecorded,
    ExperimentExtended,
    FinalsChosen,
    SweepEnded,
    TrialFinished,
    TrialPlanned,
    Write,
)

__all__ = [
    "DEFAULT_URL",
    "UNKNOWN_S",
    "AttemptEnded",
    "AttemptStarted",
    "CheckpointSaved",
    "Committer",
    "EpochsRecorded",
    "ExperimentExtended",
    "FinalsChosen",
    "InlineWriter",
    "Store",
    "SweepEnded",
    "TrialFinished",
    "TrialPlanned",
    "Write",
    "Writer",
    "WriterThread",
    "grant_reading",
    "upgrade",
]
