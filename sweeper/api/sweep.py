"""A sweep in a store, to be read."""

import os
from typing import TYPE_CHECKING

from sweeper import experiment as experiments
from sweeper.experiment import Experiment
from sweeper.records import SweepInfo
from sweeper.store import DEFAULT_URL, Store

if TYPE_CHECKING:
    import pandas as pd

    from sweeper.analysis import Best, Verdict
    from sweeper.analysis.report import Report

StoreLocation = str | Store | None
"""A database URL, an open store, or None: `SWEEPER_STORE`, else `sqlite:///sweeper.db`."""


class Sweep:
    """One sweep in a store. Each attribute is read anew, so a running sweep shows where it stands."""

    def __init__(self, store: Store, name: str) -> None:
        self.store = store
        self.name = name

    def __repr__(self) -> str:
        return f"Sweep({self.name!r}, {self.info.state}, {self.store.url})"

    @property
    def info(self) -> SweepInfo:
        """State, counts, lease holder, and what the results depend on."""
        return self.store.sweep(self.name)

    @property
    def experiment(self) -> Experiment:
        """What is compared, with every default resolved."""
        return experiments.of_sweep(self.info)

    @property
    def trials(self) -> "pd.DataFrame":
        """A row per trial; see `sweeper.analysis.frames`."""
        from sweeper.analysis import frames

        return frames.trials(self.store, self.name)

    @property
    def epochs(self) -> "pd.DataFrame":
        """A row per epoch of every trial."""
        from sweeper.analysis import frames

        return frames.epochs(self.store, self.name)

    @property
    def attempts(self) -> "pd.DataFrame":
        """A row per attempt at every trial."""
        from sweeper.analysis import frames

        return frames.attempts(self.store, self.name)

    def summary(self) -> "pd.DataFrame":
        """A row per optimizer, which a notebook shows as a short table; see `sweeper.analysis.summary`."""
        from sweeper import analysis
        from sweeper.analysis import notebook

        experiment = self.experiment
        found = analysis.summary_of(self.trials, self.epochs, experiment)
        return notebook.summary_frame(found, experiment, self.name)

    def verdict(self) -> "Verdict":
        """The search's leader against the others on fresh seeds, or why there is no verdict yet."""
        from sweeper import analysis

        return analysis.verdict(self.trials, self.experiment)

    def report(self) -> "Report":
        """The whole comparison: `html()`, `markdown()`, `record()`, and its `numbers`."""
        from sweeper.analysis import report

        return report.report(report.Results.of(self.store, self.info, self.experiment, self.trials))

    def best(self, optimizer: str | None = None) -> "Best":
        """The best setting of `optimizer`; None: of the one that leads the search.

        Raises UsageError for an optimizer that isn't in the sweep, NotFoundError where no tuned trial is
        complete.
        """
        from sweeper import analysis

        planned = [stored.trial for stored in self.store.trials(self.name)]
        return analysis.best(self.name, self.trials, planned, self.experiment, optimizer)


def load(name: str, store: StoreLocation = None) -> Sweep:
    """The sweep called `name`, to be read. Raises NotFoundError where the store has none such."""
    opened = open_store(store)
    return Sweep(opened, opened.sweep(name).name)


def open_store(location: StoreLocation = None, *, create: bool = False, read_only: bool = False) -> Store:
    """The store at `location`; one that doesn't exist is made if `create`, else it is empty.

    With `read_only` nothing can be written by way of it; see `Store.open`. An open store stays as it is.
    """
    if isinstance(location, Store):
        return location
    return Store.open(store_url(location), create=create, read_only=read_only)


def store_url(given: str | None = None) -> str:
    """The database URL to use: the one given, else `SWEEPER_STORE`, else the default."""
    return given or os.environ.get("SWEEPER_STORE") or DEFAULT_URL
