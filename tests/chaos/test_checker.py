"""The checker sees what it says it does: each invariant is broken by hand in a store that is whole."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from chaos import campaign
from chaos.campaign import Toll
from chaos.checker import Database, faults
from chaos.nursery import Nursery

from sweeper.crashpoints import Point
from sweeper.store import Store

RECORD = "samples, steps, grad_evals, train_loss, val_loss, val_accuracy, lr, train_s, eval_s, recorded_at"
BREAKS = {
    "a trial is missing": "DELETE FROM trials WHERE id = 2",
    "a trial is not of the plan": "UPDATE trials SET number = 77 WHERE id = 2",
    "a trial is not complete": "UPDATE trials SET state = 'running' WHERE id = 1",
    "the sweep is not complete": "UPDATE sweeps SET state = 'running'",
    "a setting differs": "UPDATE trials SET params = replace(params, '\"lr\": ', '\"lr\": 1') WHERE id = 1",
    "a seed differs": "UPDATE trials SET seed = seed + 1 WHERE id = 2",
    "a final's score differs": "UPDATE trials SET test_loss = test_loss + 1e-9 WHERE phase = 'final'",
    "a loss differs in its last bit": "UPDATE epochs SET val_loss = val_loss * (1 + 3e-16)",
    "an epoch is missing": "DELETE FROM epochs WHERE trial_id = 1 AND epoch = 2",
    "an epoch is one too many": f"INSERT INTO epochs SELECT 1, 1, 4, 9999, {RECORD.partition(', ')[2]} "
    "FROM epochs WHERE trial_id = 1 AND epoch = 3",
    "an epoch is of no attempt": f"INSERT INTO epochs SELECT 1, 99, 2, {RECORD} "
    "FROM epochs WHERE trial_id = 1 AND epoch = 2",
    "an epoch came before the one before": "UPDATE epochs SET recorded_at = '2000-01-01' "
    "WHERE trial_id = 1 AND epoch = 2",
    "a trial has no attempt": "DELETE FROM attempts WHERE trial_id = 1",
    "an attempt is missing": "UPDATE attempts SET attempt = 2 WHERE trial_id = 1",
    "an attempt never ended": "UPDATE attempts SET ended_at = NULL WHERE trial_id = 1",
    "an attempt ended before it began": "UPDATE attempts SET ended_at = '2000-01-01' WHERE trial_id = 1",
    "a strike for nothing": "UPDATE attempts SET strike = 1 WHERE trial_id = 1",
    "an earlier coordinator came later": "UPDATE attempts SET worker = '0/inline' WHERE attempt = 2",
    "a fenced coordinator wrote an epoch": "UPDATE chaos_audit SET token = token + 1 "
    "WHERE rowid = (SELECT max(rowid) FROM chaos_audit WHERE what = 'epoch')",
    "a trigger was silent": "DELETE FROM chaos_audit WHERE what = 'end'",
}


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery() as each:
        yield each


@pytest.fixture(scope="module")
def whole(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Database]:
    """A sweep that was killed within an attempt and gone on with, and the one that nobody disturbed."""
    directory = tmp_path_factory.mktemp("checker")
    file = campaign.write_experiment(directory)
    expected = campaign.undisturbed(nursery, file, directory)
    url = f"sqlite:///{directory / 'whole.db'}"
    Store.open(url, create=True).close()
    Database(url).watch()
    common = ["--store", url, "--workers", "inline"]
    assert nursery.live(["run", str(file), *common], Point.AFTER_DISPATCH.value, 5)[0] < 0
    while not _was_in_the_middle(directory / "whole.db"):  # the attempt was not stored yet: another one
        assert nursery.live(["resume", "chaos", *common], Point.AFTER_DISPATCH.value, 2)[0] < 0
    assert nursery.live(["resume", "chaos", *common])[0] == 0
    return directory / "whole.db", expected


def _was_in_the_middle(path: Path) -> bool:
    """Whether a killed coordinator has left an attempt open."""
    with closing(sqlite3.connect(path)) as connection:
        return bool(connection.execute("SELECT 1 FROM attempts WHERE ended_at IS NULL").fetchall())


def test_nothing_is_wrong_with_a_sweep_that_is_whole(whole: tuple[Path, Database]) -> None:
    path, expected = whole
    assert faults(Database(f"sqlite:///{path}"), campaign.PLAN, expected) == []


@pytest.mark.parametrize("broken", BREAKS)
def test_the_checker_finds_what_is_wrong(broken: str, whole: tuple[Path, Database], tmp_path: Path) -> None:
    path, expected = whole
    copy = tmp_path / "broken.db"
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as connection:
        source.backup(connection)
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        assert connection.execute(BREAKS[broken]).rowcount > 0
        connection.commit()
    assert faults(Database(f"sqlite:///{copy}"), campaign.PLAN, expected)


def test_a_place_that_is_never_hit_fails_the_campaign() -> None:
    toll = Toll()
    toll.note("a place", is_hit=True)

    def miss_for_ever(note: Callable[..., None]) -> None:
        while True:
            note("a place", is_hit=False)

    with pytest.raises(AssertionError, match="never hit: a place"):
        miss_for_ever(toll.note)
