"""What `sweeper gradcheck` prints: every model's and loss's gradient against the numerical one."""

import contextlib
import json
import math
import time
from collections.abc import Iterator, Sequence
from typing import Any

import torch
import typer
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from sweeper import architectures
from sweeper.cli.progress import duration
from sweeper.lab import gradcheck
from sweeper.lab.verdict import CENTRED_BAR, Check
from sweeper.training.losses import LOSSES


def check(model: str | None, loss: str | None, *, all_coordinates: bool, as_json: bool) -> int:
    """Check the named model and loss, or every one; gives the exit status: 1 where a gradient is wrong."""
    torch.set_num_threads(1)
    models = architectures.NAMES if model is None else (model,)
    losses = tuple(LOSSES) if loss is None else (loss,)
    started = time.perf_counter()
    with _progress() as progress:
        checks = list(gradcheck.check_all(models, losses, all_coordinates=all_coordinates, progress=progress))
    took_s = time.perf_counter() - started
    if as_json:
        typer.echo(json.dumps([_row(check) for check in checks], indent=2, allow_nan=False))
    else:
        _print(checks, took_s)
    return int(not all(check.passed for check in checks))


@contextlib.contextmanager
def _progress() -> Iterator[gradcheck.Progress | None]:
    """A bar per model on a terminal's stderr; nothing elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=30), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True) as bars:
        tasks: dict[str, Any] = {}

        def show(model: str, done: int, total: int) -> None:
            if model not in tasks:
                tasks[model] = bars.add_task(model, total=total)
            bars.update(tasks[model], completed=done)

        yield show


def _print(checks: Sequence[Check], took_s: float) -> None:
    console = Console()
    if not console.is_terminal:
        console = Console(width=140)
    console.print(_table(checks), highlight=False)
    for check in checks:
        for failure in check.failures:
            console.print(_complaint(check, failure), markup=False, highlight=False, soft_wrap=True)
    n_failed = sum(not check.passed for check in checks)
    verdict = f"{n_failed} of {len(checks)} gradients are wrong" if n_failed else "every gradient is right"
    lines = (
        f"{verdict} ({duration(took_s)}).",
        f"Errors are relative, the largest of all coordinates; a centred one passes below {CENTRED_BAR:g}. "
        "Kinks: coordinates within a step of a kink of ReLU, pooling or hinge, which are not judged.",
        "Whole: what a centred numerical gradient of every parameter would take, two passes for each; "
        "autograd: what the exact one takes.",
    )
    for line in lines:
        console.print(line, markup=False, highlight=False)


def _table(checks: Sequence[Check]) -> Table:
    title = "Numerical gradients against autograd's, in float64"
    table = Table(
        title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True
    )
    table.add_column("model", no_wrap=True)
    table.add_column("loss", no_wrap=True)
    for heading in (
        *("checked", "of", "kinks", "error\nforward", "error\ncentred", "written\nout", "torch's\ncheck"),
        *("it took", "whole", "autograd", "faster\nby"),
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("")
    for check in checks:
        table.add_row(
            check.model,
            check.loss,
            f"{check.coordinates:,}",
            f"{check.parameters:,}",
            f"{check.kinks:,}",
            _error(check.forward_error),
            _error(check.centred_error),
            "-" if check.written_out is None else _error(check.written_out.error),
            _opinion(check),
            f"{check.numerical_s:.1f} s",
            duration(check.whole_numerical_s),
            f"{1e3 * check.analytic_s:.1f} ms",
            f"{check.whole_numerical_s / check.analytic_s:,.0f} x",
            "ok" if check.passed else "WRONG",
        )
    return table


def _error(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.0e}"


def _opinion(check: Check) -> str:
    if check.torch is None or check.torch.agrees is None:
        return "-"
    return "agrees" if check.torch.agrees else "disagrees"


def _complaint(check: Check, failure: str) -> str:
    where = f"{check.model}, {check.loss}: {failure}"
    for tensor in check.tensors:
        if tensor.tensor == failure:
            return (
                f"{where}: centred error {_error(tensor.centred_error)}, forward "
                f"{_error(tensor.forward_error)}, {tensor.kinks} of {tensor.coordinates} on kinks"
            )
    return f"{where}: disagrees with autograd"


def _row(check: Check) -> dict[str, Any]:
    """A check for JSON; an error of which nothing is known is null."""
    written_out = None if check.written_out is None else check.written_out.error
    return {
        "model": check.model,
        "loss": check.loss,
        "passed": check.passed,
        "failures": list(check.failures),
        "input_size": check.input_size,
        "images": check.n_images,
        "parameters": check.parameters,
        "coordinates": check.coordinates,
        "kinks": check.kinks,
        "forward_error": _known(check.forward_error),
        "centred_error": _known(check.centred_error),
        "written_out_error": written_out,
        "torch_gradcheck": None if check.torch is None else check.torch.agrees,
        "numerical_s": check.numerical_s,
        "whole_numerical_s": check.whole_numerical_s,
        "analytic_s": check.analytic_s,
        "tensors": [
            {
                "tensor": tensor.tensor,
                "size": tensor.size,
                "coordinates": tensor.coordinates,
                "kinks": tensor.kinks,
                "forward_error": _known(tensor.forward_error),
                "centred_error": _known(tensor.centred_error),
                "passed": tensor.passed,
            }
            for tensor in check.tensors
        ],
    }


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
