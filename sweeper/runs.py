"""A sweep's trials on their way through attempts, and which of them goes to which free worker."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from sweeper.records import Checkpoint, EpochRecord, StoredTrial, Trial, TrialKey
from sweeper.store.writes import EpochsRecorded
from sweeper.workers import Slot


@dataclass(slots=True)
class Run:
    """One trial: its attempts and strikes so far, and the records that count.

    `checkpoint` is what the next attempt goes on from, `lost_on` the worker that lost the latest one.
    """

    trial: Trial
    attempt: int = 0
    strikes: int = 0
    records: list[EpochRecord] = field(default_factory=list)
    checkpoint: Checkpoint | None = None
    lost_on: Slot | None = None

    @classmethod
    def stored(cls, stored: StoredTrial, records: Mapping[TrialKey, tuple[EpochRecord, ...]]) -> "Run":
        """A trial that the store knows; `records` are what it has recorded up to its checkpoint."""
        kept = list(records.get(stored.key, ()))
        return cls(stored.trial, stored.attempt, stored.strikes, kept, stored.checkpoint if kept else None)

    @property
    def epoch(self) -> int:
        """The last epoch that counts."""
        return self.records[-1].epoch if self.records else 0

    @property
    def batch_size(self) -> int:
        """How many images a step sees; 0 where the rule sees all of them."""
        return int(self.trial.params.get("batch_size", 0))

    @property
    def train_s(self) -> float:
        """Seconds spent on training, in all epochs that count."""
        return sum(record.train_s for record in self.records)

    @property
    def eval_s(self) -> float:
        """Seconds spent on validation, in all epochs that count."""
        return sum(record.eval_s for record in self.records)

    @property
    def seconds(self) -> float:
        """What the epochs that count took."""
        return self.train_s + self.eval_s

    def begin(self) -> None:
        """Begin a new attempt: what was recorded after the checkpoint counts no more."""
        self.attempt += 1
        epoch = self.checkpoint.epoch if self.checkpoint else 0
        self.records = [record for record in self.records if record.epoch <= epoch]

    def recorded(self, new: tuple[EpochRecord, ...], setup_s: float) -> EpochsRecorded:
        """What the store is told of the `new` ones among the records; building the trial took `setup_s`."""
        return EpochsRecorded(self.trial.key, self.attempt, new, setup_s, self.train_s, self.eval_s)


class Waiting:
    """The stored trials that wait for a worker, first come, first served."""

    def __init__(self, runs: Iterable[Run] = ()) -> None:
        self._runs = deque(runs)

    def __len__(self) -> int:
        return len(self._runs)

    def add(self, *runs: Run) -> None:
        """Put them at the end."""
        self._runs += runs

    def next_for(self, free: list[Slot], n_workers: int) -> Run | None:
        """Take the first that may go to one of the `free` slots, of `n_workers` workers in all.

        A trial that was lost on a worker goes to another one, and waits for that if need be: a worker that is
        broken itself would eat up its strikes.
        """
        for place, run in enumerate(self._runs):
            if n_workers == 1 or any(slot != run.lost_on for slot in free):
                del self._runs[place]
                return run
        return None

    def __iter__(self) -> Iterator[Run]:
        return iter(self._runs)
