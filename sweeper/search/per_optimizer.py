"""A search per optimizer: the same number of trials for each, and trials begun in turn."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from sweeper import seeds
from sweeper.experiment import ArmSpace, Experiment
from sweeper.records import Prior, StoredTrial, Trial, TrialState
from sweeper.search.arm import ArmTrials
from sweeper.search.samplers import Guide
from sweeper.search.study import Study, suggest_all

ATTEMPTS = 100
"""How often TPE is asked for a setting that no trial has; only a range of a few floats gives none."""


class PerOptimizerSearch:
    """The arms' searches, side by side."""

    def __init__(
        self,
        experiment: Experiment,
        known: Sequence[StoredTrial],
        priors: Mapping[str, Sequence[Prior]],
    ) -> None:
        self._arms = {
            arm.name: ArmSearch(
                experiment,
                arm,
                [stored for stored in known if stored.key.optimizer == arm.name],
                priors.get(arm.name, ()),
            )
            for arm in experiment.arms
        }

    def ask(self) -> Trial | None:
        """The next trial of the arm that has begun the fewest; None where nothing is left to try."""
        return min(self._arms.values(), key=lambda arm: arm.n_begun).ask()  # ties: in the file's order

    def tell(self, trial: Trial, state: TrialState, objective_value: float | None, epoch: int) -> None:
        """Learn from a finished trial."""
        self._arms[trial.key.optimizer].tell(trial, state, objective_value, epoch)


class ArmSearch:
    """One arm's searches: one, or as many as `repeats` says, each with a study of its own."""

    def __init__(
        self,
        experiment: Experiment,
        arm: ArmSpace,
        known: Sequence[StoredTrial],
        priors: Sequence[Prior],
    ) -> None:
        self._experiment = experiment
        self._trials = ArmTrials(experiment, arm, known)
        self._guide = Guide(self._trials.distributions)
        self._studies: list[Study] = []
        if experiment.search.sampler == "tpe":  # nothing else learns
            self._studies = [
                Study(experiment, self._trials.distributions, self._of_search(known, k), priors)
                for k in range(experiment.search.repeats)
            ]

    @property
    def n_begun(self) -> int:
        """How many of the arm's trials exist, in any state."""
        return self._trials.n_begun

    def ask(self) -> Trial | None:
        """The arm's next trial, or None where its budget is used up."""
        if self.n_begun >= self._experiment.budget.trials_per_optimizer:
            return None
        trial = self._trials.begin(self._next(self._trials.next_number))
        for study in self._told_of(trial):
            study.begin(trial)
        return trial

    def tell(self, trial: Trial, state: TrialState, objective_value: float | None, epoch: int) -> None:
        """Learn from a finished trial."""
        for study in self._told_of(trial):
            study.tell(trial, state, objective_value, epoch)

    def _next(self, number: int) -> Trial:
        if number == 0:
            return self._trials.untuned()
        if not self._studies or number <= self._experiment.startup_trials:
            return self._trials.independent(number)
        return self._guided(number)

    def _guided(self, number: int) -> Trial:
        study = self._studies[number % len(self._studies)]
        searched = self._trials.distributions
        suggest = partial(suggest_all, distributions=searched)
        for attempt in range(ATTEMPTS):
            again = f"again {attempt}" if attempt else ""
            seed = seeds.proposal(self._experiment.seed, self._trials.name, number, again)
            proposal = study.propose(self._guide.seeded(seed, self._trials.zeroed(number)), suggest)
            trial = self._trials.proposed(number, proposal, independent=False)
            if not self._trials.is_repetition(trial):
                break
        return trial

    def _told_of(self, trial: Trial) -> list[Study]:
        """Whom the trial concerns: its own search; the untuned one, every search of the arm."""
        if not trial.key.number:
            return self._studies
        return self._studies and [self._studies[trial.key.number % len(self._studies)]]

    def _of_search(self, known: Iterable[StoredTrial], k: int) -> list[StoredTrial]:
        repeats = self._experiment.search.repeats
        return [stored for stored in known if stored.key.number in (0, k) or stored.key.number % repeats == k]
