"""Sweeps as jobs of a Ray cluster: what goes there, and what the job does where it arrives.

The laptop reads and checks the experiment; the job reads it again, beside the cluster's store and data, and
begins a sweep or goes on with it. So a laptop needs no way to the store.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sweeper import checkpoints
from sweeper import experiment as experiments
from sweeper.api import preparation
from sweeper.api.display import Display
from sweeper.api.execution import resume, run
from sweeper.api.sweep import Sweep, open_store, store_url
from sweeper.errors import ExperimentError, NotFoundError, SweepExistsError, UsageError
from sweeper.experiment import Experiment
from sweeper.store.url import parse, shown

if TYPE_CHECKING:
    from sweeper.cluster import Jobs

FILE = "experiment.toml"
"""The experiment in a job's directory."""

COMMAND = ("python", "-m", "sweeper", "coordinate")
"""What a job runs."""

PAGE_VARIABLE = "SWEEPER_DASHBOARD_URL"
"""Where the live page is, as a browser finds it."""


def submit(
    jobs: "Jobs", file: Path | str, *, name: str | None = None, settings: Sequence[str] = ()
) -> tuple[str, str]:
    """Let the cluster run the experiment `file` as a sweep, or go on with it: the names of sweep and job.

    Raises ExperimentError, and UsageError where a job runs that sweep already.
    """
    experiment = preparation.read(file, settings)
    if problems := _checkpoint_problems(experiments.read(file, settings)):
        raise ExperimentError(str(file), problems)
    sweep = experiments.checked_name(name) if name is not None else experiment.name
    optimizers = ", ".join(arm.name for arm in experiment.arms)
    metadata = {**_metadata(sweep), "experiment": fingerprint(experiment), "optimizers": optimizers}
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / FILE).write_text(experiment.text, encoding="utf-8")
        command = [*COMMAND, sweep, "--file", FILE, *_options(settings)]
        return sweep, jobs.submit(sweep, command, Path(directory), metadata)


def resubmit(jobs: "Jobs", sweep: str, *, settings: Sequence[str] = (), force: bool = False) -> str:
    """Let the cluster go on with a sweep that is in its store; gives the job's name.

    Raises UsageError where a job runs that sweep already.
    """
    earlier = [job.metadata for job in jobs.of(experiments.checked_name(sweep))]
    metadata = {**(earlier[-1] if earlier else {}), **_metadata(sweep)}
    with tempfile.TemporaryDirectory() as directory:
        command = [*COMMAND, sweep, *_options(settings), *(["--force"] if force else [])]
        return jobs.submit(sweep, command, Path(directory), metadata)


def coordinate(
    name: str, file: Path | None, *, settings: Sequence[str], force: bool, display: Display
) -> Sweep:
    """Be the job: run the experiment `file` as the sweep `name`, or, where there is one, go on with it.

    The store is SWEEPER_STORE, the data SWEEPER_DATA, the cluster the one that the job belongs to. Raises
    UsageError where the store is in a directory that ends with the job, SweepExistsError where the stored
    sweep is of another experiment, and as `run` and `resume` do.
    """
    _require_lasting(store_url())
    display.note(f"summary: sweeper status {name}")
    if page := live_page(name):
        display.note(f"live page: {page}")
    store = open_store()
    try:
        store.sweep(name)
    except NotFoundError:
        if file is None:
            raise
        return run(file, store_url(), name=name, settings=settings, address="auto", display=display)
    if file is not None:
        settings = _extension(Sweep(store, name), file, settings)
    return resume(name, store, settings=settings, force=force, address="auto", display=display)


def live_page(sweep: str) -> str | None:
    """The address of the sweep's live page, where the environment tells it."""
    base = os.environ.get(PAGE_VARIABLE)
    return f"{base.rstrip('/')}/sweeps/{sweep}" if base else None


def fingerprint(experiment: Experiment) -> str:
    """The SHA-256 of all that the experiment asks for, its name apart."""
    document = experiment.document()
    document = {**document, "experiment": {**document["experiment"], "name": ""}}
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _metadata(sweep: str) -> dict[str, str]:
    """What a job tells of itself to everyone who sees the dashboard."""
    page = live_page(sweep)
    return {"sweep": sweep, "summary": f"sweeper status {sweep}", **({"live_page": page} if page else {})}


def _options(settings: Iterable[str]) -> list[str]:
    return [word for setting in settings for word in ("--set", setting)]


def _checkpoint_problems(experiment: Experiment) -> list[str]:
    """A job's own directory goes with it, and checkpoints in it."""
    section = experiment.checkpoint
    if not section.every_epochs or checkpoints.absolute(section.directory) == section.directory:
        return []
    return [
        f"checkpoint.directory = {section.directory!r}: on a cluster it must be absolute or a URL, and every "
        f"node must reach it"
    ]


def _require_lasting(url: str) -> None:
    """Raises UsageError for an SQLite file in the job's own directory, which is removed with the job."""
    location = parse(url)
    if location.is_in_memory or (location.path is not None and not location.path.is_absolute()):
        is_set = os.environ.get("SWEEPER_STORE")
        given = f"SWEEPER_STORE = {shown(location.url)}" if is_set else "SWEEPER_STORE is not set"
        raise UsageError(
            f"{given} on the cluster, and a job's directory is temporary: it must be "
            f"postgresql://USER@HOST/DB, or sqlite:////ABSOLUTE/PATH on the head node"
        )


def _extension(sweep: Sweep, file: Path, settings: Sequence[str]) -> list[str]:
    """The settings by which the stored sweep grows to what the file asks for.

    Raises SweepExistsError where that is another experiment. What may grow can have an influence on the
    spaces that are searched, which stay as they were: so the file counts as the same with those or without.
    """
    if sweep.experiment.imported:
        raise SweepExistsError(
            f"a sweep called {sweep.name!r} exists, of imported results: take another name"
        )
    wanted = preparation.read(file, settings)
    without = [each for each in settings if each.partition("=")[0].strip() not in experiments.MAY_GROW]
    found = [_other(sweep.experiment, wanted), _other(sweep.experiment, preparation.read(file, without))]
    if all(found):
        few = "; ".join(found[0][:3])
        raise SweepExistsError(
            f"sweep {sweep.name!r} is of another experiment: {few}; submit this one with --name OTHER"
        )
    return experiments.growth(sweep.experiment, wanted)


def _other(stored: Experiment, wanted: Experiment) -> list[str]:
    """Where `wanted` differs from what is stored in more than what may grow."""
    return [
        f"{key} is {there} there, {here} here"
        for key, there, here in experiments.differing(stored, wanted)
        if key not in experiments.MAY_GROW
    ]
