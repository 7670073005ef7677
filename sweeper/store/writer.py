"""The one writer of a sweep, in a thread of its own or inline.

The coordinator puts writes into a bounded queue and acts on acknowledgements. Whatever gathers while one
commit runs is the next transaction, so a slow database makes transactions larger, not the sweep slower.
"""

import itertools
import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol

from sweeper.errors import StoreAwayError, SweeperError
from sweeper.store.commit import Committer
from sweeper.store.writes import Write

logger = logging.getLogger("sweeper.store")

QUEUE_LIMIT = 10_000
"""Calls of `put` that may wait; then the coordinator pauses."""

BATCH_LIMIT = 1_000
"""Calls of `put` in one transaction: it has to end well within the lease."""

LEAST_REST_S, MOST_REST_S = 0.008, 0.05
"""The writer rests after a transaction, as long as that took: what gathers meanwhile costs less together."""

FIRST_RETRY_S = 0.1
LAST_RETRY_S = 5.0
"""How long to wait before a commit is tried again on a database that is away: doubling from first to last."""

SILENCE_S = 5.0
"""How long beyond three leases a commit may take that is in the way of closing."""


class Writer(Protocol):
    """Takes a sweep's writes, and tells which are committed."""

    @property
    def has_room(self) -> bool:
        """Whether `put` would not have to wait: while it would, no more should be collected."""
        ...

    @property
    def is_asked_to_stop(self) -> bool:
        """Whether the store holds a request to stop, as of the latest commit."""
        ...

    def put(self, *writes: Write) -> None:
        """Ask for `writes`, in one transaction, waiting while the queue is full.

        Raises the SweeperError that ended the writer, if one did: nothing is written from then on.
        """
        ...

    def gathering(self) -> AbstractContextManager[None]:
        """In its context, what is put is not committed yet, unless the queue is full: fewer commits so."""
        ...

    def acknowledged(self, timeout_s: float = 0) -> list[Write]:
        """The writes committed since the last call, in order; waits up to `timeout_s` for the first.

        Raises as `put` does, once every commit before the error has been told.
        """
        ...

    def close(self) -> None:
        """Commit everything asked for, give up the lease, and take nothing more. Raises as `put` does."""
        ...


class InlineWriter:
    """Commits what it is given at once, in the caller's thread: for tests, which then need not wait."""

    def __init__(self, committer: Committer) -> None:
        self._committer = committer
        self._done: list[Write] = []

    @property
    def has_room(self) -> bool:
        """Always: nothing waits here."""
        return True

    @property
    def is_asked_to_stop(self) -> bool:
        """Whether the store holds a request to stop."""
        return self._committer.is_asked_to_stop

    def put(self, *writes: Write) -> None:
        """Commit `writes`."""
        self._committer.commit(writes)
        self._done += writes

    def gathering(self) -> AbstractContextManager[None]:
        """Nothing waits here, so nothing gathers."""
        return nullcontext()

    def acknowledged(self, timeout_s: float = 0) -> list[Write]:
        """Every write since the last call."""
        done, self._done = self._done, []
        return done

    def close(self) -> None:
        """Give up the lease."""
        self._committer.release()


class WriterThread:
    """Commits in a thread of its own, which also prolongs the lease while there is nothing to write."""

    def __init__(self, committer: Committer, queue_limit: int = QUEUE_LIMIT) -> None:
        self.committer = committer
        self._queue_limit = queue_limit
        self._waiting: deque[tuple[Write, ...]] = deque()
        self._done: list[Write] = []
        self._error: SweeperError | None = None
        self._closing = self._is_gathering = False
        self._n_released = 0
        self._changed = threading.Condition()
        self.on_commit: Callable[[float], None] = lambda seconds: None
        """Told, in the writer's thread, how long each commit took."""
        self._thread = threading.Thread(target=self._run, name="sweeper-writer", daemon=True)
        self._thread.start()

    @property
    def has_room(self) -> bool:
        """Whether less than half of the queue is taken: the rest is for what is under way already.

        An error is told by `put`, not by waiting.
        """
        return self._error is not None or len(self._waiting) < self._queue_limit / 2

    @property
    def n_unwritten(self) -> int:
        """How many calls of `put` wait to be committed."""
        return len(self._waiting)

    @property
    def is_asked_to_stop(self) -> bool:
        """Whether the store holds a request to stop; the lease's renewal tells where nothing is written."""
        return self.committer.is_asked_to_stop

    def put(self, *writes: Write) -> None:
        """Queue `writes`, waiting while the queue is full."""
        with self._changed:
            if len(self._waiting) >= self._queue_limit:
                self._release()
            self._changed.wait_for(lambda: self._error or len(self._waiting) < self._queue_limit)
            if self._error:
                raise self._error
            self._waiting.append(writes)
            if not self._is_gathering:
                self._release()

    @contextmanager
    def gathering(self) -> Iterator[None]:
        """In its context, what is put waits for the end of it, or for a full queue."""
        self._is_gathering = True
        try:
            yield
        finally:
            with self._changed:
                self._is_gathering = False
                self._release()

    def _release(self) -> None:
        """Let everything that was put so far be committed, also while the next writes gather."""
        self._n_released = len(self._waiting)
        self._changed.notify_all()

    def acknowledged(self, timeout_s: float = 0) -> list[Write]:
        """The writes committed since the last call; waits up to `timeout_s` for the first."""
        with self._changed:
            self._changed.wait_for(lambda: self._done or self._error, timeout_s)
            if self._error and not self._done:
                raise self._error
            done, self._done = self._done, []
            return done

    def close(self) -> None:
        """Commit what is queued, give up the lease and end the thread.

        Raises StoreAwayError where the database is silent, not even refusing.
        """
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        while self._thread.is_alive():
            n_left = len(self._waiting)
            self._thread.join(3 * self.committer.lease.duration_s + SILENCE_S)
            if self._thread.is_alive() and len(self._waiting) == n_left:
                raise StoreAwayError(f"the store does not answer; {n_left} reports were not written")
        if self._error:
            raise self._error

    def _run(self) -> None:
        try:
            while self._commit_next():
                pass
            self.committer.release()
        except SweeperError as error:
            self._fail(error)
        except BaseException as error:  # a bug: the coordinator must hear of it, not wait for ever
            failure = SweeperError(f"the writer thread failed: {type(error).__name__}: {error}")
            failure.__cause__ = error
            self._fail(failure)

    def _fail(self, error: SweeperError) -> None:
        with self._changed:
            self._error = error
            self._changed.notify_all()

    def _commit(self, batch: list[Write]) -> float:
        """Commit, again and again while the database is away; tells what it took in the end, in seconds.

        Once closing, for one lease at most. Nothing is lost meanwhile: what workers report waits in the
        queue, in order. The lease may run out, but stays ours as long as nobody takes it.
        """
        outage = _Outage(self.committer.lease.duration_s)
        while True:
            began = time.monotonic()
            try:
                self.committer.commit(batch)
            except StoreAwayError as error:
                outage.goes_on(error, is_closing=self._closing)
            else:
                took_s = time.monotonic() - began
                self.on_commit(took_s)
                outage.is_over()
                return took_s
            self._wait(outage.pause_s())

    def _wait(self, seconds: float) -> None:
        """Wait; the moment of closing ends it, what else is put into the queue does not."""
        with self._changed:
            was_closing = self._closing
            self._changed.wait_for(lambda: self._closing and not was_closing, seconds)

    def _commit_next(self) -> bool:
        """Commit what has gathered; False once closed and empty."""
        renew_at = time.monotonic() + self.committer.lease.duration_s / 3
        with self._changed:
            while not self._n_released and not self._closing:
                if not self._changed.wait(renew_at - time.monotonic()):
                    break
            n_next = len(self._waiting) if self._closing else self._n_released
            batch = list(itertools.islice(self._waiting, min(n_next, BATCH_LIMIT)))
            if not batch and self._closing:
                return False
        writes = list(itertools.chain.from_iterable(batch))
        took_s = self._commit(writes)
        with self._changed:
            for _ in batch:
                self._waiting.popleft()
            self._n_released = max(self._n_released - len(batch), 0)
            self._done += writes
            self._changed.notify_all()
        time.sleep(min(max(took_s, LEAST_REST_S), MOST_REST_S))
        return True


class _Outage:
    """How long a database has been away, and when it is tried again."""

    def __init__(self, lease_s: float) -> None:
        self._lease_s = lease_s
        self._since: float | None = None
        self._closing_since: float | None = None
        self._delay_s = FIRST_RETRY_S

    def goes_on(self, error: StoreAwayError, *, is_closing: bool) -> None:
        """It is away still. Raises `error` where the writer has been closing for one lease."""
        now = time.monotonic()
        if self._since is None:
            self._since = now
            logger.warning("%s; trying again, nothing is lost meanwhile", error)
        if is_closing and self._closing_since is None:
            self._closing_since, self._delay_s = now, FIRST_RETRY_S
        if self._closing_since is not None and now - self._closing_since > self._lease_s:
            raise error

    def pause_s(self) -> float:
        """How long to wait before the next try: doubling, and not in step with other sweeps' writers."""
        delay_s, self._delay_s = self._delay_s, min(2 * self._delay_s, LAST_RETRY_S)
        if self._closing_since is not None:
            delay_s = min(delay_s, self._lease_s)
        return delay_s * random.uniform(0.75, 1.0)

    def is_over(self) -> None:
        """It answers; says so, where it did not."""
        if self._since is not None:
            away_s = time.monotonic() - self._since
            logger.warning("the store is back after %.0f s; nothing was lost", away_s)
