"""How much of the machine a page may use: looking at a sweep must not slow it."""

import os
import time
from collections.abc import Callable

SHARE = 0.015
"""Of the processor time of all cores, in the long run."""

SAVED_S = 60.0
"""So many seconds' worth of the share can be saved up: opening a page costs more than following it."""

OWED_S = 120.0
"""So many seconds' worth can be owed: longer than this nobody waits for news."""


class Budget:
    """A share of the machine's processor time, which what this process uses is taken from.

    `clock` and `used` give seconds: of time passed, and of processor time that this process has used.
    """

    def __init__(
        self,
        share: float = SHARE,
        *,
        cores: int | None = None,
        clock: Callable[[], float] = time.monotonic,
        used: Callable[[], float] = time.process_time,
    ) -> None:
        self._rate = share * (cores or os.cpu_count() or 1)
        self._clock = clock
        self._used = used
        self._seen = (clock(), used())
        self._left_s = SAVED_S * self._rate

    def allows(self) -> bool:
        """Whether there is something left to be used."""
        now, used = self._clock(), self._used()
        since, before = self._seen
        self._seen = (now, used)
        earned = (now - since) * self._rate
        left = self._left_s + earned - (used - before)
        self._left_s = min(max(left, -OWED_S * self._rate), SAVED_S * self._rate)
        return self._left_s > 0
