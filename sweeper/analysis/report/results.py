"""What is known of a sweep: its experiment and its frames, each of which is read when it is first wanted."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from sweeper.analysis import frames
from sweeper.experiment import Experiment
from sweeper.records import SweepInfo, SweepState, Trial
from sweeper.store import Store


@dataclass(frozen=True, eq=False)
class Results:
    """All that is known of a sweep: `planned` are its trials with their exact settings.

    What is read later than `trials` may know more of a running sweep than that does.
    """

    info: SweepInfo
    experiment: Experiment
    store: str
    trials: pd.DataFrame
    read_planned: Callable[[], Sequence[Trial]]
    read_epochs: Callable[[], pd.DataFrame]
    read_attempts: Callable[[], pd.DataFrame]

    @classmethod
    def of(cls, store: Store, info: SweepInfo, experiment: Experiment, trials: pd.DataFrame) -> "Results":
        """The results of a sweep in `store`."""
        return cls(
            info=info,
            experiment=experiment,
            store=store.url,
            trials=trials,
            read_planned=lambda: [stored.trial for stored in store.trials(info.name)],
            read_epochs=lambda: frames.epochs(store, info.name),
            read_attempts=lambda: frames.attempts(store, info.name),
        )

    @property
    def name(self) -> str:
        """The sweep's name."""
        return self.info.name

    @property
    def state(self) -> SweepState:
        """How far the sweep is."""
        return self.info.state

    @property
    def facts(self) -> Mapping[str, Any]:
        """Versions, hardware and data that the results depend on."""
        return self.info.facts

    @cached_property
    def planned(self) -> Sequence[Trial]:
        """The trials with their exact settings."""
        return self.read_planned()

    @cached_property
    def epochs(self) -> pd.DataFrame:
        """A row per epoch."""
        return self.read_epochs()

    @cached_property
    def attempts(self) -> pd.DataFrame:
        """A row per attempt."""
        return self.read_attempts()
