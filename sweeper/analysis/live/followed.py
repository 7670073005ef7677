"""The trials of a sweep that may be running, of which only those are read again that may have changed."""

import pandas as pd

from sweeper.analysis import frames
from sweeper.records import Origin, TrialState
from sweeper.store import Store
from sweeper.store.counts import Stamp

MOST_UNSETTLED = 5_000
"""With more trials than this that may yet change, reading all is no dearer than naming them."""


class FollowedTrials:
    """The frame `trials` of one sweep, by the trials' ids, as it was read last."""

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self._name = name
        self._stamp: Stamp | None = None
        self._frame = pd.DataFrame()

    def read(self, stamp: Stamp) -> pd.DataFrame:
        """The frame as it is now, for a store that was at `stamp` or earlier; its index is a range.

        A trial that has ended changes no more while one coordinator writes, but for finals whose setting is
        no longer chosen, or chosen again: these are read with the rest.
        """
        is_known = self._stamp is not None and len(self._frame) and stamp.is_of_the_same_run(self._stamp)
        since = self._since() if is_known else None
        if since is None or len(since.unsettled) > MOST_UNSETTLED:
            self._frame = frames.trials_by_id(self._store, self._name)
        else:
            self._frame = merged(self._frame, frames.trials_by_id(self._store, self._name, since))
        self._stamp = stamp
        return self._frame.reset_index(drop=True).copy()  # in one piece: choosing rows is faster

    def _since(self) -> frames.Since:
        has_ended = self._frame["state"].isin([state for state in TrialState if state.is_finished])
        is_settled = has_ended & (self._frame["origin"] != Origin.SUPERSEDED)
        return frames.Since(int(self._frame.index[-1]), self._frame.index[~is_settled].tolist())


def merged(known: pd.DataFrame, changed: pd.DataFrame) -> pd.DataFrame:
    """The trials known, with those that have changed or are new: what reading all of them would give."""
    if changed.empty:
        return known
    told = changed.dropna(axis="columns", how="all")
    fixed = [column for column in known.columns if not column.startswith("params.")]
    parameters = [column for column in told.columns if column.startswith("params.")]
    rest = known.drop(known.index.intersection(changed.index))
    found = pd.concat([rest, changed[[*fixed, *parameters]]]).sort_index() if len(rest) else changed
    return found.infer_objects()
