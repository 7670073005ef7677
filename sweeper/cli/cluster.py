"""Sweeps on a cluster: `submit`, `jobs`, `logs` and `stop`, and `coordinate`, which is the job itself."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sweeper.cli.app import JsonOption, SettingsOption, StoreOption, app, reported
from sweeper.errors import UsageError
from sweeper.printable import one_line, printable

if TYPE_CHECKING:
    from sweeper.cluster import Jobs

ClusterOption = Annotated[
    str | None,
    typer.Option(
        "--address",
        metavar="URL",
        help="The cluster's dashboard, as http://HOST:8265; else RAY_API_SERVER_ADDRESS. Its token is "
        "RAY_AUTH_TOKEN, or the file RAY_AUTH_TOKEN_PATH.",
    ),
]
NoWaitOption = Annotated[bool, typer.Option("--no-wait", help="Don't follow the log.")]

ENDED_S = 15.0
"""How long Ray may take to say that a job is over whose log has ended."""


@app.command(epilog="Example: sweeper submit experiments/quickstart.toml --address http://127.0.0.1:8265")
@reported
def submit(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The experiment, a TOML file.")],
    address: ClusterOption = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="The sweep's name; else the experiment's.")
    ] = None,
    settings: SettingsOption = None,
    no_wait: NoWaitOption = False,
) -> None:
    """Run a sweep as a job of a Ray cluster, or go on with it, and follow its log.

    The store and the images are the cluster's: SWEEPER_STORE and SWEEPER_DATA in its environment. Ctrl-C
    ends the following only.
    """
    from sweeper.api import remote
    from sweeper.cluster import Jobs

    jobs = Jobs(address)
    sweep, job = remote.submit(jobs, file, name=name, settings=settings or [])
    attend(jobs, sweep, job, follow=not no_wait)


@app.command("jobs", epilog="Example: sweeper jobs --address http://127.0.0.1:8265")
@reported
def list_jobs(address: ClusterOption = None, as_json: JsonOption = False) -> None:
    """List the jobs of a cluster that run or ran sweeps, oldest first."""
    from sweeper.cli import output
    from sweeper.cluster import Jobs

    jobs = Jobs(address)
    output.print_jobs(jobs.all(), jobs.address, as_json=as_json)


@app.command(epilog="Example: sweeper logs cifar10-cnn -f --address http://127.0.0.1:8265")
@reported
def logs(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The sweep.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job ends.")] = False,
    address: ClusterOption = None,
) -> None:
    """Print the log of a sweep's newest job."""
    from sweeper.cluster import Jobs

    jobs = Jobs(address)
    job = jobs.latest(name)
    if follow:
        _follow(jobs, name, job.id)
    else:
        typer.echo(_shown(jobs.log(job.id)), nl=False)


@app.command(epilog="Example: sweeper stop cifar10-cnn")
@reported
def stop(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The sweep.")],
    store: StoreOption = None,
    address: ClusterOption = None,
) -> None:
    """Stop a sweep, here or on a cluster, so that it can be resumed.

    Its coordinator is asked through the store. Only where that fails is its job on the cluster stopped.
    """
    from sweeper.api import stopping
    from sweeper.cli.progress import display

    jobs = None
    if address or os.environ.get("RAY_API_SERVER_ADDRESS"):
        from sweeper.cluster import Jobs

        jobs = Jobs(address)
    with display() as shown:
        typer.echo(one_line(stopping.stop(name, store, jobs, shown)))


@app.command(hidden=True)
@reported
def coordinate(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The sweep.")],
    file: Annotated[Path | None, typer.Option(metavar="FILE", help="The experiment.")] = None,
    settings: SettingsOption = None,
    force: Annotated[bool, typer.Option("--force", help="As with resume.")] = False,
) -> None:
    """Be the job that `submit` and `resume` send to a cluster."""
    from sweeper.api import remote
    from sweeper.cli import output
    from sweeper.cli.progress import display

    with display() as shown:
        sweep = remote.coordinate(name, file, settings=settings or [], force=force, display=shown)
    raise typer.Exit(output.print_result(sweep, as_json=False))


def resume_there(
    name: str, address: str, settings: Sequence[str], *, force: bool, elsewhere: Sequence[str]
) -> None:
    """Go on with a sweep as a job of the cluster whose dashboard is at `address`, and follow its log.

    `elsewhere` are the options given that belong to the cluster's own environment. Raises UsageError for
    those.
    """
    from sweeper.api import remote
    from sweeper.cluster import Jobs

    if elsewhere:
        raise UsageError(f"{elsewhere[0]}: is the cluster's own, where --address is that of its dashboard")
    jobs = Jobs(address)
    attend(jobs, name, remote.resubmit(jobs, name, settings=settings, force=force), follow=True)


def attend(jobs: "Jobs", sweep: str, job: str, *, follow: bool) -> None:
    """Say which job runs the sweep, and follow its log to its end, to exit as it does."""
    typer.echo(f"sweeper: sweep {sweep} is job {job} at {jobs.address}", err=True)
    if follow:
        _follow(jobs, sweep, job)
    else:
        typer.echo(f"sweeper: `sweeper logs {sweep} -f` follows it", err=True)


def _follow(jobs: "Jobs", sweep: str, job: str) -> None:
    """Print a job's log until it ends; exits with the status of its coordinator."""
    try:
        for text in jobs.follow(job):
            typer.echo(_shown(text), nl=False)
            sys.stdout.flush()
    except KeyboardInterrupt:
        typer.echo(
            f"sweeper: job {job} goes on: `sweeper logs {sweep} -f` follows it, `sweeper stop {sweep}` "
            f"ends it",
            err=True,
        )
        raise typer.Exit(130) from None
    from sweeper.cluster import JobState

    ended = jobs.ended(job, ENDED_S)
    if ended.exit_status is None:
        typer.echo(f"sweeper: job {job} is {ended.state}: {one_line(ended.message)}", err=True)
        raise typer.Exit(130 if ended.state is JobState.STOPPED else 4)
    raise typer.Exit(ended.exit_status)


def _shown(text: str) -> str:
    """A log's text, which can't command a terminal."""
    return "\n".join(printable(line) for line in text.expandtabs().split("\n"))
