"""Reads `[space]` and `[optimizers]`: what each arm searches."""

from collections.abc import Mapping
from typing import Any

from sweeper import optimizers, space
from sweeper.experiment.model import ArmSpace
from sweeper.experiment.wording import shown, suggestion
from sweeper.space import Dimension, Fixed

SHARED_DEFAULTS: Mapping[str, Any] = {
    "batch_size": [64, 128],
    "weight_decay": 0.0,
    "schedule": "constant",
    "sampling": "shuffle",
}
"""`[space]` where the file says nothing. `init` is searched only where it stands there: `[model]` has it."""

RUNS_NOW: Mapping[str, tuple[str, ...]] = {"schedule": ("constant",), "sampling": ("shuffle",), "init": ()}
"""The names that this version can run, for the dimensions of which it can't run all."""


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
    """`[optimizers]` in the file's order; without any table, every arm with its default space.

    `n_trials` is the number of trials per optimizer, by which default spaces grow; tables that are resolved
    get nothing from a default space.
    """
    arms = []
    for name, table in (tables or {name: {} for name in optimizers.ARMS}).items():
        if not isinstance(table, dict):
            problems.append(f"optimizers.{name} = {shown(table)}: must be a table, [optimizers.{name}]")
        elif name not in optimizers.ARMS:
            known = list(optimizers.ARMS)
            problems.append(
                f"optimizers.{name}: unknown optimizer{suggestion(name, known)}; legal: {', '.join(known)}"
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
    own = _read_dimensions(
        f"optimizers.{name}", {**defaults, **table}, (*arm.keys(), *space.SHARED), problems
    )
    return ArmSpace(name, own, {key: value for key, value in shared.items() if key not in own})


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
            continue
        if not _runs_now(name, dimensions[name]):
            now = ", ".join(RUNS_NOW[name]) or "leave it out ([model] init has it)"
            problems.append(
                f"{where}.{name} = {shown(raw)}: not yet in this version of Sweeper; legal now: {now}"
            )
    return dimensions


def _runs_now(name: str, dimension: Dimension) -> bool:
    if name not in RUNS_NOW:
        return True
    return isinstance(dimension, Fixed) and dimension.value in RUNS_NOW[name]
