"""Results in and out of the store."""

from pathlib import Path
from typing import Annotated

import typer

from sweeper.cli.app import StoreOption, app, reported
from sweeper.errors import UsageError
from sweeper.printable import printable


@app.command(epilog="Example: sweeper export cifar10-cnn --out frames --format parquet")
@reported
def export(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The sweep.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="DIR", help="Where trials.EXT and epochs.EXT go, or the journal of studies."
        ),
    ] = None,
    format_: Annotated[
        str,
        typer.Option(
            "--format", metavar="FORMAT", help="csv, parquet, or optuna: studies for its dashboard."
        ),
    ] = "csv",
    storage: Annotated[
        str | None,
        typer.Option(
            "--storage",
            metavar="URL",
            help="With optuna: the database instead of a journal. Optuna takes some 50 ms a trial there.",
        ),
    ] = None,
    store: StoreOption = None,
) -> None:
    """Write a sweep's trials and epochs as tidy tables, or as Optuna studies."""
    from sweeper import api
    from sweeper.api import exchange

    if out is None and storage is None:
        raise UsageError("--out DIR is missing: where the files go")
    for written in exchange.export(api.load(name, store), out or Path(), format_, storage=storage):
        typer.echo(printable(written))


@app.command(
    "import", epilog="Example: sweeper import old-runs --trials old-runs.csv --proposals independent"
)
@reported
def import_(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The sweep to make.")],
    trials: Annotated[
        Path,
        typer.Option(
            "--trials",
            metavar="FILE",
            help=".csv, .tsv or .parquet with optimizer, number and one score; more columns as exported.",
        ),
    ],
    epochs: Annotated[
        Path | None,
        typer.Option("--epochs", metavar="FILE", help="The same, a row per epoch: learning curves."),
    ] = None,
    proposals: Annotated[
        str | None,
        typer.Option(
            "--proposals",
            metavar="KIND",
            help="independent: the settings were drawn without looking at other trials. Else not known, and "
            "then there is no expected best.",
        ),
    ] = None,
    store: StoreOption = None,
) -> None:
    """Make a sweep of results from elsewhere, such as a spreadsheet of old runs, to be compared."""
    from sweeper.analysis.sentences import counted
    from sweeper.api import exchange
    from sweeper.cli.progress import display

    if proposals not in (None, "independent"):
        raise UsageError(f"--proposals {proposals}: must be independent, or not given")
    with display() as shown:
        sweep = exchange.import_trials(
            name, trials, epochs, independent=proposals == "independent", store=store, display=shown
        )
    trials_, arms = counted(len(sweep.trials), "trial"), counted(len(sweep.experiment.arms), "optimizer")
    typer.echo(f"{printable(sweep.name)}: {trials_} of {arms}; `sweeper report {sweep.name}` compares them")
