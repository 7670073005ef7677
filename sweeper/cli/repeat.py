"""`sweeper repeat`: a stored trial trained again, and its network to take away."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sweeper.cli.app import DataOption, StoreOption, app, reported
from sweeper.printable import printable

if TYPE_CHECKING:
    from sweeper.api.repeat import Repetition
    from sweeper.records import EpochRecord


@app.command(epilog="Example: sweeper repeat cifar10-cnn adam 7 --save model.pt")
@reported
def repeat(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The sweep.")],
    optimizer: Annotated[str, typer.Argument(metavar="OPTIMIZER", help="The optimizer.")],
    number: Annotated[int, typer.Argument(metavar="NUMBER", help="The trial's number.")],
    final: Annotated[bool, typer.Option("--final", help="Of the finals, not of the search.")] = False,
    save: Annotated[
        Path | None, typer.Option("--save", metavar="FILE", help="Where the trained network goes.")
    ] = None,
    store: StoreOption = None,
    data_dir: DataOption = None,
    force: Annotated[
        bool, typer.Option("--force", help="Even under other versions of torch or optuna.")
    ] = False,
) -> None:
    """Train a trial again with its seed, and say whether it comes out as it is stored."""
    from sweeper.api.repeat import repeat
    from sweeper.cli.progress import display

    def told(record: "EpochRecord") -> None:
        typer.echo(_epoch(record), err=True)

    with display() as shown:
        repetition = repeat(
            name,
            optimizer,
            number,
            store,
            final=final,
            save=save,
            data_dir=data_dir,
            force=force,
            display=shown,
            reported=told,
        )
    typer.echo(_verdict(repetition))
    if save is not None:
        typer.echo(f"{printable(str(save))}: sweeper.training.saving.load reads it")


def _epoch(record: "EpochRecord") -> str:
    parts = [f"train_loss {record.train_loss:.4f}"]
    if record.val_loss is not None:
        parts += [f"val_loss {record.val_loss:.4f}", f"val_accuracy {record.val_accuracy:.4f}"]
    return f"epoch {record.epoch}: {', '.join(parts)}"


def _verdict(repetition: "Repetition") -> str:
    from sweeper.analysis.sentences import counted

    stored = repetition.stored
    outcome = repetition.outcome or stored.state
    # A rule whose steps span epochs has fewer records than epochs.
    n_epochs = repetition.records[-1].epoch if repetition.records else 0
    text = f"{stored.key} {outcome} after {counted(n_epochs, 'epoch')}"
    if (test := repetition.test) is not None:
        text += f", test loss {test.loss:.4f}, test accuracy {test.accuracy:.4f}"
    if repetition.is_same is None:
        return f"{text}; nothing is stored of it to compare with"
    if repetition.is_same:
        return f"{text}: the same as stored, bit for bit"
    return (
        f"{text}: not as stored, by up to {repetition.largest:.2g}; "
        "expected on another processor or version of torch"
    )
