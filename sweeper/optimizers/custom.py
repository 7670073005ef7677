"""Any class of torch.optim as an arm, by its name: `class = "torch.optim.RAdam"` in the experiment file.

Its hyperparameters have the constructor's own names, but for `betas`, which is `beta1` and `beta2`.
"""

import inspect
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch

from sweeper.errors import UsageError
from sweeper.optimizers.arm import Arm
from sweeper.optimizers.builders import decayed

PREFIX = "torch.optim."

COMBINATIONS = 256
"""So many combinations of values are tried before a sweep begins."""

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

    `settings` are the values to try of each hyperparameter. They are tried together, up to `COMBINATIONS`
    combinations, for some are wrong only beside others (SGD's `nesterov` needs a `momentum`).
    """
    try:
        defaults = _defaults(_class(torch_class))
    except UsageError as error:
        return [f'class = "{torch_class}": {error}']
    legal = ", ".join(defaults)
    found = [
        f"{key}: unknown key for {torch_class}; legal: {legal}" for key in settings if key not in defaults
    ]
    if complaint := _complaint(torch_class, {}):
        return [*found, f'class = "{torch_class}": {complaint}']  # it can't run at all: no value will help
    known: dict[str, list[Any]] = {}
    for key in (key for key in settings if key in defaults):
        known[key] = list(settings[key])
        if isinstance(defaults[key], bool) and not all(isinstance(value, bool) for value in known[key]):
            found.append(f"{key}: must be true or false, or a list of both")
            del known[key]
    single = _single_values(torch_class, known)
    return found + (single or _combinations(torch_class, known))


def _single_values(torch_class: str, values: Mapping[str, Sequence[Any]]) -> list[str]:
    """A line for each value that torch refuses alone, and beside the others' first and last values too."""
    companies = [{key: several[end] for key, several in values.items()} for end in (0, -1)]
    lines = []
    for key, value in ((key, value) for key, several in values.items() for value in several):
        complaint = _complaint(torch_class, {key: value})
        if complaint and all(_complaint(torch_class, {**company, key: value}) for company in companies):
            lines.append(f"{key} = {value}: {complaint}")
    return lines


def _combinations(torch_class: str, values: Mapping[str, Sequence[Any]]) -> list[str]:
    """A line for each complaint of torch's about values together, with only those that bring it about."""
    lines: dict[str, str] = {}
    combinations = itertools.product(*values.values())
    for combination in itertools.islice(combinations, COMBINATIONS):
        setting = dict(zip(values, combination, strict=True))
        complaint = _complaint(torch_class, setting)
        if complaint is None or complaint in lines:
            continue
        for key in list(setting):
            fewer = {other: value for other, value in setting.items() if other != key}
            if _complaint(torch_class, fewer) == complaint:
                setting = fewer
        culprits = ", ".join(f"{key} = {value}" for key, value in setting.items())
        lines[complaint] = f"{culprits}: {complaint}"
    return list(lines.values())


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
    parameters = [torch.nn.Parameter(torch.zeros(shape)) for shape in ((3, 4), (3,))]
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    try:
        build(torch_class, parameters, **setting).step()
    except Exception as error:  # whatever torch makes of a value that it doesn't take
        return " ".join(str(error).split()) or type(error).__name__
    return None
