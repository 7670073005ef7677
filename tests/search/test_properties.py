"""What holds of any search: random experiments, made-up results, workers in any order, restarts."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from search_runs import settings, stored

from sweeper import optimizers, space
from sweeper.experiment import Experiment
from sweeper.records import Origin, StoredTrial, Trial, TrialState
from sweeper.search import Search

MakeExperiment = Callable[..., Experiment]

ARMS = ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw", "gd", "lbfgs", "random_search")

SPACES = (
    (),
    ("space.batch_size={low = 16, high = 256, scale = 'log'}",),
    ("space.weight_decay={low = 1e-6, high = 1e-2, scale = 'log'}", "space.batch_size=64"),
    ("space.schedule=['constant', 'cosine']", "space.init=['kaiming', 'xavier']"),
    ("optimizers.sgd.lr=[0.1, 0.01]", "optimizers.sgd.weight_decay={low = 0.0, high = 1.0}"),
    ("optimizers.momentum.lr=0.1", "optimizers.momentum.momentum={low = 0.0, high = 0.9}"),
)


def random_experiment(make: MakeExperiment, draw: random.Random) -> Experiment:
    n_trials = draw.randint(2, 20)
    mode = draw.choice(["per_optimizer", "per_optimizer", "joint"])
    sampler = draw.choice(["tpe", "random", "qmc"] + ["grid"] * (mode == "per_optimizer"))
    repeats = draw.choice([1, 1, 2, 3]) if mode == "per_optimizer" and n_trials > 3 else 1
    return make(
        f"experiment.seed={draw.randrange(10**6)}",
        f"experiment.objective={draw.choice(['val_loss', 'val_accuracy'])}",
        f"search.mode={mode}",
        f"search.sampler={sampler}",
        f"search.repeats={repeats}",
        f"search.startup_trials={draw.choice(['half', '0', '3'])}",
        f"budget.trials_per_optimizer={n_trials}",
        *(f"optimizers.{name}={{}}" for name in draw.sample(ARMS, draw.randint(1, 4))),
        *draw.choice(SPACES),
    )


@dataclass
class Simulation:
    """Trains nothing: workers finish in random order, with random results, and the coordinator may die."""

    experiment: Experiment
    draw: random.Random
    restart_share: float
    n_workers: int = 1
    known: dict[str, StoredTrial] = field(default_factory=dict)
    asked: list[Trial] = field(default_factory=list)

    def run(self) -> list[Trial]:
        search = Search(self.experiment)
        running: list[Trial] = []
        while True:
            while len(running) < self.n_workers and (trial := search.ask()) is not None:
                self.asked.append(trial)
                self.known[str(trial.key)] = stored(trial, TrialState.RUNNING, None, 0)
                running.append(trial)
                self.check_balance()
            if not running:
                return self.asked
            if self.draw.random() < self.restart_share:
                search = Search(self.experiment, list(self.known.values()))
            self.finish(search, running.pop(self.draw.randrange(len(running))))

    def finish(self, search: Search, trial: Trial) -> None:
        states = [TrialState.COMPLETE] * 4 + [TrialState.PRUNED, TrialState.DIVERGED, TrialState.FAILED]
        state = self.draw.choice(states)
        value = None if state is TrialState.FAILED else round(self.draw.uniform(0, 3), 1)
        search.tell(trial, state, value, 1)
        self.known[str(trial.key)] = stored(trial, state, value, 1)

    def check_balance(self) -> None:
        if self.experiment.search.mode == "per_optimizer":
            begun = Counter(trial.key.optimizer for trial in self.asked)
            counts = [begun[arm.name] for arm in self.experiment.arms]
            assert max(counts) - min(counts) <= 1


@pytest.mark.parametrize("case", range(40))
def test_any_search_is_exact_balanced_and_repeats_nothing(case: int, make_experiment: MakeExperiment) -> None:
    draw = random.Random(case)
    experiment = random_experiment(make_experiment, draw)
    trials = Simulation(experiment, draw, restart_share=0.15, n_workers=draw.randint(1, 4)).run()
    check_counts(experiment, trials)
    check_settings(experiment, trials)
    check_common_numbers(experiment, trials)
    again = Simulation(experiment, random.Random(-1 - case), restart_share=0.0, n_workers=2).run()
    assert independent(trials, again) == independent(again, trials), "whatever happened in between"


def independent(trials: list[Trial], others: list[Trial]) -> dict[str, Trial]:
    """The independent trials; in a joint search how many an arm has depends on the guided ones too."""
    keys = {str(t.key) for t in others if t.independent}
    assert {str(t.key) for t in trials if t.independent} == keys
    return {str(t.key): t for t in trials if t.independent}


def check_counts(experiment: Experiment, trials: list[Trial]) -> None:
    n_trials = experiment.budget.trials_per_optimizer
    assert len(trials) == n_trials * len(experiment.arms)
    for arm in experiment.arms:
        numbers = [t.key.number for t in trials if t.key.optimizer == arm.name]
        assert numbers == list(range(len(numbers)))
        assert len(numbers) == n_trials or experiment.search.mode == "joint"
    assert {t.origin for t in trials if t.key.number} <= {Origin.PROPOSED}
    assert {t.origin for t in trials if not t.key.number} == {Origin.DEFAULT}
    if experiment.search.sampler != "tpe":
        assert all(t.independent for t in trials if t.key.number)
    elif experiment.search.mode == "per_optimizer":
        startup = experiment.startup_trials
        assert all(t.independent is (t.key.number <= startup) for t in trials if t.key.number)
    else:
        n_startup = min(experiment.startup_trials * len(experiment.arms), len(trials) - len(experiment.arms))
        assert sum(t.independent for t in trials) == n_startup


def check_settings(experiment: Experiment, trials: list[Trial]) -> None:
    for arm in experiment.arms:
        mine = [t for t in trials if t.key.optimizer == arm.name]
        is_continuous = any(isinstance(d, space.Range) and not d.integer for d in arm.space.values())
        if is_continuous and experiment.search.sampler != "grid":
            assert len(set(settings(mine, arm.name))) == len(mine)
        assert len({t.seed for t in mine}) == len(mine)
        for trial in mine[1:]:
            values = optimizers.search_values(arm.arm, trial.params, arm.space)
            for name, dimension in arm.space.items():
                assert name == "effective_lr" or space.contains(dimension, values[name])


def check_common_numbers(experiment: Experiment, trials: list[Trial]) -> None:
    """Trials of one number have one seed; independent ones also the same values of `[space]`."""
    for number in range(experiment.budget.trials_per_optimizer):
        same = [t for t in trials if t.key.number == number]
        assert len({t.seed for t in same}) <= 1
        for name in experiment.space:
            shared = [t for t in same if t.independent and name in experiment.arm(t.key.optimizer).shared]
            assert len({t.params[name] for t in shared}) <= 1
