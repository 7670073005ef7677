"""A setting that is taken away builds the same optimizer, and reads back as the same experiment."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from sweeper import experiment as experiments
from sweeper import optimizers, space
from sweeper.analysis import recipes
from sweeper.experiment import ArmSpace, Experiment
from sweeper.records import Origin, Phase, Trial, TrialKey

MakeExperiment = Callable[..., Experiment]

SETTINGS = ("budget.epochs=20000", "model.input_size=8", "budget.trials_per_optimizer=32")
RADAM = ('optimizers.radam={class="torch.optim.RAdam", lr={low=1e-4, high=1e-2, scale="log"}, beta1=0.8}',)


def trial_of(arm: ArmSpace, **wanted: Any) -> Trial:
    """A trial in the middle of the arm's space, as a search makes it, but for the values `wanted`."""
    values = {name: space.lower_middle(dimension) for name, dimension in arm.space.items()} | wanted
    return Trial(
        key=TrialKey(arm.name, Phase.SEARCH, 3),
        seed=1,
        params=optimizers.rule_params(values),
        proposal=space.encode(arm.space, values) or {},
        origin=Origin.PROPOSED,
        independent=True,
        setting=3,
    )


def groups(optimizer: torch.optim.Optimizer) -> list[dict[str, Any]]:
    """Each parameter's own settings, and which it is, in the parameters' order.

    Whether a step is fused changes how fast it is, and of what it computes the last digits only.
    """
    how = ("params", "fused")
    return sorted(
        (
            {**{key: value for key, value in group.items() if key not in how}, "shape": tuple(p.shape)}
            for group in optimizer.param_groups
            for p in group["params"]
        ),
        key=lambda one: one["shape"],
    )


def built(lines: list[str]) -> torch.optim.Optimizer:
    names: dict[str, Any] = {"model": torch.nn.Linear(4, 3)}
    exec("\n".join(lines), names)
    optimizer: torch.optim.Optimizer = names["optimizer"]
    return optimizer


def reference(trial: Trial, arm: ArmSpace) -> torch.optim.Optimizer:
    rule = {key: value for key, value in trial.params.items() if key not in space.TRAINING}
    parameters = torch.nn.Linear(4, 3).parameters()
    if arm.torch_class is not None:
        return optimizers.custom.build(arm.torch_class, parameters, **rule)
    if arm.arm.sees.asks_for_the_loss:
        rule.pop("weight_decay", None)
    return optimizers.build(arm.name, parameters, **rule)


@pytest.mark.parametrize("weight_decay", [0.0, 0.01])
@pytest.mark.parametrize("name", optimizers.names())
def test_the_lines_build_what_the_trial_was_trained_with(
    name: str, weight_decay: float, make_experiment: MakeExperiment
) -> None:
    experiment = make_experiment(*SETTINGS, f"optimizers.{name}={{}}")
    arm = experiment.arms[0]
    trial = trial_of(arm, weight_decay=weight_decay)
    found, expected = built(recipes.python(trial, arm, experiment)), reference(trial, arm)
    assert type(found) is type(expected)
    assert groups(found) == groups(expected)


@pytest.mark.parametrize("name", ["momentum", "nesterov"])
def test_momentum_at_rho_0_is_plain_sgd(name: str, make_experiment: MakeExperiment) -> None:
    experiment = make_experiment(*SETTINGS, f"optimizers.{name}={{}}")
    arm = experiment.arms[0]
    lines = recipes.python(trial_of(arm, momentum=0.0, effective_lr=0.25), arm, experiment)
    assert lines[-1] == "optimizer = torch.optim.SGD(model.parameters(), lr=0.25)"


@pytest.mark.parametrize("weight_decay", [0.0, 0.01])
def test_a_class_of_torch_is_called_by_its_own_names(
    weight_decay: float, make_experiment: MakeExperiment
) -> None:
    experiment = make_experiment(*RADAM)
    arm = experiment.arms[0]
    trial = trial_of(arm, weight_decay=weight_decay)
    lines = recipes.python(trial, arm, experiment)
    assert "betas=(0.8, 0.999)" in "\n".join(lines)
    assert groups(built(lines)) == groups(reference(trial, arm))


def test_what_the_training_loop_uses_is_a_comment(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment(
        "optimizers.adam={}", "optimizers.gd={}", "optimizers.newton.steps=2", *SETTINGS
    )
    adam, gd, newton = ([*recipes.python(trial_of(arm), arm, experiment)] for arm in experiment.arms)
    assert adam[0] == ("# 20000 epochs, batch size 64, schedule constant, sampling shuffle, init kaiming")
    assert "each step sees all images" in gd[0]
    assert newton[0].startswith("# 2 steps, each step sees the loss")
    decayed = recipes.python(trial_of(experiment.arms[2], weight_decay=0.5), experiment.arms[2], experiment)
    assert decayed[1] == "# into the loss, over weights and not biases: + 0.25 * Σ W²"


@pytest.mark.parametrize("name", [*optimizers.names(), "radam"])
def test_the_toml_reads_back_with_every_value_fixed_at_the_trials(
    name: str, make_experiment: MakeExperiment
) -> None:
    own = RADAM if name == "radam" else (f"optimizers.{name}={{}}",)
    arm = make_experiment(*SETTINGS, *own).arms[0]
    trial = trial_of(arm)
    text = '[experiment]\nname = "again"\n' + "\n".join(recipes.toml(trial, arm))
    again = experiments.loads(text, ("model.name=linear", *SETTINGS)).arms[0]
    fixed = dict(again.space)
    assert all(isinstance(dimension, space.Fixed) for dimension in fixed.values())
    assert optimizers.rule_params({key: space.lower_middle(d) for key, d in fixed.items()}) == trial.params
    assert again.torch_class == arm.torch_class


def test_an_effective_lr_reads_back_without_the_proposal_too(make_experiment: MakeExperiment) -> None:
    arm = make_experiment("optimizers.momentum={}").arms[0]
    trial = trial_of(arm, effective_lr=0.03, momentum=0.9)
    lines = recipes.toml(trial, arm)
    assert "effective_lr = 0.03" in lines
    bare = Trial(trial.key, 1, trial.params, {}, trial.origin, True, 3)
    (line,) = (line for line in recipes.toml(bare, arm) if line.startswith("effective_lr"))
    assert float(line.split(" = ")[1]) == pytest.approx(0.03)
