"""How much of the machine a page may use: looking at a sweep must not slow it."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

NEWS_SHARE = 0.011
STATISTICS_SHARE = 0.006
"""Of the processor time of all cores, in the long run."""

SAVED_S = 60.0
"""So many seconds' worth of the share can be saved up: opening a page costs more than following it."""

NEWS_OWED_S = 25.0
STATISTICS_OWED_S = 120.0
"""So many seconds' worth can be owed, by the pages that were just opened: longer nobody waits."""


class Budget:
    """A share of the machine's processor time, which what is `used` of it is taken from.

    What is saved up and what is owed are bounded.

    `clock` and `used` give seconds: of time passed, and of processor time used.
    """

    def __init__(
        self,
        share: float,
        used: Callable[[], float],
        *,
        owed_s: float = STATISTICS_OWED_S,
        cores: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rate = share * (cores or os.cpu_count() or 1)
        self._owed_s = owed_s * self._rate
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
        self._left_s = min(max(left, -self._owed_s), SAVED_S * self._rate)
        return self._left_s > 0


class Spending:
    """What this process spends on following sweeps, in two accounts.

    `statistics` are dear, and may be old for a minute; `news` (everything else: asking the store, progress,
    the trials) is cheap, and wanted within seconds. Neither waits because of the other.
    """

    def __init__(self, news: float = NEWS_SHARE, statistics: float = STATISTICS_SHARE) -> None:
        self._lock = threading.Lock()
        self._n_computing = 0
        self._computed_s = 0.0
        self._else_s = 0.0
        self.statistics = Budget(statistics, lambda: self._computed_s)
        self.news = Budget(news, self._spent_else, owed_s=NEWS_OWED_S)

    @contextmanager
    def computing(self) -> Iterator[None]:
        """What this thread does here is statistics."""
        self._spent_else()
        with self._lock:
            self._n_computing += 1
        begun = time.thread_time()
        try:
            yield
        finally:
            with self._lock:
                self._computed_s += time.thread_time() - begun
                self._n_computing -= 1

    def _spent_else(self) -> float:
        """Seconds spent on anything but statistics; while some are computed, those before them.

        How much of the process' time is theirs is known when they are done: till then news would owe it.
        """
        with self._lock:
            if not self._n_computing:
                self._else_s = time.process_time() - self._computed_s
            return self._else_s
