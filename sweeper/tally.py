"""What a running sweep has reached so far, counted from what the coordinator tells."""

import time
from collections.abc import Sequence

from sweeper import scoring
from sweeper.experiment import Experiment
from sweeper.records import EpochRecord, Origin, Phase, StoredTrial, Trial, TrialKey, TrialState


class Tally:
    """What has been reached so far, from what the coordinator tells: per optimizer, and in all."""

    def __init__(self, experiment: Experiment, known: Sequence[StoredTrial]) -> None:
        self._experiment = experiment
        self._higher = scoring.higher_is_better(experiment.objective)
        self._began: tuple[float, int] | None = None
        self._seen: dict[TrialKey, int] = {}
        self.finished = {arm.name: 0 for arm in experiment.arms}
        self.scored = {arm.name: 0 for arm in experiment.arms}
        self.best: dict[str, float] = {}
        self.failed = 0
        self.n_finals = experiment.n_finals
        self.n_finals_done = 0
        for stored in known:
            if stored.state.is_finished and stored.trial.origin is not Origin.SUPERSEDED:
                value = getattr(stored, experiment.objective)
                self._count(stored.trial, stored.state, value)
        self._epochs_done = self.n_done * experiment.budget.epochs

    @property
    def n_finished(self) -> int:
        """Trials of the search that ended, over all optimizers."""
        return sum(self.finished.values())

    @property
    def n_done(self) -> int:
        """Trials and finals that ended."""
        return self.n_finished + self.n_finals_done

    @property
    def n_planned(self) -> int:
        """Trials and finals that there will be."""
        return self._experiment.n_trials + self.n_finals

    def advanced(self, trial: Trial, record: EpochRecord) -> None:
        """Count epochs."""
        # A rule with a budget of its own may pass the epochs that the bar counts.
        epoch = min(record.epoch, self._experiment.budget.epochs)
        self._epochs_done += epoch - self._seen.get(trial.key, 0)
        self._seen[trial.key] = epoch
        if self._began is None:  # from here on workers are warm: their start says nothing of the pace
            self._began = (time.monotonic(), self._epochs_done)

    def finals_chosen(self, n_finals: int, n_left: int) -> None:
        """Count what the end of the search has shown to be left."""
        self.n_finals, self.n_finals_done = n_finals, n_finals - n_left
        self._epochs_done = self.n_done * self._experiment.budget.epochs

    def lost(self, key: TrialKey) -> None:
        """Take back the epochs of a lost attempt."""
        self._epochs_done -= self._seen.pop(key, 0)

    def ended(self, trial: Trial, state: TrialState, last: EpochRecord | None) -> None:
        """Count a trial, with the epochs that it didn't need."""
        self._epochs_done += self._experiment.budget.epochs - self._seen.pop(trial.key, 0)
        self._count(trial, state, getattr(last, self._experiment.objective) if last else None)

    def _count(self, trial: Trial, state: TrialState, value: float | None) -> None:
        name = trial.key.optimizer
        self.failed += state is TrialState.FAILED
        if trial.key.phase is Phase.FINAL:
            self.n_finals_done += 1
            return
        self.finished[name] += 1
        if state.has_score and trial.origin is not Origin.DEFAULT:
            self.scored[name] += 1
            score = self._experiment.score(None if state is TrialState.DIVERGED else value)
            best = self.best.get(name, score)
            self.best[name] = max(best, score) if self._higher else min(best, score)

    def best_of(self, name: str) -> str:
        """`best 1.402 of 3 tried`, or nothing before the first."""
        if name not in self.best:
            return ""
        return f"best {self.best[name]:.3f} of {self.scored[name]} tried"

    def left_s(self) -> float | None:
        """Seconds to go at the pace so far, or None before there is one."""
        if self._began is None:
            return None
        since, before = self._began
        done = self._epochs_done - before
        left = self.n_planned * self._experiment.budget.epochs - self._epochs_done
        return (time.monotonic() - since) / done * left if done > 0 else None
