"""The short part of the chaos tests: coordinators with an inline worker. `make chaos` is the long one.

What is done to sweeps on Ray in `make test` is in `test_ray_sweeps.py`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from chaos import acts, campaign
from chaos.campaign import PLACES, Toll
from chaos.checker import Database
from chaos.nursery import Nursery
from postgres_server import PostgresServer

from sweeper.crashpoints import Point


@dataclass(frozen=True)
class Stage:
    """Where the tests take place: what brings coordinators up, and the sweep that nobody disturbed."""

    nursery: Nursery
    directory: Path
    file: Path
    expected: Database


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    directory = tmp_path_factory.mktemp("chaos")
    with Nursery() as nursery:
        file = campaign.write_experiment(directory)
        yield Stage(nursery, directory, file, campaign.undisturbed(nursery, file, directory))


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def new_store(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Gives the URL of a new store each time."""
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        return server.store_url
    names = iter(range(10_000))
    return lambda: f"sqlite:///{tmp_path / f'{next(names)}.db'}"


def test_killed_at_every_point_nothing_is_lost_or_doubled(stage: Stage, new_store: Callable[[], str]) -> None:
    def enough(toll: Toll) -> bool:
        return all(toll.kills[place] for place in PLACES)

    toll = campaign.inline(stage.nursery, stage.file, stage.expected, new_store, until=enough, most_nth=6)
    assert toll.n_kills >= len(PLACES)


@pytest.mark.parametrize("point", [Point.BEFORE_COMMIT, Point.AFTER_DISPATCH])
def test_a_coordinator_that_wakes_after_it_was_replaced_writes_nothing(
    point: Point, stage: Stage, new_store: Callable[[], str]
) -> None:
    acts.frozen_and_replaced(stage.nursery, stage.directory, new_store(), stage.expected, point, 5)


@pytest.mark.postgres
def test_postgresql_lets_a_successor_past_a_coordinator_that_is_frozen_within_a_commit(
    stage: Stage, postgres_server: PostgresServer
) -> None:
    url = postgres_server.store_url()
    acts.frozen_and_replaced(stage.nursery, stage.directory, url, stage.expected, Point.WITHIN_COMMIT, 5)


def test_a_coordinator_that_is_killed_within_a_commit_leaves_nothing_of_it(
    stage: Stage, new_store: Callable[[], str]
) -> None:
    acts.frozen_and_killed(stage.nursery, stage.directory, new_store(), stage.expected)


def test_sqlites_lock_is_kept_by_a_coordinator_that_is_frozen_within_a_commit(
    stage: Stage, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    acts.frozen_with_the_lock(stage.nursery, stage.directory, url, stage.expected)


def test_a_full_disk_ends_a_sweep_with_a_clear_line_and_resume_goes_on(stage: Stage, tmp_path: Path) -> None:
    try:
        acts.disk_full(stage.nursery, tmp_path, stage.expected)
    except PermissionError as reason:
        pytest.skip(str(reason))


@pytest.mark.postgres
def test_postgresql_that_is_away_for_longer_than_a_lease_costs_nothing(stage: Stage) -> None:
    with PostgresServer() as server:
        said = acts.outage(
            stage.nursery,
            stage.directory,
            server.store_url(),
            stage.expected,
            stop=server.stop,
            start=server.start,
            seconds=2 * acts.LEASE_S,
        )
    assert "trying again" in said
