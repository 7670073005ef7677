"""How far a worker is sent and when it hangs, what is planned in advance, and when a sweep's time is over."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from sweeper.records import EpochRecord

if TYPE_CHECKING:
    from sweeper.clock import Clock

STRETCH_S = 1.0
"""About how long a worker trains before it reports: the store is never older than that."""

LEAST_LIMIT_S = 10.0
"""No worker hangs sooner: a process that is just started, or a busy machine, may take that long."""

HASTY_S = 0.2
"""A trial this short may be over before the next one is proposed and stored, on a busy machine."""

AHEAD_S = 15.0
"""So long a large crew goes on with what is stored already: a database may restart meanwhile."""

COMMIT_S = 0.04
"""About how long it takes at most until a new trial is stored."""

BRIEF_S = 0.008
"""About the least that a trial takes a worker, whatever there is to train: it is sent, and reported back."""

SMALL_CREW = 16
"""So many workers or fewer have a stored trial each, whatever their trials take."""

UNKNOWN_S = 60.0
"""What the first stretch of an optimizer of which nothing is known yet is reckoned to take."""


class Pace:
    """What an epoch takes, learnt per optimizer from what its trials report.

    `epochs` is a whole trial, `first_rung` the epoch after which one may be given up, where any is; a worker
    that takes `hang_factor` times what it should hangs. `batch_size` is the trial's, 0 where it has none: an
    epoch of small batches takes longer than one of large ones.
    """

    def __init__(self, epochs: int, hang_factor: float, first_rung: int | None = None) -> None:
        self._epochs = epochs
        self._least_epochs = min(first_rung or epochs, epochs)
        self._hang_factor = hang_factor
        self._seconds: dict[str, dict[int, float]] = {}
        self._steps: dict[str, int] = {}
        self._latest_s = self._shortest_s = math.inf

    def learn(self, optimizer: str, records: Sequence[EpochRecord], batch_size: int = 0) -> None:
        """A trial of `optimizer` has recorded `records` so far, at least one."""
        self._latest_s = self._seconds.setdefault(optimizer, {})[batch_size] = _epoch_s(records)
        self._shortest_s = min(self._latest_s, self._shortest_s)
        self._steps[optimizer] = max(_longest(records), self._steps.get(optimizer, 1))

    def n_ahead(self, n_workers: int) -> int:
        """How many trials to have stored in advance, so that workers need not wait for proposals and commits.

        One each, and where trials, as of the latest report, are short, as many more as may end until a new
        one is stored. Of a large crew only as many as may end within `AHEAD_S`: what is proposed later has
        seen more results. Where more end at once, their workers wait while trials are proposed.
        """
        trial_s = self._latest_s * self._epochs
        if trial_s <= HASTY_S:
            in_hand = 1 + math.ceil(COMMIT_S / max(trial_s, BRIEF_S)) if n_workers <= SMALL_CREW else 2
            return in_hand * n_workers
        least_s = max(self._shortest_s * self._least_epochs, HASTY_S)
        return min(n_workers, max(SMALL_CREW, math.ceil(n_workers * AHEAD_S / least_s)))

    def stretch(self, optimizer: str, records: Sequence[EpochRecord], batch_size: int = 0) -> int:
        """How many epochs to ask for, at least one, of a trial that has recorded `records` so far.

        They may reach beyond the trial's end, which the worker knows: a rule may have a budget of its own.
        """
        epoch_s = self._expected_s(optimizer, records, batch_size)
        epoch_s = STRETCH_S if epoch_s is None else epoch_s
        return max(1, int(STRETCH_S / epoch_s)) if epoch_s > 0 else self._epochs

    def limit_s(
        self, optimizer: str, records: Sequence[EpochRecord], n_epochs: int, batch_size: int = 0
    ) -> float:
        """After how many seconds a worker hangs that was asked for `n_epochs` more.

        By the trial's own pace, or, while it has none, what its optimizer's earlier trials took. A step that
        spans epochs is taken whole.
        """
        epoch_s = self._expected_s(optimizer, records, batch_size)
        if epoch_s is None:
            return self._hang_factor * UNKNOWN_S
        expected_s = epoch_s * max(n_epochs, self._steps.get(optimizer, 1))
        return max(self._hang_factor * max(expected_s, STRETCH_S), LEAST_LIMIT_S)

    def _expected_s(self, optimizer: str, records: Sequence[EpochRecord], batch_size: int) -> float | None:
        """What an epoch should take; None where nothing is known yet."""
        if records:
            return _epoch_s(records)
        known = self._seconds.get(optimizer, {})
        if batch_size in known:
            return known[batch_size]
        # A smaller batch takes no longer than a larger one: an epoch is longer by its steps at most.
        longest = [seconds * max(1.0, size / max(batch_size, 1)) for size, seconds in known.items()]
        return max(longest, default=None)


class TimeLimit:
    """`budget.max_seconds`, of which `spent_s` are used; they run from when the first trial is handed out."""

    def __init__(self, max_seconds: float | None, spent_s: float, clock: "Clock") -> None:
        self._left_s = (max_seconds or math.inf) - spent_s
        self._clock = clock
        self._began: float | None = None

    def begin(self) -> None:
        """A trial is handed out."""
        if self._began is None:
            self._began = self._clock.monotonic()

    @property
    def is_over(self) -> bool:
        """Whether nothing is to be handed out any more."""
        passed = 0.0 if self._began is None else self._clock.monotonic() - self._began
        return self._left_s <= passed


def _epoch_s(records: Sequence[EpochRecord]) -> float:
    return sum(record.train_s + record.eval_s for record in records) / records[-1].epoch


def _longest(records: Sequence[EpochRecord]) -> int:
    """The most epochs that one record spans."""
    ends = [0, *(record.epoch for record in records)]
    return max(after - before for before, after in pairwise(ends))
