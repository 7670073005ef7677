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

    `settings` are the values to try of each hyperparameter, one at a time. A value that is wrong alone may be
    right beside the others' first or last values (SGD's `nesterov` needs a `momentum`).
    """
    try:
        defaults = _defaults(_class(torch_class))
    except UsageError as error:
        return [f"class = {torch_class!r}: {error}"]
    legal = ", ".join(defaults)
    found = [
        f"{key}: unknown key for {torch_class}; legal: {legal}" for key in settings if key not in defaults
    ]
    if complaint := _complaint(torch_class, {}):
        return [*found, f"class = {torch_class!r}: {complaint}"]  # it can't run at all: no value will help
    known = {key: list(values) for key, values in settings.items() if key in defaults}
    companies = [{key: values[end] for key, values in known.items() if values} for end in (0, -1)]
    for key, value in ((key, value) for key, values in known.items() for value in values):
        complaint = _complaint(torch_class, {key: value})
        if complaint and all(_complaint(torch_class, {**company, key: value}) for company in companies):
            found.append(f"{key} = {value}: {complaint}")
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
        raise UsageError(
            f"no such optimizer in torch {torch.__version__}; legal: {PREFIX}X with X one of "
            f"{', '.join(_legal())}"
        )
    if found is torch.optim.LBFGS:
        raise UsageError("needs the whole training set for each step; the arm lbfgs is made for it")
    chosen: type[torch.optim.Optimizer] = found
    return chosen


def _legal() -> list[str]:
    """Every class of torch.optim that can train on minibatches, whatever the network's parameters."""
    classes = inspect.getmembers(torch.optim, inspect.isclass)
    rules = [name for name, member in classes if issubclass(member, torch.optim.Optimizer)]
    return [name for name in rules if name != "Optimizer" and not problems(PREFIX + name, {})]


def _defaults(chosen: type[torch.optim.Optimizer]) -> dict[str, Any]:
    """The constructor's defaults of every argument that is a number, true or false."""
    found: dict[str, Any] = {}
    for name, parameter in inspect.signature(chosen).parameters.items():
        if name == "betas":
            found["beta1"], found["beta2"] = parameter.default
        elif isinstance(parameter.default, int | float) and name not in _HOW_IT_RUNS:
            found[name] = parameter.default
    return found


def _complaint(torch_class: str, setting: Mapping[str, Any]) -> str | None:
    """What torch says, in one line, against a step of the class under that setting, if anything."""
    layer = torch.nn.Linear(4, 3)
    for parameter in layer.parameters():
        parameter.grad = torch.ones_like(parameter)
    try:
        build(torch_class, layer.parameters(), **setting).step()
    except Exception as error:  # whatever torch makes of a value that it doesn't take
        return " ".join(str(error).split()) or type(error).__name__
    return None
