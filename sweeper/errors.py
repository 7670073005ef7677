"""Every exception that Sweeper raises on purpose, as one tree.

    SweeperError                 1
    ├── UsageError               2   wrong option or argument
    │   ├── ExperimentError      2   the experiment file: all its mistakes at once
    │   ├── TableError           2   results from elsewhere: all their mistakes at once
    │   ├── DataError            2   the data set is missing or damaged
    │   └── SweepExistsError     2   `run` of a name that exists
    ├── NotFoundError            3   no such sweep or trial
    ├── StoreError               4   the store can't be reached, read or written
    │   ├── StoreAwayError       4   ... just now: the same again later may succeed
    │   ├── LeaseHeldError       4   another coordinator holds the sweep
    │   └── FencedError          4   another coordinator took the sweep over from this one
    ├── ClusterError             4   Ray can't be reached, or its workers can't start
    ├── CheckpointError          4   a checkpoint can't be written or read
    └── InterruptedSweepError  130   Ctrl-C or SIGTERM; the sweep can be resumed

The number is the command line's exit status. A message is one line that says what is wrong, where, with which
value, and what would be legal; only `ExperimentError` and `TableError` have several. Whatever it quotes, it
is printable, and cut where it is long.
"""

from collections.abc import Sequence
from typing import ClassVar

from sweeper.printable import one_line


class SweeperError(Exception):
    """Anything that Sweeper reports to its user without a traceback."""

    exit_status: ClassVar[int] = 1

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class UsageError(SweeperError):
    """A wrong option, argument or combination of them."""

    exit_status = 2


class ExperimentError(UsageError):
    """An experiment file that can't be run, with every mistake found in it.

    `problems` holds a line for each mistake: key, value and what is legal.
    """

    def __init__(self, source: str, problems: Sequence[str]) -> None:
        self.source = source
        self.problems = tuple(one_line(problem) for problem in problems)
        Exception.__init__(self, "\n".join(f"{one_line(source)}: {problem}" for problem in self.problems))


class TableError(UsageError):
    """Results from elsewhere that can't be imported, with the mistakes found in them, a line for each."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(one_line(problem) for problem in problems)
        Exception.__init__(self, "\n".join(self.problems))


class DataError(UsageError):
    """A data set that is missing, incomplete or damaged; the message names the file."""


class SweepExistsError(UsageError):
    """`run` was asked for a sweep name that the store already holds."""


class NotFoundError(SweeperError):
    """The store holds no such sweep or trial."""

    exit_status = 3


class StoreError(SweeperError):
    """The store can't be reached, read or written."""

    exit_status = 4


class StoreAwayError(StoreError):
    """The database can't be reached or is locked just now; the same again later may succeed."""


class LeaseHeldError(StoreError):
    """Another live coordinator holds the sweep's lease."""


class FencedError(StoreError):
    """This coordinator lost its lease to another one and must write nothing more."""


class ClusterError(SweeperError):
    """Ray can't be reached, or its workers can't be started."""

    exit_status = 4


class CheckpointError(SweeperError):
    """A checkpoint can't be written or read."""

    exit_status = 4


class InterruptedSweepError(SweeperError):
    """The sweep was interrupted by a signal; everything recorded so far is in the store."""

    exit_status = 130
