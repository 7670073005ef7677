"""Every tab can be shown at every moment of a sweep, and says what it can't say yet."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from led import LedSweep

from sweeper import api
from sweeper import experiment as experiments
from sweeper.analysis.live import TABS, Followed, Watch, tabs
from sweeper.analysis.report.blocks import Drawing, Missing, Section, Table
from sweeper.analysis.report.numbers import Numbers
from sweeper.store import Store

KEY = ["optimizer", "number", "phase"]
SETTINGS = (
    "data.name=synthetic",
    "data.train_size=200",
    "data.val_size=100",
    "data.test_size=100",
    "model.name=linear",
    "budget.trials_per_optimizer=3",
    "budget.epochs=2",
    "search.sampler=random",
    "final.seeds=2",
)


@pytest.fixture(scope="module")
def watch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watch]:
    """A real sweep of six optimizers, trained in this process: 18 trials and 24 finals."""
    place: Path = tmp_path_factory.mktemp("tabs")
    url = f"sqlite:///{place / 's.db'}"
    experiment = experiments.loads('[experiment]\nname = "real"', SETTINGS)
    api.run(experiment, url, workers="inline")
    made = Watch(url)
    yield made
    made.close()


def at(followed: Followed, n: int) -> Followed:
    """The sweep as it was when `n` of its trials were planned, and the last of them was running."""
    whole = followed.numbers.results
    trials = whole.trials.head(n).copy()
    states = trials["state"].tolist()
    trials["state"] = pd.Series([*states[:-1], "running"][:n], index=trials.index, dtype="str")
    known = trials[KEY]
    results = replace(
        whole,
        trials=trials,
        read_epochs=lambda: whole.epochs.merge(known, on=KEY),
        read_attempts=lambda: whole.attempts.merge(known, on=KEY),
    )
    earlier = Followed.__new__(Followed)
    earlier.__dict__.update(followed.__dict__)
    earlier.trials, earlier.numbers = trials, Numbers(results)
    return earlier


def blocks(parts: tuple[Section, ...], kind: type) -> list[object]:
    return [block for part in parts for block in part.blocks if isinstance(block, kind)]


@pytest.mark.parametrize("n", [0, 1, 7, 18, 19, 42])
def test_every_tab_can_be_shown_at_every_moment(watch: Watch, n: int) -> None:
    followed = at(watch.sweep("real"), n)
    assert blocks((tabs.standing(followed),), Table)
    for tab in TABS:
        for part in tabs.parts(tab, followed):
            assert part.blocks, (tab, part.key)


def test_before_the_search_is_over_nothing_ranks(watch: Watch) -> None:
    parts = tabs.parts("compare", at(watch.sweep("real"), 12))
    assert [drawing.key for drawing in blocks(parts, Drawing)] == ["incumbents"]  # type: ignore[attr-defined]
    assert any("the search is not over" in missing.why for missing in blocks(parts, Missing))  # type: ignore[attr-defined]


def test_until_the_last_final_it_waits_for_the_rest(watch: Watch) -> None:
    verdict = tabs.parts("compare", at(watch.sweep("real"), 41))[0]
    assert "waiting for" in str(verdict.blocks[0])
    assert "of 24 finals" in str(verdict.blocks[0])


def test_the_page_shows_the_reports_own_numbers(watch: Watch) -> None:
    followed = watch.sweep("real")
    told = {part.key: part for part in tabs.report(followed).document().sections}
    on_page = {part.key: part for tab in TABS for part in tabs.parts(tab, followed)}
    for key in ("verdict", "pairs", "learning", "targets", "spaces", "settings", "workload", "warnings"):
        assert str(on_page[key]) == str(told[key]), key
    summary = [str(block) for block in told["summary"].blocks]
    shown = [*tabs.standing(followed).blocks, *on_page["finals"].blocks]
    assert [str(block) for block in shown] == summary


def test_one_trial_is_found_by_its_key_and_another_is_not(watch: Watch) -> None:
    followed = watch.sweep("real")
    for key in ("adam/2", "adam/final/1"):
        found = tabs.one_trial(key, followed)
        assert found is not None
        assert found.title == key
    for key in ("", "adam", "adam/3", "adam/final/99", "nobody/0"):
        assert tabs.one_trial(key, followed) is None


def test_a_sweep_without_any_trial_can_be_shown(store: Store) -> None:
    experiment = experiments.loads('[experiment]\nname = "new"', SETTINGS)
    LedSweep(store, experiment)
    watch = Watch(store.url)
    shown = {part.key: part.blocks for tab in TABS for part in tabs.parts(tab, watch.sweep("new"))}
    watch.close()
    assert {"verdict", "finals", "pairs"} <= shown.keys()
    assert all(shown.values()), "every part says something"
