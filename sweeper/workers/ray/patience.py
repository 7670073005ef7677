"""Tells a worker that is silent from a driver that was not there to listen."""

import time
from collections.abc import Callable

SLEPT_S = 2.0
"""A look that comes later than expected by more than this: this process slept, or was kept busy."""


class Wakefulness:
    """Measures for how long this process did not look: stopped, suspended with its machine, or blocked.

    What workers had to say meanwhile may not have arrived when it wakes, so their deadlines move by as much.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.looked_at = clock()
        """When it last looked, in seconds of the clock."""

    def look(self, expected_s: float = 0.0) -> float:
        """The seconds slept since the last look, if that is longer ago than `expected_s` and some more."""
        now = self._clock()
        gap, self.looked_at = now - self.looked_at - expected_s, now
        return gap if gap > SLEPT_S else 0.0


class Vacancy:
    """Notices, once each time, that there was no worker at all for `limit_s`."""

    def __init__(self, limit_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit_s = limit_s
        self._clock = clock
        self._since: float | None = None
        self._has_told = False

    def lasts(self, *, is_vacant: bool) -> bool:
        """Whether it has now lasted for the limit; True once, until a worker was there again."""
        if not is_vacant:
            self._since, self._has_told = None, False
            return False
        if self._since is None:
            self._since = self._clock()
        if self._has_told or self._clock() - self._since < self._limit_s:
            return False
        self._has_told = True
        return True
