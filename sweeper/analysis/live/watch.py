"""Looks at the store for all pages together: often and cheaply, and anew only where something has changed."""

import itertools
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import pandas as pd
import scipy.stats  # noqa: F401 - takes a second, which the first page need not wait for

from sweeper import experiment as experiments
from sweeper.analysis import frames
from sweeper.analysis.live.budget import Spending
from sweeper.analysis.live.followed import FollowedTrials
from sweeper.analysis.live.overview import Overview, overview
from sweeper.analysis.report.numbers import Numbers
from sweeper.analysis.report.results import Results
from sweeper.errors import NotFoundError, StoreAwayError
from sweeper.records import TrialKey, TrialState
from sweeper.store import Store, counts, url
from sweeper.store.counts import Stamp

RENEWED_S = 30.0
"""Statistics are done anew after a trial has ended, and else after so many seconds."""

KEPT = 8
"""So many sweeps are kept in memory."""

PATIENCE_S = 5.0
"""A page waits so long for another one's look at a store that doesn't answer."""

MOMENTS = itertools.count()


class Followed:
    """A sweep as it stood at one moment. What is computed of it is computed once, for all pages.

    `moment` tells it from every other one of this process. `numbers` may be of a slightly earlier moment than
    `trials`; `lock` is for whoever computes with them.
    """

    def __init__(
        self,
        store: Store,
        stamp: Stamp,
        overview: Overview,
        trials: pd.DataFrame,
        spending: Spending,
        before: "Followed | None" = None,
        *,
        read_epochs: Callable[[], pd.DataFrame] | None = None,
    ) -> None:
        self.stamp = stamp
        self.moment = next(MOMENTS)
        self.overview = overview
        self.trials = trials
        self.as_of = datetime.now(UTC)
        self.lock: threading.RLock = before.lock if before else threading.RLock()
        self._store = store
        self._spending = spending
        self._n_ended = int(trials["state"].isin([state for state in TrialState if state.is_finished]).sum())
        if before is not None and self._may_take_from(before):
            self.numbers: Numbers = before.numbers
            self.numbers_as_of: datetime = before.numbers_as_of
            self._computed: tuple[int, float] = before._computed
        else:
            results = Results.of(store, overview.info, overview.experiment, trials)
            if read_epochs is not None:
                results = replace(results, read_epochs=read_epochs)
            self.numbers = Numbers(results, before.numbers if before else None)
            self.numbers_as_of = self.as_of
            self._computed = (self.moment, time.monotonic())

    @property
    def news(self) -> str:
        """What names this moment: the same as long as the store has told nothing new."""
        return str(self.stamp)

    @property
    def edition(self) -> str:
        """What names the numbers: the same as long as nothing that is computed has been computed anew."""
        return str(self._computed[0])

    def _may_take_from(self, before: "Followed") -> bool:
        """Whether what was computed of an earlier moment is good enough, or must be."""
        is_same_run = self.stamp.is_of_the_same_run(before.stamp)
        if not is_same_run or self.stamp.state is not before.stamp.state:
            return False
        is_same = (self._n_ended, len(self.trials)) == (before._n_ended, len(before.trials))
        is_fresh = is_same and time.monotonic() - before._computed[1] < RENEWED_S
        return is_fresh or not self._spending.statistics.allows()

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Only one page computes at a time, and what it computes is kept for the others."""
        with self.lock, self._spending.computing():
            yield

    def charged(self) -> AbstractContextManager[None]:
        """What is so cheap that no page need wait for another, and still is statistics."""
        return self._spending.computing()

    def epochs(self, key: TrialKey) -> pd.DataFrame:
        """The epochs of one trial, read now."""
        return frames.epochs(self._store, self.overview.info.name, key)

    def attempts(self, key: TrialKey) -> pd.DataFrame:
        """The attempts at one trial, read now."""
        return frames.attempts(self._store, self.overview.info.name, key)


class Watch:
    """The sweeps of one store, for any number of pages and threads. It never writes.

    `spending` bounds what following costs; what a page asks for the first time is always computed.
    """

    def __init__(self, location: str, spending: Spending | None = None) -> None:
        self._location = url.parse(location)
        self._text = location
        self._spending = spending or Spending()
        self._lock = threading.RLock()
        self._store: Store | None = None
        self._file: tuple[int, int] | None = None
        self._followed: OrderedDict[str, Followed] = OrderedDict()
        self._trials: dict[str, FollowedTrials] = {}
        self._overviews: dict[str, tuple[Stamp, Overview]] = {}
        self.url = url.shown(self._location.url)

    def close(self) -> None:
        """Close the store's connections."""
        with self._lock:
            self._forget()

    def sweeps(self) -> list[Overview]:
        """How far every sweep is, newest first. Raises StoreError where the store can't be read."""
        with self._looking() as store:
            stamps = counts.stamps(store)
            found = {}
            for name, stamp in stamps.items():
                with suppress(NotFoundError):  # deleted since the stamps were read
                    found[name] = self._overview(store, name, stamp)
            self._overviews = {name: self._overviews[name] for name in found}
            return list(found.values())

    def news(self, name: str | None = None) -> str:
        """What pages would show of the sweep `name`, or of all: the same text as long as they need not look.

        New only as far as the budget allows. Raises NotFoundError, and StoreError as `sweeps` does.
        """
        with self._looking() as store:
            stamps = counts.stamps(store, name)
            if name is None:
                return " ".join(str(stamp) for stamp in stamps.values())
            known = self._followed.get(name)
            if name not in stamps:
                raise NotFoundError(f"no sweep is called {name!r} in {self.url}")
            if known is not None:
                self._followed.move_to_end(name)
                if known.stamp == stamps[name] or not self._spending.news.allows():
                    return known.news
            return self._follow(store, name, stamps[name]).news

    def sweep(self, name: str) -> Followed:
        """The sweep `name` as pages know it, at once if they do. Raises as `news` does."""
        if (known := self._followed.get(name)) is not None:
            return known
        with self._looking():
            self.news(name)
            return self._followed[name]

    def _follow(self, store: Store, name: str, stamp: Stamp) -> Followed:
        known = self._trials.setdefault(name, FollowedTrials(store, name))
        trials = known.read(stamp)
        found = Followed(
            store,
            stamp,
            self._overview(store, name, stamp),
            trials,
            self._spending,
            self._followed.get(name),
            read_epochs=partial(known.epochs.read, stamp, known.since),
        )
        self._followed[name] = found
        while len(self._followed) > KEPT:
            oldest, _ = self._followed.popitem(last=False)
            del self._trials[oldest]
        return found

    def _overview(self, store: Store, name: str, stamp: Stamp) -> Overview:
        known = self._overviews.get(name)
        if known is not None and known[0] == stamp:
            return known[1]
        # What is read after the stamp may be newer. Of a sweep that is over pages ask no more: it must have
        # been over before its trials were read.
        info = replace(store.sweep(name), state=stamp.state)
        experiment = experiments.of_sweep(info)
        found = overview(
            info,
            experiment,
            counts.counts(store, stamp.sweep_id, experiment.objective),
            counts.n_open_attempts(store, stamp.sweep_id) if info.holder else 0,
        )
        self._overviews[name] = (stamp, found)
        return found

    @contextmanager
    def _looking(self) -> Iterator[Store]:
        """The store, open. One page looks at a time: of a store that doesn't answer one learns enough."""
        if not self._lock.acquire(timeout=PATIENCE_S):
            raise StoreAwayError(f"store {self.url}: it has not answered yet")
        try:
            yield self._opened()
        finally:
            self._lock.release()

    def _opened(self) -> Store:
        """The store, opened anew where its file is another one: SQLite would go on reading a deleted file."""
        file = self._location.identity
        if self._store is not None and file is None and self._file is not None:
            raise StoreAwayError(f"store {self.url}: its file is not there")
        if self._store is None or self._store.is_missing or file != self._file:
            self._forget()
            self._store, self._file = Store.open(self._text, read_only=True), file
        return self._store

    def _forget(self) -> None:
        if self._store is not None:
            self._store.close()
        self._store = None
        self._followed.clear()
        self._trials.clear()
        self._overviews.clear()
