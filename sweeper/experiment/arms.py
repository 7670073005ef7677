"""Reads `[space]` and `[optimizers]`: what each arm searches."""

import re
from collections.abc import Mapping
from typing import Any

from sweeper import optimizers, space
from sweeper.experiment.model import ArmSpace
from sweeper.experiment.sections import LARGEST
from sweeper.experiment.wording import shown, suggestion
from sweeper.space import Dimension

SHARED_DEFAULTS: Mapping[str, Any] = {
    "batch_size": [64, 128],
    "weight_decay": 0.0,
    "schedule": "constant",
    "sampling": "shuffle",
}
"""`[space]` where the file says nothing. `init` is searched only where it stands there: `[model]` has it."""

_CLASS_ARM_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,99}")
_CLASS = re.compile(r"torch\.optim\.[A-Za-z]\w{0,99}")
_KEYWORD = re.compile(r"[a-z_][a-z0-9_]{0,99}")
_NOT_OF_A_CLASS = ("effective_lr", "steps", "betas")


def read_shared(table: Mapping[str, Any], problems: list[str]) -> dict[str, Dimension]:
    """`[space]` with its defaults: the dimensions that all arms share."""
    return _read_dimensions("space", {**SHARED_DEFAULTS, **table}, space.SHARED, problems)


def read_arms(
    tables: Mapping[str, Any],
    shared: Mapping[str, Dimension],
    n_trials: int,
    problems: list[str],
    is_resolved: bool,
) -> tuple[ArmSpace, ...]:
    """`[optimizers]` in the file's order; without any table, the lecture's six with their default spaces.

    `n_trials` is the number of trials per optimizer, by which default spaces grow; tables that are resolved
    get nothing from a default space.
    """
    arms = []
    for name, table in (tables or {name: {} for name in optimizers.LECTURE}).items():
        if not isinstance(table, dict):
            problems.append(f"optimizers.{name} = {shown(table)}: must be a table, [optimizers.{name}]")
        elif "class" in table:
            arms.append(_read_class(name, table, shared, problems))
        elif name not in optimizers.ARMS:
            known = list(optimizers.ARMS)
            problems.append(
                f"optimizers.{name}: unknown optimizer{suggestion(name, known)}; legal: {', '.join(known)}, "
                f'or any other name with class = "torch.optim.X"'
            )
        else:
            defaults = {} if is_resolved else optimizers.ARMS[name].default_space(n_trials)
            arms.append(_read_arm(name, table, shared, defaults, problems))
    return tuple(arms)


def _read_arm(
    name: str,
    table: Mapping[str, Any],
    shared: Mapping[str, Dimension],
    defaults: dict[str, Any],
    problems: list[str],
) -> ArmSpace:
    arm = optimizers.ARMS[name]
    for given, stands_for in arm.aliases.items():
        if given in table and stands_for in table:
            problems.append(
                f"optimizers.{name}: {given} and {stands_for} stand for each other; give one of them"
            )
        elif given in table:
            defaults.pop(stands_for, None)
    steps = _read_steps(name, table["steps"], problems) if arm.may_have_steps and "steps" in table else None
    known = {key: raw for key, raw in table.items() if not (arm.may_have_steps and key == "steps")}
    legal = (*arm.keys(), *arm.shared, *(["steps"] if arm.may_have_steps else []))
    own = _read_dimensions(f"optimizers.{name}", {**defaults, **known}, legal, problems)
    return ArmSpace(name, own, _left(shared, own, arm.shared), steps=steps)


def _left(
    shared: Mapping[str, Dimension], own: Mapping[str, Dimension], used: tuple[str, ...]
) -> dict[str, Dimension]:
    """The shared dimensions that an arm uses and has none of its own for."""
    return {key: value for key, value in shared.items() if key in used and key not in own}


def _read_steps(name: str, raw: object, problems: list[str]) -> int:
    if isinstance(raw, int) and not isinstance(raw, bool) and 1 <= raw <= LARGEST:
        return raw
    problems.append(  # and then as if steps had been given: what the epochs pay doesn't matter
        f"optimizers.{name}.steps = {shown(raw)}: must be a whole number from 1 to {LARGEST:,}: how many "
        f"steps a trial takes, whatever they cost"
    )
    return 1


def _read_class(
    name: str, table: Mapping[str, Any], shared: Mapping[str, Dimension], problems: list[str]
) -> ArmSpace:
    """An arm of any class of torch.optim: its keys are looked up there when the sweep starts."""
    where = f"optimizers.{name}"
    torch_class = table["class"]
    if name in optimizers.ARMS:
        problems.append(
            f"{where}.class = {shown(torch_class)}: {name} is an arm already; give it another name"
        )
    elif not _CLASS_ARM_NAME.fullmatch(name):
        problems.append(f"{where}: must be called by a letter and then letters, digits, - and _")
    if not (isinstance(torch_class, str) and _CLASS.fullmatch(torch_class)):
        problems.append(f'{where}.class = {shown(torch_class)}: must be a name such as "torch.optim.RAdam"')
        torch_class = "torch.optim.X"  # the table's other mistakes still show
    own_table = {key: raw for key, raw in table.items() if key != "class"}
    if "lr" not in own_table:
        problems.append(
            f"{where}.lr: missing; a class has no default space: give lr a value or {{ low, high, scale }}"
        )
    legal = tuple(key for key in own_table if _KEYWORD.fullmatch(key) and key not in _NOT_OF_A_CLASS)
    problems += [
        f"{where}.{key}: unknown key; legal: what the constructor of {torch_class} takes"
        for key in own_table
        if key not in legal
    ]
    own = _read_dimensions(where, {key: own_table[key] for key in legal}, legal, problems)
    return ArmSpace(name, own, _left(shared, own, space.SHARED), torch_class=torch_class)


def _read_dimensions(
    where: str, table: Mapping[str, Any], legal: tuple[str, ...], problems: list[str]
) -> dict[str, Dimension]:
    dimensions: dict[str, Dimension] = {}
    for name, raw in table.items():
        if name not in legal:
            problems.append(
                f"{where}.{name}: unknown key{suggestion(name, legal)}; legal: {', '.join(legal)}"
            )
            continue
        try:
            dimensions[name] = space.parse(name, raw)
        except ValueError as error:
            problems.append(f"{where}.{name} = {shown(raw)}: {error}")
    return dimensions
