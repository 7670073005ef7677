"""The finals: which settings are trained again with fresh seeds, and what of that is left to do.

Pure: made of what is known of a sweep's trials. The best `top_k` settings of each optimizer by the objective
on validation data get finals, and with `untuned` trial 0's setting; final seed *j* is the same for all of
them. With `repeats`, final seed *j* trains the picks of search *j* mod repeats, so that the spread of the
finals has the search's luck in it.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sweeper import scoring, seeds
from sweeper.experiment import Experiment
from sweeper.records import Origin, Params, Phase, StoredTrial, Trial, TrialKey, TrialState

UNTUNED = 0
"""The number of the search trial that has the untuned setting."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A search trial that has a score."""

    number: int
    score: float
    diverged: bool


class Finals:
    """Learns how the search's trials end; once it is over, chooses, and gives the finals one by one.

    `known` are the trials that the store already holds.
    """

    def __init__(self, experiment: Experiment, known: Iterable[StoredTrial] = ()) -> None:
        self._experiment = experiment
        self._params: dict[tuple[str, int], Params] = {}
        self._candidates: dict[str, list[_Candidate]] = defaultdict(list)
        self._exist: set[tuple[str, int, int]] = set()
        self._n_numbers: dict[str, int] = defaultdict(int)
        self._left: deque[Trial] = deque()
        self.n_chosen = 0
        """How many finals the settings that were chosen have, trained already or not."""
        for stored in known:
            if stored.key.phase is Phase.SEARCH:
                self.planned(stored.trial)
                if stored.state.is_finished:
                    self.tell(stored.trial, stored.state, getattr(stored, experiment.objective))
            else:
                self._know_final(stored)

    def planned(self, trial: Trial) -> None:
        """Remember a search trial's setting."""
        self._params[trial.key.optimizer, trial.key.number] = trial.params

    def tell(self, trial: Trial, state: TrialState, objective_value: float | None) -> None:
        """Learn from a finished search trial. Trial 0 is never a candidate: it gets its finals anyway."""
        if state.has_score and trial.origin is not Origin.DEFAULT:
            diverged = state is TrialState.DIVERGED
            score = self._experiment.score(None if diverged else objective_value)
            self._candidates[trial.key.optimizer].append(_Candidate(trial.key.number, score, diverged))

    def choose(self) -> Mapping[str, frozenset[int]]:
        """Choose the settings, plan what is missing of their finals, and tell which are chosen.

        Seed by seed, so that finals that are stopped early have the same seeds for every optimizer.
        """
        final = self._experiment.final
        picks = {arm.name: self._picks(arm.name) for arm in self._experiment.arms}
        chosen: dict[str, set[int]] = {name: set() for name in picks}
        for place in range(final.seeds if final.top_k else 0):
            seed = seeds.final_trial(self._experiment.seed, place)
            for name, by_repeat in picks.items():
                settings = by_repeat[place % len(by_repeat)]
                for setting in [*settings, UNTUNED] if final.untuned else settings:
                    chosen[name].add(setting)
                    self.n_chosen += 1
                    self._plan(name, setting, seed)
        return {name: frozenset(settings) for name, settings in chosen.items()}

    @property
    def n_left(self) -> int:
        """How many finals `ask` has left to give."""
        return len(self._left)

    def ask(self) -> Trial | None:
        """The next final, or None where none is left."""
        return self._left.popleft() if self._left else None

    def _picks(self, optimizer: str) -> list[list[int]]:
        """The best settings of each of the optimizer's searches."""
        repeats = self._experiment.search.repeats
        higher = scoring.higher_is_better(self._experiment.objective)
        picks = []
        for repeat in range(repeats):
            mine = [c for c in self._candidates[optimizer] if c.number % repeats == repeat]
            order = scoring.best_first(
                [c.score for c in mine],
                [c.diverged for c in mine],
                [c.number for c in mine],
                higher_is_better=higher,
            )
            picks.append([mine[place].number for place in order[: self._experiment.final.top_k]])
        return picks

    def _plan(self, optimizer: str, setting: int, seed: int) -> None:
        if (optimizer, setting, seed) in self._exist:
            return
        key = TrialKey(optimizer, Phase.FINAL, self._n_numbers[optimizer])
        self._n_numbers[optimizer] += 1
        self._exist.add((optimizer, setting, seed))
        self._left.append(
            Trial(
                key=key,
                seed=seed,
                params=self._params[optimizer, setting],
                proposal={},
                origin=Origin.FINAL,
                independent=False,
                setting=setting,
            )
        )

    def _know_final(self, stored: StoredTrial) -> None:
        name = stored.key.optimizer
        self._n_numbers[name] = max(self._n_numbers[name], stored.key.number + 1)
        # One that was given up when its setting was superseded is trained anew if that is chosen again.
        if not (stored.state is TrialState.FAILED and stored.trial.origin is Origin.SUPERSEDED):
            self._exist.add((name, stored.trial.setting, stored.trial.seed))
