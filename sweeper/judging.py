"""Judges the trials of a sweep at their rungs, each against the others of its own search."""

from collections.abc import Iterable, Mapping, Sequence

from sweeper import pruning
from sweeper.experiment import Experiment
from sweeper.pruning import Curve, Pruner
from sweeper.records import EpochRecord, Origin, StoredTrial, Trial, TrialKey, TrialState


class Judges:
    """A pruner for each search: one per optimizer and repeat.

    Trial 0 and finals are never judged, nor are trials of an optimizer with a budget of its own: they have no
    rungs. `known` are the trials that the store already holds, `curves` what it has recorded of them.
    """

    def __init__(
        self,
        experiment: Experiment,
        known: Iterable[StoredTrial] = (),
        curves: Mapping[TrialKey, Curve] | None = None,
    ) -> None:
        self._experiment = experiment
        self._rules = experiment.pruning
        self._exempt = {arm.name for arm in experiment.arms if arm.steps is not None}
        self._pruners: dict[str, Pruner] = {}
        for stored in known:
            curve = (curves or {}).get(stored.key, {})
            if stored.state is TrialState.DIVERGED:  # nobody judged the epoch that ended it
                curve = {epoch: value for epoch, value in curve.items() if epoch < stored.epochs}
            if curve and self._has_rungs(stored.trial):
                self._restore(stored, curve)

    def next_rung(self, trial: Trial, epoch: int) -> int | None:
        """The first epoch after `epoch` at which the trial is judged, or None."""
        if not self._has_rungs(trial):
            return None
        return pruning.next_rung(self._pruner(trial).rungs(trial.key.number), epoch)

    def should_prune(self, trial: Trial, records: Sequence[EpochRecord]) -> bool:
        """Whether the trial, of which these are all records, shall be given up."""
        if not self._has_rungs(trial):
            return False
        curve = self._curve(records)
        return bool(curve) and self._pruner(trial).should_prune(trial.key.number, curve)

    def ended(self, trial: Trial, state: TrialState, records: Sequence[EpochRecord]) -> None:
        """Take note of a trial that ended."""
        if state is TrialState.COMPLETE and self._has_rungs(trial):
            self._pruner(trial).completed(trial.key.number, self._curve(records))

    def _has_rungs(self, trial: Trial) -> bool:
        is_judged = trial.origin is Origin.PROPOSED and trial.key.optimizer not in self._exempt
        return is_judged and self._rules.pruner != "none"

    def _pruner(self, trial: Trial) -> Pruner:
        repeats = self._experiment.search.repeats
        search = trial.key.optimizer
        if repeats > 1:
            search += f"/{trial.key.number % repeats}"
        if search not in self._pruners:
            self._pruners[search] = pruning.make(self._rules, search)
        return self._pruners[search]

    def _restore(self, stored: StoredTrial, curve: Curve) -> None:
        pruner = self._pruner(stored.trial)
        pruner.passed(stored.key.number, curve)
        if stored.state is TrialState.COMPLETE:
            pruner.completed(stored.key.number, curve)

    def _curve(self, records: Sequence[EpochRecord]) -> Curve:
        values = ((r.epoch, getattr(r, self._experiment.objective)) for r in records)
        return {epoch: value for epoch, value in values if value is not None}
