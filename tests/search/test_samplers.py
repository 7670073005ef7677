from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import RandomSampler

from sweeper import experiment as experiments
from sweeper import seeds
from sweeper.search.samplers import distributions, random_draw

SPACE = """
[experiment]
name = "draws"
[search]
sampler = "random"
[space]
batch_size = [32, 64, 128]
weight_decay = { low = 0.0, high = 0.01 }
[optimizers.lbfgs]
history = { low = 3, high = 40, scale = "log" }
[optimizers.adam]
beta2 = { low = 0.9, high = 0.9999, scale = "one_minus_log" }
"""


def test_every_draw_is_that_of_a_sampler_of_its_own() -> None:
    experiment = experiments.loads(SPACE)
    kinds: set[type[BaseDistribution]] = set()
    for arm in experiment.arms:
        draw, searched = random_draw(experiment.seed, arm), distributions(arm.space)
        shared = distributions(arm.shared)
        for number in (3, 1, 200, 2):
            proposal = draw(number)
            assert proposal.keys() == searched.keys()
            for name, distribution in searched.items():
                kinds.add(type(distribution))
                scope = "space" if name in shared else arm.name
                alone = RandomSampler(seeds.proposal(experiment.seed, scope, number, name))
                expected = alone.sample_independent(None, None, name, distribution)  # type: ignore[arg-type]
                assert proposal[name] == expected, (arm.name, number, name)
    assert kinds == {CategoricalDistribution, FloatDistribution, IntDistribution}
