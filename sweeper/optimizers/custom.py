"""Any class of torch.optim as an arm, by its name: `class = "torch.optim.RAdam"` in the experiment file.

Its hyperparameters have the constructor's own names, but for `betas`, which is `beta1` and `beta2`.
"""

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

import torch

from sweeper.errors import UsageError
from sweeper.optimizers.arm import Arm
from sweeper.optimizers.builders import decayed

PREFIX = "torch.optim."
_HOW_IT_RUNS = {"foreach", "maximize", "capturable", "differentiable", "fused"}
"""Arguments of torch's constructors that say how a rule is computed, not what it does."""


def arm(name: str, torch_class: str, keys: Iterable[str] = ()) -> Arm:
    """The class as an arm: its untuned setting is torch's own defaults of lr, weight_decay and `keys`.

    Raises UsageError where there is no such class, or it is none that can train on minibatches.
    """
    defaults = _defaults(_class(torch_class))
    shown = ("lr", "weight_decay", *keys)
    return Arm(
        name=name,
        title=name,
        summary=f"{torch_class}, with the space that the experiment file gives it",
        torch_class=torch_class,
        space={},
        default={key: value for key, value in defaults.items() if key in shown},
    )


def problems(torch_class: str, settings: Mapping[str, Iterable[Any]]) -> list[str]:
    """What is wrong with the class or with values of its hyperparameters; a trial of it is one step long.

    `settings` are the values to try of each hyperparameter, one at a time.
    """
    try:
        defaults = _defaults(_class(torch_class))
    except UsageError as error:
        return [f"class = {torch_class!r}: {error}"]
    legal = ", ".join(defaults)
    found = [
        f"{key}: unknown key for {torch_class}; legal: {legal}" for key in settings if key not in defaults
    ]
    known = {key: values for key, values in settings.items() if key in defaults}
    trials: list[dict[str, Any]] = [{}] + [{key: value} for key, values in known.items() for value in values]
    for setting in trials:
        try:
            _step_once(torch_class, setting)
        except Exception as error:  # whatever torch makes of a value that it doesn't take
            where = (
                ", ".join(f"{key} = {value}" for key, value in setting.items()) or f"class = {torch_class!r}"
            )
            found.append(f"{where}: {' '.join(str(error).split()) or type(error).__name__}")
            if not setting:
                break  # it can't run at all: no value will help
    return found


def build(
    torch_class: str, params: Iterable[torch.nn.Parameter], *, weight_decay: float = 0.0, **values: Any
) -> torch.optim.Optimizer:
    """The class over `params`; `weight_decay` is what the class makes of it, on weights and not on biases."""
    chosen = _class(torch_class)
    defaults = _defaults(chosen)
    if "beta1" in values or "beta2" in values:
        values["betas"] = tuple(values.pop(key, defaults[key]) for key in ("beta1", "beta2"))
    if "weight_decay" in defaults:
        return chosen(decayed(params, weight_decay), **values)
    if weight_decay:
        raise UsageError(f"{torch_class} takes no weight_decay")
    return chosen(list(params), **values)


def _class(torch_class: str) -> type[torch.optim.Optimizer]:
    name = torch_class.removeprefix(PREFIX)
    found = getattr(torch.optim, name, None) if torch_class.startswith(PREFIX) else None
    is_rule = inspect.isclass(found) and issubclass(found, torch.optim.Optimizer)
    if found is None or not is_rule or found is torch.optim.Optimizer:
        known = [
            each
            for each, member in vars(torch.optim).items()
            if inspect.isclass(member) and issubclass(member, torch.optim.Optimizer) and each != "Optimizer"
        ]
        raise UsageError(
            f"no such optimizer in torch {torch.__version__}; legal: {PREFIX}X with X one of "
            f"{', '.join(sorted(known))}"
        )
    if found is torch.optim.LBFGS:
        raise UsageError("needs the whole training set for each step; the arm lbfgs is made for it")
    chosen: type[torch.optim.Optimizer] = found
    return chosen


def _defaults(chosen: type[torch.optim.Optimizer]) -> dict[str, Any]:
    """The constructor's defaults of every argument that is a number, true or false."""
    found: dict[str, Any] = {}
    for name, parameter in inspect.signature(chosen).parameters.items():
        if name == "betas":
            found["beta1"], found["beta2"] = parameter.default
        elif isinstance(parameter.default, int | float) and name not in _HOW_IT_RUNS:
            found[name] = parameter.default
    return found


def _step_once(torch_class: str, setting: Mapping[str, Any]) -> None:
    layer = torch.nn.Linear(4, 3)
    rule = build(torch_class, layer.parameters(), **setting)
    layer(torch.ones(2, 4)).sum().backward()
    rule.step()
