"""The live page while sweeps run, and while their store is away."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import chromium, in_a_browser
from launched import launching
from led import LedSweep
from playwright.sync_api import Browser, Page, expect
from served import served, settle, watched

from sweeper import experiment as experiments
from sweeper.store import Store

pytestmark = in_a_browser

NEW_WITHIN_MS = 5_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as launched:
        yield launched


EXPERIMENT = experiments.loads(
    '[experiment]\nname = "led"\n[data]\nname = "synthetic"\ntrain_size = 200\nval_size = 100\n'
    'test_size = 100\n[model]\nname = "linear"\n[budget]\ntrials_per_optimizer = 6\nepochs = 2\n'
    '[search]\nsampler = "random"\n[final]\ntop_k = 0\n[optimizers.sgd]\n[optimizers.adam]\n'
)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A page over a store in which there is nothing yet."""
    with served(f"sqlite:///{tmp_path_factory.mktemp('live') / 'store.db'}") as found:
        yield found


@pytest.fixture(scope="module")
def store(address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """The page's store, made after the page."""
    opened = Store.open(f"sqlite:///{tmp_path_factory.getbasetemp() / 'live0' / 'store.db'}", create=True)
    yield opened
    opened.close()


@pytest.fixture
def sweep(store: Store) -> LedSweep:
    """A sweep that runs, with three trials that have ended and one that has not."""
    led = LedSweep(store, EXPERIMENT, f"led-{len(store.sweeps())}")
    for number, loss in enumerate((2.2, 1.9, 1.7)):
        led.trains("sgd", number, loss)
    led.begins("adam", 0)
    return led


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    complaints: list[str] = []
    with browser.new_context(viewport={"width": 1400, "height": 900}) as context:
        yield watched(context.new_page(), complaints)
    assert complaints == []


def x_range(page: Page) -> list[float]:
    """What of its x axis the tab's first figure shows."""
    found: list[float] = page.locator("#tab .js-plotly-plot").first.evaluate(
        "(plot) => plot._fullLayout.xaxis.range.map((end) => Math.round(end * 100) / 100)"
    )
    return found


def zoom(page: Page) -> list[float]:
    """Draw a box with the mouse into the tab's first figure: what it then shows."""
    place = page.locator("#tab .js-plotly-plot").first.locator(".nsewdrag").first
    place.scroll_into_view_if_needed()
    box = place.bounding_box()
    assert box
    left, top = box["x"], box["y"]
    page.mouse.move(left + 0.3 * box["width"], top + 0.2 * box["height"])
    page.mouse.down()
    page.mouse.move(left + 0.7 * box["width"], top + 0.8 * box["height"], steps=5)
    page.mouse.up()
    page.wait_for_timeout(500)
    return x_range(page)


def test_the_first_sweep_of_a_store_joins_the_empty_list(
    page: Page, address: str, request: pytest.FixtureRequest
) -> None:
    page.goto(address)
    expect(page.locator("#tab")).to_contain_text("No sweeps yet")
    LedSweep(request.getfixturevalue("store"), EXPERIMENT, "first")
    expect(page.locator("#tab tbody th")).to_have_text(["first"], timeout=NEW_WITHIN_MS)


def test_a_new_trial_and_its_progress_are_seen_and_zoom_stays(
    page: Page, address: str, sweep: LedSweep
) -> None:
    page.goto(f"{address}/sweeps/{sweep.name}?tab=sensitivity")
    settle(page)
    expect(page.locator("#head")).to_contain_text("3 of 6")
    expect(page.locator("#head")).to_contain_text("0 of 6, 1 running")
    before = x_range(page)
    zoomed = zoom(page)
    assert before[0] < zoomed[0] < zoomed[1] < before[1]
    sweep.trains("sgd", 3, 1.5)
    expect(page.locator("#head")).to_contain_text("4 of 6", timeout=NEW_WITHIN_MS)
    expect(page.locator("#head table")).to_contain_text("1.500 (of 3)", timeout=NEW_WITHIN_MS)
    expect(page.locator("#tab")).to_contain_text("sgd 0.04", timeout=NEW_WITHIN_MS)
    assert x_range(page) == zoomed
    page.locator(".tabs").get_by_role("link", name="Trials").click()
    expect(page.locator("#tab tbody th").first).to_have_text("sgd/3")
    sweep.begins("adam", 1)
    expect(page.locator("#tab tbody th").first).to_have_text("adam/1", timeout=NEW_WITHIN_MS)


def test_nothing_is_drawn_anew_while_nothing_changes(page: Page, address: str, sweep: LedSweep) -> None:
    page.goto(f"{address}/sweeps/{sweep.name}?tab=sensitivity")
    settle(page)
    page.wait_for_timeout(1_000)
    page.evaluate(
        "() => { window.changes = 0; new MutationObserver((seen) => { window.changes += seen.length; })"
        ".observe(document.querySelector('main'), {subtree: true, childList: true, characterData: true}); }"
    )
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.method))
    page.wait_for_timeout(3_000)
    assert page.evaluate("window.changes") == 0
    assert set(asked) == {"POST"}
    assert len(asked) <= 2, "one question in two seconds, and no answer that leads to others"


def test_an_epoch_leaves_the_statistics_as_they_are(page: Page, address: str, sweep: LedSweep) -> None:
    page.goto(f"{address}/sweeps/{sweep.name}?tab=compare")
    settle(page)
    page.evaluate(
        "() => { window.changes = 0; new MutationObserver((seen) => { window.changes += seen.length; })"
        ".observe(document.querySelector('#tab'), {subtree: true, childList: true}); }"
    )
    before = page.locator("#head").inner_text()
    sweep.reports(sweep.begins("adam", 1), 1, 2.0)
    page.wait_for_function(
        "(before) => document.querySelector('#head').innerText !== before", arg=before, timeout=NEW_WITHIN_MS
    )
    sweep.reports(sweep.begins("adam", 2), 1, 2.0)
    page.wait_for_timeout(2_500)
    assert page.evaluate("window.changes") <= 2, "a trial was planned, no epoch counts"


def test_a_store_that_goes_away_is_said_so_and_comes_back_by_itself(
    page: Page, address: str, sweep: LedSweep, store: Store
) -> None:
    page.goto(f"{address}/sweeps/{sweep.name}")
    settle(page)
    shown = page.locator("#head table").inner_text()
    file = Path(store.url.removeprefix("sqlite:///"))
    elsewhere = file.rename(file.with_name("away.db"))
    expect(page.locator("#notice")).to_contain_text("its file is not there", timeout=NEW_WITHIN_MS)
    assert page.locator("#head table").inner_text() == shown
    elsewhere.rename(file)
    expect(page.locator("#notice")).to_be_empty(timeout=NEW_WITHIN_MS)
    sweep.trains("sgd", 3, 1.5)
    expect(page.locator("#head")).to_contain_text("4 of 6", timeout=NEW_WITHIN_MS)


def test_a_sweep_that_ends_is_shown_as_complete_and_asks_no_more(
    page: Page, address: str, sweep: LedSweep
) -> None:
    page.goto(f"{address}/sweeps/{sweep.name}")
    settle(page)
    sweep.is_over()
    expect(page.locator("#head .state")).to_have_text("complete", timeout=NEW_WITHIN_MS)
    page.wait_for_timeout(1_000)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(2_500)
    assert asked == []


def test_a_real_sweep_is_followed_from_its_first_trial_to_its_end(page: Page, tmp_path: Path) -> None:
    file = tmp_path / "experiment.toml"
    file.write_text(
        '[experiment]\nname = "real"\n[data]\nname = "synthetic"\ntrain_size = 500\nval_size = 100\n'
        'test_size = 100\n[model]\nname = "lenet"\n[budget]\ntrials_per_optimizer = 4\nepochs = 2\n'
        '[search]\nsampler = "random"\n[final]\nseeds = 2\n[optimizers.sgd]\n[optimizers.adam]\n'
    )
    url = f"sqlite:///{tmp_path / 'real.db'}"
    with served(url) as address, launching(url) as start:
        running = start("run", str(file), "--workers", "inline")
        running.wait_until(lambda: running.finished() >= 1)
        page.goto(f"{address}/sweeps/real?tab=trials")
        settle(page)
        expect(page.locator("#head .state")).to_have_text("running")
        seen = page.locator("#tab .count").inner_text()
        expect(page.locator("#tab .count")).not_to_have_text(seen, timeout=NEW_WITHIN_MS)
        code, _, said = running.end()
        assert code == 0, said
        expect(page.locator("#head .state")).to_have_text("complete", timeout=NEW_WITHIN_MS)
        page.locator(".tabs").get_by_role("link", name="Compare").click()
        expect(page.locator("#part-verdict")).to_contain_text(re.compile("sgd|adam"))
        settle(page)
