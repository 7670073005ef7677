"""The optimizers as tables for a terminal: the lecture's properties, and what is searched of each."""

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Console, Group
from rich.table import Table

from sweeper.optimizers import ARMS, LECTURE, Arm
from sweeper.optimizers.arm import DefaultDimension

SCALES = {"log": "log", "one_minus_log": "log in 1 - x", "linear": "linear"}


def print_arms() -> None:
    """Print every arm: the lecture's six, a line, then those beyond it."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=140)
    notes = (
        "Bold: the lecture's table. A dimension marked with a number is searched from so many trials per "
        "optimizer on, and fixed below.\n"
        'Any other class of torch.optim: \\[optimizers.NAME] class = "torch.optim.X" with its space.'
    )
    console.print(Group(_properties(), "", _spaces(), "", notes), highlight=False)


def _properties() -> Table:
    table = Table(title="Properties", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("optimizer", "what it does", "torch class"):
        table.add_column(heading, overflow="fold")
    for heading in ("first\nmoments", "second\nmoments", "leaky", "bias\ncorrection"):
        table.add_column(heading, justify="center")
    for arm in ARMS.values():
        flags = (arm.first_moments, arm.second_moments, arm.leaky_second_moments, arm.bias_correction)
        table.add_row(
            _name(arm),
            arm.summary,
            arm.torch_class.rpartition(".")[2] if arm.torch_class.startswith("torch.") else "(Sweeper's own)",
            *("yes" if flag else "no" for flag in flags),
            end_section=arm.name == LECTURE[-1],
        )
    return table


def _spaces() -> Table:
    table = Table(title="Search spaces", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("optimizer", "a step sees", "searched", "untuned setting"):
        table.add_column(heading, overflow="fold")
    for arm in ARMS.values():
        searched = "; ".join(_dimension(name, d) for name, d in arm.space.items())
        table.add_row(
            _name(arm),
            arm.sees.value,
            searched or "nothing: only the seed changes",
            _setting(arm.default) or "weights from N(0, 1e-4²)",
            end_section=arm.name == LECTURE[-1],
        )
    return table


def _name(arm: Arm) -> str:
    return f"[bold]{arm.name}[/bold]" if arm.name in LECTURE else arm.name


def _dimension(name: str, dimension: DefaultDimension) -> str:
    raw = dimension.searched
    if isinstance(raw, dict):
        shown = f"{name} {raw['low']:g} to {raw['high']:g} ({SCALES[raw['scale']]})"
    elif isinstance(raw, list):
        shown = f"{name} {', '.join(f'{value:g}' for value in raw)}"
    else:
        shown = f"{name} {raw:g}"
    return f"{shown} \\[{dimension.from_trials}]" if dimension.from_trials > 1 else shown


def _setting(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in values.items())
