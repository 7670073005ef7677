"""`sweeper plan`: the command, and its plan as JSON."""

import dataclasses
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sweeper.cli.app import DataOption, JsonOption, SettingsOption, WorkersOption, app, reported, worker_count

if TYPE_CHECKING:
    from sweeper.api.plan import Plan


@app.command(epilog="Example: sweeper plan experiments/quickstart.toml --set final.seeds=20")
@reported
def plan(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The experiment, a TOML file.")],
    settings: SettingsOption = None,
    calibrate: Annotated[
        bool,
        typer.Option(
            "--calibrate/--no-calibrate",
            help="Train every optimizer for a moment, for the seconds to expect on this machine.",
        ),
    ] = True,
    workers: WorkersOption = None,
    data_dir: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what a sweep will cost and what it can decide, before anything is spent."""
    from sweeper import api
    from sweeper.cli import plan_tables

    planned = api.plan(
        file, settings or [], workers=worker_count(workers), data_dir=data_dir, calibrate=calibrate
    )
    if as_json:
        typer.echo(json.dumps(jsonable(planned), indent=2, allow_nan=False))
    else:
        plan_tables.print_plan(planned)


def jsonable(plan: "Plan") -> dict[str, Any]:
    """The plan as nested objects; the experiment is its name."""
    fields = {field.name: getattr(plan, field.name) for field in dataclasses.fields(plan)}
    rows = {key: value for key, value in fields.items() if key != "experiment"}
    return {"experiment": plan.experiment.name, **{key: _plain(value) for key, value in rows.items()}}


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
