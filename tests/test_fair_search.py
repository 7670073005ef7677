"""Whatever the experiment, the workers and the interruptions: the search is exact, balanced and fair.

Random experiments, each run once undisturbed and once interrupted again and again, politely or in the middle
of a write, on workers that answer in a random order. What came of it is read from the store and checked here.
"""

import contextlib
import random
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest
from conftest import brightness_images
from test_coordinator import Watch, coordinate

from sweeper import experiment as experiments
from sweeper import seeds
from sweeper.experiment import Experiment
from sweeper.records import Origin, Phase, StoredTrial, SweepState, Trial, TrialKey
from sweeper.space import Fixed, Range
from sweeper.store import Committer, InlineWriter, Store, TrialPlanned, Write
from sweeper.workers import Advanced, Lost, Workers
from sweeper.workers.inline import InlineWorkers
from sweeper.workers.simulated import SimulatedWorkers

ARMS = ("sgd", "momentum", "adagrad", "adam", "adamw", "gd", "local_search", "random_search")


class Killed(BaseException):
    """What ends a coordinator without a farewell."""


class Restless(SimulatedWorkers):
    """Answers for some of its slots at a time, in a random order."""

    def __init__(self, experiment: Experiment, n_slots: int, chance: random.Random) -> None:
        def curve(trial: Trial, epoch: int) -> float:
            noise = random.Random(f"{trial.seed} {epoch}").random()
            return float("inf") if noise < 0.02 else 1 + noise + 1 / epoch

        super().__init__(experiment, n_slots=n_slots, curve=curve)
        self._chance = chance

    def wait(self, timeout_s: float) -> list[Advanced | Lost]:
        asked = list(self._until)
        answering = self._chance.sample(asked, k=self._chance.randint(1, len(asked))) if asked else []
        return [self._advanced(slot, self._until.pop(slot)) for slot in answering]


class Mortal(InlineWriter):
    """Dies at its `left`-th write, before or after the commit."""

    def __init__(self, committer: Committer, left: int, before: bool) -> None:
        super().__init__(committer)
        self._left, self._before = left, before
        self.planned: list[TrialKey] = []

    def put(self, *writes: Write) -> None:
        self._left -= 1
        if not self._left and self._before:
            raise Killed
        super().put(*writes)
        self.planned += [write.key for write in writes if isinstance(write, TrialPlanned)]
        if not self._left:
            raise Killed


def random_experiment(chance: random.Random) -> Experiment:
    arms = chance.sample(ARMS, k=chance.randint(1, 4))
    n_trials = chance.randint(2, 9)
    epochs = chance.randint(1, 5)
    sampler = chance.choice(["tpe", "tpe", "random", "qmc", "grid"])
    lines = [
        f'[experiment]\nname = "s"\nseed = {chance.randrange(10**6)}',
        '[data]\nname = "synthetic"\ntrain_size = 200\nval_size = 100\ntest_size = 100',
        '[model]\nname = "linear"\ninput_size = 32',
        f"[budget]\ntrials_per_optimizer = {n_trials}\nepochs = {epochs}",
        f'eval_every = {chance.randint(1, 2)}\n[search]\nsampler = "{sampler}"',
        f'pruner = "{chance.choice(["none", "asha", "hyperband", "median"])}"',
        f"reduction_factor = {chance.randint(2, 4)}\nrepeats = {chance.randint(1, min(3, n_trials - 1))}",
        f"[final]\ntop_k = {chance.randint(0, 2)}\nseeds = {chance.randint(1, 4)}",
        f"untuned = {str(chance.random() < 0.5).lower()}",
        "[space]\nbatch_size = [32, 64, 128]",
        "weight_decay = { low = 1e-5, high = 1e-2, scale = 'log' }" if chance.random() < 0.5 else "",
        *(f"[optimizers.{name}]" for name in arms),
    ]
    return experiments.loads("\n".join(lines))


def run_to_the_end(
    experiment: Experiment, store: Store, make_workers: Callable[[], Workers], chance: random.Random | None
) -> int:
    """Run the sweep, interrupting it by `chance`; how often it was."""
    committer = store.create_sweep("s", experiment.document(), "", {}, 30)
    planned: list[TrialKey] = []
    n_interruptions = 0
    while True:
        known = store.trials("s")
        curves = store.curves("s", experiment.objective)
        kills = chance is not None and n_interruptions < 12
        left = 0
        if kills and chance and (not n_interruptions or chance.random() < 0.6):
            left = chance.randint(1, 40 if n_interruptions else 6)
        writer = Mortal(committer, left, before=bool(chance and chance.random() < 0.5))
        stop, watch = Event(), Watch()
        if kills and chance and not left:
            n_ends = chance.randint(1, 6)
            watch.on_end = lambda s=stop, w=watch, n=n_ends: s.set() if len(w.ended) >= n else None
        coordinator = coordinate(
            experiment,
            committer,
            workers=make_workers(),
            known=known,
            curves=curves,
            writer=writer,
            watch=watch,
        )
        state = SweepState.INTERRUPTED
        with contextlib.suppress(Killed):
            state = coordinator.run(stop)
        planned += writer.planned
        if experiment.search.mode == "per_optimizer":
            check_balance(experiment, planned)
        if state is SweepState.COMPLETE:
            return n_interruptions
        n_interruptions += 1
        committer.release()
        committer = store.take_sweep("s", 30)


def check_balance(experiment: Experiment, planned: list[TrialKey]) -> None:
    """Trials that exist are within one between optimizers after every step."""
    counts = Counter({arm.name: 0 for arm in experiment.arms})
    for key in planned:
        if key.phase is Phase.SEARCH:
            counts[key.optimizer] += 1
            assert max(counts.values()) - min(counts.values()) <= 1


def check_exactness(experiment: Experiment, trials: list[StoredTrial]) -> None:
    n = experiment.budget.trials_per_optimizer
    search = [t for t in trials if t.key.phase is Phase.SEARCH]
    assert Counter(t.key for t in search) == Counter(
        TrialKey(arm.name, Phase.SEARCH, number) for arm in experiment.arms for number in range(n)
    )
    assert all(t.state.is_finished for t in trials)
    for arm in experiment.arms:
        mine = [t.trial for t in search if t.key.optimizer == arm.name]
        assert len({t.seed for t in mine}) == n
        searched = [d for d in arm.space.values() if not isinstance(d, Fixed)]
        is_grid_of_one = experiment.search.sampler == "grid" and experiment.search.repeats > 1
        if any(isinstance(d, Range) and not d.integer for d in searched) and not is_grid_of_one:
            settings = {tuple(sorted(t.params.items())) for t in mine if t.origin is Origin.PROPOSED}
            assert len(settings) == n - 1
    check_finals(experiment, trials)


def check_finals(experiment: Experiment, trials: list[StoredTrial]) -> None:
    """Every chosen setting has every seed that is its, once."""
    final, repeats = experiment.final, experiment.search.repeats
    finals = [t.trial for t in trials if t.key.phase is Phase.FINAL]
    if not final.top_k:
        assert not finals
        return
    wanted = {seeds.final_trial(experiment.seed, j): j for j in range(final.seeds)}
    for arm in experiment.arms:
        mine = [t for t in finals if t.key.optimizer == arm.name]
        assert max(Counter((t.setting, t.seed) for t in mine).values(), default=1) == 1
        assert sorted(t.key.number for t in mine) == list(range(len(mine)))
        by_seed = defaultdict(set)
        for t in mine:
            by_seed[wanted[t.seed]].add(t.setting)
        scored = {
            t.key.number
            for t in trials
            if t.key.optimizer == arm.name and t.key.phase is Phase.SEARCH and t.state.has_score
        } - {0}
        for j in range(final.seeds):
            candidates = {number for number in scored if number % repeats == j % repeats}
            assert len(by_seed[j] - {0}) == min(final.top_k, len(candidates))
            assert by_seed[j] - {0} <= candidates
            assert (0 in by_seed[j]) == final.untuned


def check_common_random_numbers(experiment: Experiment, trials: list[StoredTrial]) -> None:
    """Independent trials with the same number share the seed and the values of `[space]`."""
    by_number: dict[int, list[Trial]] = defaultdict(list)
    for stored in trials:
        trial = stored.trial
        if trial.key.phase is Phase.SEARCH and trial.independent:
            by_number[trial.key.number].append(trial)
    for same in by_number.values():
        assert len({trial.seed for trial in same}) == 1
        for name in ("batch_size", "weight_decay"):
            values = {t.params[name] for t in same if name in experiment.arm(t.key.optimizer).shared}
            assert len(values) <= 1, name


def independent(trials: list[StoredTrial]) -> dict[TrialKey, tuple[object, ...]]:
    return {t.key: (t.trial.params, t.trial.proposal, t.trial.seed) for t in trials if t.trial.independent}


@pytest.mark.parametrize("case", range(16))
def test_any_search_is_exact_balanced_and_fair_whatever_happens(case: int, tmp_path: Path) -> None:
    chance = random.Random(case)
    experiment = random_experiment(chance)
    disturbed, undisturbed = (
        Store.open(f"sqlite:///{tmp_path / name}.db", create=True) for name in ("disturbed", "undisturbed")
    )
    n_slots = chance.randint(1, 5)
    n = run_to_the_end(experiment, disturbed, lambda: Restless(experiment, n_slots, chance), chance)
    assert n
    run_to_the_end(experiment, undisturbed, lambda: SimulatedWorkers(experiment), None)
    trials, others = disturbed.trials("s"), undisturbed.trials("s")
    check_exactness(experiment, trials)
    check_exactness(experiment, others)
    check_common_random_numbers(experiment, trials)
    assert independent(trials) == independent(others)
    if experiment.search.sampler != "tpe":
        assert all(t.trial.independent for t in trials if t.trial.origin is Origin.PROPOSED)
    for store in (disturbed, undisturbed):
        store.close()


@pytest.mark.parametrize("case", range(200, 204))
def test_a_joint_search_has_as_many_trials_as_all_budgets_together(case: int, tmp_path: Path) -> None:
    chance = random.Random(case)
    plain = random_experiment(chance)
    settings = ["search.mode=joint", "search.repeats=1", "search.sampler=" + chance.choice(["tpe", "qmc"])]
    experiment = experiments.from_document(plain.document(), settings, is_resolved=True)
    results = []
    for name in ("disturbed", "undisturbed"):
        store = Store.open(f"sqlite:///{tmp_path / name}.db", create=True)
        by = chance if name == "disturbed" else None
        run_to_the_end(experiment, store, lambda: Restless(experiment, 3, chance), by)
        results.append(store.trials("s"))
        store.close()
    for trials in results:
        search = [t.trial for t in trials if t.key.phase is Phase.SEARCH]
        assert len(search) == experiment.n_trials
        for arm in experiment.arms:
            numbers = sorted(t.key.number for t in search if t.key.optimizer == arm.name)
            assert numbers == list(range(len(numbers)))
            assert numbers
        assert [t.origin for t in search[: len(experiment.arms)]] == [Origin.DEFAULT] * len(experiment.arms)
        check_finals(experiment, trials)
        check_common_random_numbers(experiment, trials)
    assert independent(results[0]) == independent(results[1])


@pytest.mark.parametrize("case", range(102, 106))
def test_with_real_training_losses_and_finals_are_those_of_an_undisturbed_run(
    case: int, tmp_path: Path
) -> None:
    chance = random.Random(case)
    experiment = random_experiment(chance)
    while experiment.search.pruner != "none" or experiment.search.sampler == "tpe":
        experiment = random_experiment(chance)
    images = brightness_images()
    results = []
    for name in ("disturbed", "undisturbed"):
        store = Store.open(f"sqlite:///{tmp_path / name}.db", create=True)
        by = chance if name == "disturbed" else None
        run_to_the_end(experiment, store, lambda: InlineWorkers(experiment, images), by)
        results.append(store.trials("s"))
        store.close()
    check_exactness(experiment, results[0])
    disturbed, undisturbed = (
        {t.key: (t.trial, t.state, t.epochs, t.train_loss, t.val_loss, t.val_accuracy) for t in trials}
        for trials in results
    )
    assert disturbed == undisturbed
