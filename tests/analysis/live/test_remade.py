"""A sweep or a store in the place of another one is told from it, however alike the two are."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import imported_sweeps
import pandas as pd
import pytest

from sweeper import api
from sweeper.analysis.live import Watch
from sweeper.analysis.live import watch as module
from sweeper.errors import NotFoundError
from sweeper.records import SweepInfo
from sweeper.store import Store

TABLE, _ = imported_sweeps.tables(12, 2, 2)


@pytest.fixture
def imported(store: Store) -> Store:
    """A store with one imported sweep: like every such one it has version 0, and its first id."""
    api.import_trials("made", TABLE, store=store)
    return store


@pytest.fixture
def watch(imported: Store) -> Iterator[Watch]:
    with contextlib.closing(Watch(imported.url)) as made:
        yield made


def worse() -> pd.DataFrame:
    """As many trials as before, with other results."""
    return TABLE.assign(val_loss=TABLE["val_loss"] + 0.25)


def test_a_sweep_that_was_imported_anew_has_news_and_numbers_of_its_own(
    watch: Watch, imported: Store
) -> None:
    before, of_all = watch.sweep("made"), watch.news()
    assert before.numbers.standing["best"].notna().all()
    imported.delete_sweep("made")
    api.import_trials("made", worse(), store=imported)
    assert watch.news() != of_all
    assert watch.news("made") != before.news
    after = watch.sweep("made")
    assert after.edition != before.edition, "what was drawn of the other one is not shown for this one"
    assert after.overview.best == pytest.approx(before.overview.best + 0.25)
    assert (after.numbers.standing["best"] > before.numbers.standing["best"]).all()


def test_a_sweep_in_the_place_of_a_deleted_one_is_news_to_the_list(watch: Watch, imported: Store) -> None:
    before = watch.news()
    imported.delete_sweep("made")
    api.import_trials("other", TABLE, store=imported)
    assert watch.news() != before
    assert [one.info.name for one in watch.sweeps()] == ["other"]


def test_a_replaced_file_has_news_of_its_own(watch: Watch, imported: Store, tmp_path: Path) -> None:
    before = watch.sweep("made")
    with contextlib.closing(Store.open(f"sqlite:///{tmp_path / 'other.db'}", create=True)) as other:
        api.import_trials("made", worse(), store=other)
    imported.close()
    (tmp_path / "other.db").replace(imported.url.removeprefix("sqlite:///"))
    assert watch.news("made") != before.news
    assert watch.sweep("made").edition != before.edition
    assert watch.sweep("made").overview.best == pytest.approx(before.overview.best + 0.25)


def test_a_sweep_that_is_deleted_while_the_list_is_read_is_left_out(
    watch: Watch, imported: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.import_trials("other", TABLE, store=imported)
    read = Store.sweep

    def late(store: Store, name: str) -> SweepInfo:
        if name == "made":
            imported.delete_sweep("made")
        return read(store, name)

    monkeypatch.setattr(Store, "sweep", late)
    assert [one.info.name for one in watch.sweeps()] == ["other"]


def test_a_deleted_sweep_is_not_found(watch: Watch, imported: Store) -> None:
    watch.news("made")
    imported.delete_sweep("made")
    with pytest.raises(NotFoundError, match="no sweep is called 'made'"):
        watch.news("made")


def test_only_the_sweeps_asked_for_last_are_kept(
    watch: Watch, imported: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEPT", 2)
    for name in ("second", "third"):
        api.import_trials(name, TABLE, store=imported)
    made, second = watch.sweep("made"), watch.sweep("second")
    watch.news("made")
    watch.sweep("third")
    assert watch.sweep("made") is made
    again = watch.sweep("second")
    assert again is not second
    assert again.news == second.news, "nothing has changed meanwhile"
    assert again.edition != second.edition, "and what was drawn of the other is not taken for it"
