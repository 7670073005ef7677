"""A setting as something to use: fixed values of an experiment file, or lines of torch."""

import json
from typing import Any

from sweeper import optimizers
from sweeper.experiment import ArmSpace, Experiment
from sweeper.optimizers import rule_params
from sweeper.records import Trial, Value
from sweeper.space import TRAINING, Fixed

ARGUMENTS = {"decay": "alpha"}
"""torch's names of hyperparameters that it calls otherwise."""


def toml(trial: Trial, arm: ArmSpace) -> list[str]:
    """`[space]` and the arm's table of an experiment file, every dimension fixed at the trial's setting."""
    lines = []
    if arm.shared:
        lines += ["[space]", *(f"{key} = {_toml(trial.params[key])}" for key in arm.shared), ""]
    table: dict[str, Any] = {"class": arm.torch_class, "steps": arm.steps}
    table |= {key: _searched(trial, arm, key) for key in arm.own}
    given = {key: value for key, value in table.items() if value is not None}
    return [*lines, f"[optimizers.{arm.name}]", *(f"{key} = {_toml(value)}" for key, value in given.items())]


def python(trial: Trial, arm: ArmSpace, experiment: Experiment) -> list[str]:
    """The lines that build the optimizer as the trial's was; the rest of the setting as comments."""
    rule = {key: value for key, value in trial.params.items() if key not in TRAINING}
    notes = _training(trial, arm, experiment)
    if arm.torch_class is None and arm.arm.sees.asks_for_the_loss:
        return [*notes, *_own_rule(arm.name, rule)]
    return [*notes, "import torch", "", *_torch(arm, rule)]


def _searched(trial: Trial, arm: ArmSpace, key: str) -> Value:
    """The value of one of the arm's own keys: `effective_lr` as it was proposed, so that it reads back."""
    if key != "effective_lr":
        return trial.params[key]
    dimension = arm.own[key]
    if isinstance(dimension, Fixed):
        return dimension.value
    proposed = trial.proposal.get(key)
    momentum = {name: value for name, value in trial.params.items() if name == "momentum"}
    if proposed is not None and rule_params({**momentum, key: proposed})["lr"] == trial.params["lr"]:
        return proposed
    return optimizers.search_values(arm.arm, trial.params, arm.own)["effective_lr"]  # type: ignore[no-any-return]


def _training(trial: Trial, arm: ArmSpace, experiment: Experiment) -> list[str]:
    """What of the setting the training loop uses, not the rule."""
    params = trial.params
    facts = [f"{experiment.budget.epochs} epochs" if arm.steps is None else f"{arm.steps} steps"]
    if "batch_size" in params:
        facts.append(f"batch size {params['batch_size']}")
    elif arm.torch_class is None:
        facts.append(f"each step sees {arm.arm.sees}")
    facts += [f"{key} {params[key]}" for key in ("schedule", "sampling") if key in params]
    facts.append(f"init {params.get('init', experiment.model.init)}")
    return [f"# {', '.join(facts)}"]


def _own_rule(name: str, rule: dict[str, Value]) -> list[str]:
    """A rule that asks for the loss itself: there the L2 penalty belongs into the loss."""
    decay = rule.pop("weight_decay", 0.0)
    note = [f"# into the loss, over weights and not biases: + {decay / 2!r} * Σ W²"] if decay else []  # type: ignore[operator]
    return [
        *note,
        "import sweeper.optimizers",
        "",
        f'optimizer = sweeper.optimizers.build("{name}", model.parameters(){_arguments(rule)})',
    ]


def _torch(arm: ArmSpace, rule: dict[str, Value]) -> list[str]:
    """A call of the class, whose weight decay is of weights and not of biases, as the trial's was."""
    arguments: dict[str, Any] = {ARGUMENTS.get(k, k): v for k, v in rule.items()}
    if arm.torch_class is not None:
        arguments = dict(rule)
    decay = float(arguments.pop("weight_decay", 0.0))
    if "beta1" in arguments or "beta2" in arguments:
        arguments["betas"] = _betas(arm, arguments)
    if arm.torch_class is None and arguments.get("momentum") == 0:
        del arguments["momentum"]  # plain SGD
    elif arm.name == "nesterov" and arm.torch_class is None:
        arguments["nesterov"] = True
    if decay == 0:
        if arm.arm.default.get("weight_decay"):
            arguments["weight_decay"] = 0.0
        return [f"optimizer = {arm.arm.torch_class}(model.parameters(){_arguments(arguments)})"]
    return [
        "weights = [p for p in model.parameters() if p.ndim > 1]",
        "others = [p for p in model.parameters() if p.ndim <= 1]",
        f"optimizer = {arm.arm.torch_class}(",
        f'    [{{"params": weights, "weight_decay": {decay!r}}}, {{"params": others, "weight_decay": 0.0}}]'
        f"{_arguments(arguments)}",
        ")",
    ]


def _betas(arm: ArmSpace, arguments: dict[str, Any]) -> tuple[Value, Value]:
    """Both decay rates, of which a class's own table may name only one."""
    known = arm.arm.default
    if arm.torch_class is not None:
        known = optimizers.custom.arm(arm.name, arm.torch_class, ("beta1", "beta2")).default
    beta1, beta2 = (arguments.pop(key, known[key]) for key in ("beta1", "beta2"))
    return beta1, beta2


def _arguments(arguments: dict[str, Any]) -> str:
    return "".join(f", {key}={value!r}" for key, value in arguments.items())


def _toml(value: Value) -> str:
    return repr(value) if isinstance(value, float) else json.dumps(value)
