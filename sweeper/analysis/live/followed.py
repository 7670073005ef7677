"""A sweep that may be running, of whose trials and epochs only what may have changed is read again."""

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
        self.epochs = FollowedEpochs(store, name)

    def read(self, stamp: Stamp) -> pd.DataFrame:
        """The frame as it is now, for a store that was at `stamp` or earlier; its index is a range.

        A trial that has ended changes no more while one coordinator writes, but for finals whose setting is
        no longer chosen, or chosen again: these are read with the rest.
        """
        is_known = self._stamp is not None and len(self._frame) and stamp.is_of_the_same_run(self._stamp)
        since = self.since if is_known else None
        if since is None or len(since.unsettled) > MOST_UNSETTLED:
            self._frame = frames.trials_by_id(self._store, self._name)
        else:
            self._frame = merged(self._frame, frames.trials_by_id(self._store, self._name, since))
        self._stamp = stamp
        return self._frame.reset_index(drop=True).copy()  # in one piece: choosing rows is faster

    @property
    def since(self) -> frames.Since:
        """What the frame that was read last is known of."""
        has_ended = self._frame["state"].isin([state for state in TrialState if state.is_finished])
        is_settled = has_ended & (self._frame["origin"] != Origin.SUPERSEDED)
        last = int(self._frame.index[-1]) if len(self._frame) else 0
        return frames.Since(last, self._frame.index[~is_settled].tolist())


class FollowedEpochs:
    """The frame `epochs` of one sweep, by the trials' ids, as it was read last."""

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self._name = name
        self._known: tuple[Stamp, frames.Since, pd.DataFrame] | None = None

    def read(self, stamp: Stamp, since: frames.Since) -> pd.DataFrame:
        """The frame as it is now, for a store that was at `stamp`, with its trials `since` then, or earlier.

        The epochs of a trial that has ended change no more while one coordinator writes.
        """
        known = self._known
        if known and stamp.is_of_the_same_run(known[0]) and len(known[1].unsettled) <= MOST_UNSETTLED:
            _, before, frame = known
            is_settled = (frame.index <= before.last) & ~frame.index.isin(before.unsettled)
            changed = frames.epochs_since(self._store, self._name, before)
            found = pd.concat([frame[is_settled], changed]).sort_index(kind="stable")
        else:
            found = frames.epochs_since(self._store, self._name, None)
        self._known = (stamp, since, found)
        return found.reset_index(drop=True)


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
