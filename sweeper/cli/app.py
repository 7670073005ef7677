"""The commands and their options. What they do is in the modules beside this one."""

import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from sweeper.cli.usage import Commands
from sweeper.errors import SweeperError, UsageError
from sweeper.printable import printable

Command = TypeVar("Command", bound=Callable[..., None])

app = typer.Typer(
    name="sweeper",
    cls=Commands,
    help="Which optimizer, tuned how, trains this small image model best, and how sure are we?",
    epilog="Begin with: sweeper run experiments/quickstart.toml",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)

StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="URL",
        help="The database, as sqlite:///PATH or postgresql://USER@HOST/DB; else SWEEPER_STORE, "
        "else sqlite:///sweeper.db.",
    ),
]
DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="DIR",
        help="Holds cifar-10-batches-bin/, cifar-100-binary/ or a .tar.gz of them; else SWEEPER_DATA, "
        "else the user's cache.",
    ),
]
SettingsOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Win over the file: budget.epochs=2. Repeatable."),
]
WorkersOption = Annotated[
    str | None,
    typer.Option(
        "--workers",
        metavar="N",
        help='How many workers, "auto" for as many as fit, or "inline" for one without Ray.',
    ),
]
AddressOption = Annotated[
    str | None,
    typer.Option(
        "--address", metavar="ADDRESS", help="A running Ray cluster to join, as HOST:PORT, or auto."
    ),
]
RayDashboardOption = Annotated[
    bool, typer.Option("--ray-dashboard", help="Start Ray's dashboard too, and say where it is.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else on stdout.")]


def reported(command: Command) -> Command:
    """Turns Sweeper's own errors into lines on stderr and the exit status that the error tree gives."""

    @functools.wraps(command)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except SweeperError as error:
            for line in str(error).split("\n"):
                typer.echo(f"sweeper: {line}", err=True)
            raise typer.Exit(error.exit_status) from None
        except KeyboardInterrupt:
            typer.echo("sweeper: interrupted", err=True)
            raise typer.Exit(130) from None
        except BrokenPipeError:  # the reader of our output has gone, as `head` does
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None

    return wrapper  # type: ignore[return-value]


def worker_count(text: str | None) -> Any:
    """What `--workers` says. Raises UsageError where it is no number of workers."""
    if text is None or text in ("auto", "inline"):
        return text
    if not (text.isdecimal() and len(text) < 10 and int(text)):  # the experiment file's own bound
        raise UsageError(f"--workers {text}: must be a whole number from 1 to 999,999,999, auto or inline")
    return int(text)


def is_dashboard(address: str) -> bool:
    """Whether the address is that of a cluster's dashboard, for jobs, and not one to join."""
    return address.startswith(("http://", "https://"))


@app.command(epilog="Example: sweeper run experiments/quickstart.toml --set budget.epochs=2 --workers 2")
@reported
def run(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The experiment, a TOML file.")],
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="The sweep's name; else the experiment's.")
    ] = None,
    store: StoreOption = None,
    settings: SettingsOption = None,
    workers: WorkersOption = None,
    data_dir: DataOption = None,
    address: AddressOption = None,
    ray_dashboard: RayDashboardOption = False,
    warm_start: Annotated[
        str | None,
        typer.Option(
            "--warm-start", metavar="NAME", help="An earlier sweep in the store, whose trials TPE shall know."
        ),
    ] = None,
    as_json: JsonOption = False,
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="FILE", help="Write the comparison there too: .html, .md or .json."),
    ] = None,
) -> None:
    """Run a sweep, with progress, and print the summary per optimizer."""
    from sweeper import api
    from sweeper.api import reporting
    from sweeper.cli.progress import display

    if address is not None and is_dashboard(address):
        raise UsageError(
            f"--address {address}: `sweeper submit` sends a job there; run joins HOST:PORT, or auto"
        )
    count = worker_count(workers)
    if report is not None:
        reporting.require_writable(report)
    with display() as shown:
        sweep = api.run(
            file,
            store,
            name=name,
            settings=settings or [],
            workers=count,
            data_dir=data_dir,
            address=address,
            ray_dashboard=ray_dashboard,
            warm_start=warm_start,
            display=shown,
        )
    from sweeper.cli import output

    status = output.print_result(sweep, as_json=as_json)
    if report is not None:
        for path in reporting.write(sweep.report(), report):
            typer.echo(f"sweeper: wrote {printable(str(path))}", err=True)
    raise typer.Exit(status)


@app.command(epilog="Example: sweeper resume cifar10-cnn --set budget.trials_per_optimizer=32")
@reported
def resume(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The sweep.")],
    store: StoreOption = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Raise budget.trials_per_optimizer, budget.max_seconds or final.seeds. Repeatable.",
        ),
    ] = None,
    workers: WorkersOption = None,
    data_dir: DataOption = None,
    address: AddressOption = None,
    ray_dashboard: RayDashboardOption = False,
    force: Annotated[
        bool, typer.Option("--force", help="Even under other versions of torch or optuna.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Go on with a sweep after any interruption. Finished trials stay as they are.

    With the address of a cluster's dashboard (http://HOST:8265), as a job there.
    """
    if address is not None and is_dashboard(address):
        from sweeper.cli.cluster import resume_there

        options = {"--store": store, "--workers": workers, "--data-dir": data_dir, "--json": as_json}
        elsewhere = [option for option, value in options.items() if value]
        resume_there(name, address, settings or [], force=force, elsewhere=elsewhere)
        return
    from sweeper import api
    from sweeper.cli.progress import display

    count = worker_count(workers)
    with display() as shown:
        sweep = api.resume(
            name,
            store,
            settings=settings or [],
            force=force,
            workers=count,
            data_dir=data_dir,
            address=address,
            ray_dashboard=ray_dashboard,
            display=shown,
        )
    from sweeper.cli import output

    raise typer.Exit(output.print_result(sweep, as_json=as_json))


@app.command("list", epilog="Example: sweeper list --store sqlite:///sweeper.db")
@reported
def list_sweeps(store: StoreOption = None, as_json: JsonOption = False) -> None:
    """List the sweeps in the store, newest first."""
    from sweeper import api
    from sweeper.cli import output

    output.print_sweeps(api.open_store(store), as_json=as_json)


@app.command(epilog="Example: sweeper status cifar10-cnn --json")
@reported
def status(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The sweep.")],
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show where a sweep stands: its state, its trials, and the summary per optimizer so far."""
    from sweeper import api

    sweep = api.load(name, store)
    from sweeper.cli import output

    output.print_status(sweep, as_json=as_json)


@app.command(epilog="Example: sweeper show cifar10-cnn adam 3")
@reported
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The sweep.")],
    optimizer: Annotated[str, typer.Argument(metavar="OPTIMIZER", help="The optimizer.")],
    number: Annotated[int, typer.Argument(metavar="NUMBER", help="The trial's number.")],
    final: Annotated[bool, typer.Option("--final", help="Of the finals, not of the search.")] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one trial: its setting, its epochs and its attempts."""
    from sweeper import api

    sweep = api.load(name, store)
    from sweeper.cli import output

    output.print_trial(sweep, optimizer, number, final=final, as_json=as_json)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib import metadata

        typer.echo(f"sweeper {metadata.version('sweeper')}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Which optimizer, tuned how, trains this small image model best, and how sure are we?"""
