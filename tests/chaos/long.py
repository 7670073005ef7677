"""The long form of the chaos tests: hundreds of kills on SQLite and on PostgreSQL, and a table of where.

    python -m chaos.long [--inline N] [--ray N] [--workers N] [--outage SECONDS] [--only sqlite or postgres]

Ends with status 1 where a sweep lost or doubled anything, or a crash point was hit fewer than ten times.
"""

import argparse
import itertools
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from chaos import acts, campaign, ray_campaign
from chaos.campaign import PLACES, Toll
from chaos.checker import Database
from chaos.nursery import Nursery
from postgres_server import PostgresServer

from sweeper.crashpoints import Point

LEAST = 10
"""Every crash point is hit so often."""

N_TRIALS = 6
"""Trials of each optimizer in the sweeps on Ray."""


@dataclass
class Stage:
    """Where a campaign takes place."""

    directory: Path
    nursery: Nursery
    new_store: Callable[[], str]
    expected: Database
    server: PostgresServer | None = None


def say(text: str) -> None:
    """A line, at once."""
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def told(what: str) -> Callable[[Toll], None]:
    """Says how far a campaign is, now and then."""
    last = time.monotonic()

    def tell(toll: Toll) -> None:
        nonlocal last
        if time.monotonic() - last > 20:
            last = time.monotonic()
            say(f"{what}: {toll.n_kills} kills in {toll.n_sweeps} sweeps")

    return tell


def inline(stage: Stage, n_kills: int, what: str) -> Toll:
    """Coordinators with inline workers, at every point."""

    def enough(toll: Toll) -> bool:
        return toll.n_kills >= n_kills and min(toll.kills[place] for place in PLACES) >= LEAST

    file = campaign.write_experiment(stage.directory)
    return campaign.inline(
        stage.nursery, file, stage.expected, stage.new_store, until=enough, said=told(what)
    )


def scenes(stage: Stage, outage_s: float) -> list[str]:
    """Everything that is no kill; what came of it, a line each."""
    lines = []

    def play(name: str, act: Callable[[], object]) -> None:
        began = time.monotonic()
        try:
            act()
            lines.append(f"{name}: survived, {time.monotonic() - began:.0f} s")
        except PermissionError as reason:
            lines.append(f"{name}: left out, {reason}")
        say(lines[-1])

    n, d, expected = stage.nursery, stage.directory, stage.expected
    points = [Point.BEFORE_COMMIT, Point.AFTER_COMMIT, Point.BEFORE_DISPATCH, Point.AFTER_DISPATCH]
    if stage.server is not None:
        points.append(Point.WITHIN_COMMIT)
    for point in points:
        play(
            f"frozen {point} past its lease, replaced, woken",
            lambda point=point: acts.frozen_and_replaced(n, d, stage.new_store(), expected, point, 5),
        )
    play(
        "frozen within a commit, then killed",
        lambda: acts.frozen_and_killed(n, d, stage.new_store(), expected),
    )
    if stage.server is None:
        play(
            "frozen with SQLite's lock, woken",
            lambda: acts.frozen_with_the_lock(n, d, stage.new_store(), expected),
        )
        play("disk full", lambda: acts.disk_full(n, d, expected))
    else:
        server = stage.server
        play(
            f"PostgreSQL away for {outage_s:.0f} s",
            lambda: acts.outage(
                n, d, stage.new_store(), expected, stop=server.stop, start=server.start, seconds=outage_s
            ),
        )
    return lines


def play_all(stage: Stage, wanted: argparse.Namespace, what: str) -> dict[str, Toll]:
    """Every campaign on one kind of database."""
    tolls = {"inline coordinators": inline(stage, wanted.inline, f"{what}, inline")}
    say(f"{what}, inline: {tolls['inline coordinators']}")
    scenes(stage, wanted.outage)
    sweeps = ray_campaign.Sweeps.of(stage.nursery, stage.directory, stage.new_store, N_TRIALS)
    for name, campaign_of, n_kills in (
        ("coordinators on Ray", ray_campaign.coordinators, wanted.ray),
        ("workers on Ray", ray_campaign.workers, wanted.workers),
    ):
        tolls[name] = campaign_of(sweeps, n_kills=n_kills, said=told(f"{what}, {name}"))
        say(f"{what}, {name}: {tolls[name]}")
    return tolls


def table(tolls: dict[str, dict[str, Toll]]) -> str:
    """Kills by place, a column for each campaign."""
    columns = [(database, name) for database, mine in tolls.items() for name in mine]
    places = [*PLACES, ray_campaign.WORKER]
    lines = ["| place | " + " | ".join(f"{name}, {database}" for database, name in columns) + " |"]
    lines.append("|---" * (len(columns) + 1) + "|")
    for place in places:
        counts = [tolls[database][name].kills[place] for database, name in columns]
        lines.append(f"| {place} | " + " | ".join(map(str, counts)) + " |")
    totals = [tolls[database][name] for database, name in columns]
    lines.append("| **all** | " + " | ".join(str(toll.n_kills) for toll in totals) + " |")
    lines.append("| sweeps, each whole | " + " | ".join(str(toll.n_sweeps) for toll in totals) + " |")
    return "\n".join(lines)


def main() -> int:
    """Play everything, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--inline", type=int, default=500, help="kills of coordinators with inline workers")
    parser.add_argument("--ray", type=int, default=20, help="kills of coordinators with Ray workers")
    parser.add_argument("--workers", type=int, default=50, help="kills of Ray workers")
    parser.add_argument("--outage", type=float, default=60, help="seconds that PostgreSQL is away")
    parser.add_argument("--only", choices=("sqlite", "postgres"))
    wanted = parser.parse_args()
    tolls: dict[str, dict[str, Toll]] = {}
    with tempfile.TemporaryDirectory() as place, Nursery() as nursery:
        directory = Path(place)
        file = campaign.write_experiment(directory)
        expected = campaign.undisturbed(nursery, file, directory)
        if wanted.only != "postgres":
            numbers = itertools.count()
            stage = Stage(
                directory, nursery, lambda: f"sqlite:///{directory / f'{next(numbers)}.db'}", expected
            )
            tolls["SQLite"] = play_all(stage, wanted, "SQLite")
        if wanted.only != "sqlite":
            with PostgresServer() as server:
                stage = Stage(directory, nursery, server.store_url, expected, server)
                tolls["PostgreSQL"] = play_all(stage, wanted, "PostgreSQL")
    print(table(tolls))
    return 0


if __name__ == "__main__":
    sys.exit(main())
