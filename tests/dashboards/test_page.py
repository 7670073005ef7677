"""The live page in a real browser: what it shows, how it is steered, and what it does not let in."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import imported_sweeps
import pytest
from browsing import chromium, in_a_browser
from playwright.sync_api import Browser, BrowserContext, Page, expect
from served import served, settle, watched

from sweeper import api
from sweeper.analysis.live import TABS

pytestmark = in_a_browser

EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as launched:
        yield launched


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two complete sweeps of made-up results, one of whose optimizers has a hostile name."""
    url = f"sqlite:///{tmp_path_factory.mktemp('page') / 's.db'}"
    trials, epochs = imported_sweeps.tables(120, 4)
    trials["optimizer"] = trials["optimizer"].replace("nesterov", EVIL)
    epochs["optimizer"] = epochs["optimizer"].replace("nesterov", EVIL)
    api.import_trials("made-up", trials, epochs, independent=True, store=url)
    few = trials[trials["phase"] == "search"].groupby("optimizer").head(2)
    api.import_trials("another", few, store=url)
    return url


@pytest.fixture(scope="module")
def address(store: str) -> Iterator[str]:
    with served(store) as found:
        yield found


@pytest.fixture
def complaints() -> list[str]:
    """What pages complained of; a test that uses `page` fails on any."""
    return []


@pytest.fixture
def page(browser: Browser, complaints: list[str]) -> Iterator[Page]:
    with browser.new_context(viewport={"width": 1400, "height": 900}) as context:
        yield watched(context.new_page(), complaints)
    assert complaints == []


def first_cells(page: Page) -> list[str]:
    """The trials on the table's page, in order."""
    return page.locator("#tab tbody th").all_inner_texts()


def wait_for(page: Page, first: str) -> None:
    expect(page.locator("#tab tbody th").first).to_have_text(first)


@pytest.mark.parametrize(("width", "scheme", "ground"), [(1400, "light", 255), (375, "dark", 20)])
def test_every_tab_fits_and_nothing_is_complained_of(
    browser: Browser, address: str, complaints: list[str], width: int, scheme: str, ground: int
) -> None:
    options = {"viewport": {"width": width, "height": 800}, "color_scheme": scheme}
    with browser.new_context(**options) as context:  # type: ignore[arg-type]
        page = watched(context.new_page(), complaints)
        page.goto(f"{address}/sweeps/made-up")
        for tab in TABS.values():
            page.locator(".tabs").get_by_role("link", name=tab.title).click()
            expect(page.locator(".tab-link.on")).to_contain_text(tab.title)
            settle(page)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, tab.title
            text = page.locator("main").inner_text()
            assert "NaN" not in text
            assert "undefined" not in text
        assert page.evaluate("getComputedStyle(document.body).backgroundColor").startswith(f"rgb({ground},")
    assert complaints == []


def test_the_first_answer_holds_the_summary_before_any_script_runs(browser: Browser, address: str) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{address}/sweeps/made-up")
        table = page.locator("table")
        expect(table.locator("thead")).to_contain_text("best setting")
        assert table.locator("tbody tr").count() == 6
        expect(page).to_have_title("made-up · Sweeper")


def test_what_the_script_shows_takes_the_place_of_the_first_answer(page: Page, address: str) -> None:
    page.goto(f"{address}/sweeps/made-up")
    expect(page.locator("#head table")).to_be_visible()
    expect(page.locator("#first")).to_be_hidden()
    assert page.locator("#head h1").inner_text() == page.locator("#first h1").text_content()


def test_the_list_shows_every_sweep_newest_first_and_is_searched_by_name(page: Page, address: str) -> None:
    page.goto(address)
    names = page.locator("#tab tbody th")
    expect(names).to_have_text(["another", "made-up"])
    page.get_by_label("Search").fill("MADE")
    expect(names).to_have_text(["made-up"])
    page.wait_for_url("**/?find=MADE")
    page.reload()
    expect(names).to_have_text(["made-up"])
    expect(page.get_by_label("Search")).to_have_value("MADE")
    names.get_by_role("link").click()
    expect(page.locator("#head h1")).to_contain_text("made-up")


def test_a_heading_sorts_up_then_down_and_its_url_shows_the_same_to_others(page: Page, address: str) -> None:
    page.goto(f"{address}/sweeps/made-up?tab=trials&phase=search&optimizer=adam")
    heading = page.locator("#tab thead").get_by_role("link", name="validation loss")
    heading.click()
    page.wait_for_url("**sort=val_loss**")
    expect(heading).to_contain_text("▴")
    upwards = first_cells(page)
    heading.click()
    expect(heading).to_contain_text("▾")
    wait_for(page, upwards[-1])
    assert first_cells(page) == upwards[::-1]
    assert len(upwards) == 20
    page.reload()
    wait_for(page, upwards[-1])
    page.go_back()
    wait_for(page, upwards[0])


def test_filters_pages_and_words_narrow_the_table(page: Page, address: str) -> None:
    page.goto(f"{address}/sweeps/made-up?tab=trials")
    count = page.locator("#tab .count")
    expect(count).to_have_text("1 to 50 of 180 trials")
    page.get_by_role("link", name="last").click()
    expect(count).to_have_text("151 to 180 of 180 trials")
    page.get_by_role("navigation", name="phase").get_by_role("link", name="final").click()
    expect(count).to_have_text("1 to 50 of 60 of 180 trials")
    page.get_by_label("Search").fill("sgd/final/1")
    expect(count).to_have_text("1 to 1 of 1 of 180 trials")
    assert first_cells(page) == ["sgd/final/1"]
    page.get_by_role("link", name="Compare").click()
    expect(page.get_by_label("Search")).to_be_hidden()


def test_a_trial_opens_with_its_setting_its_curve_and_closes(page: Page, address: str) -> None:
    page.goto(f"{address}/sweeps/made-up?tab=trials&phase=search&optimizer=adam&sort=key")
    page.get_by_role("link", name="adam/3", exact=True).click()
    detail = page.locator("#detail")
    expect(detail.locator("h2")).to_have_text("adam/3")
    expect(detail).to_contain_text("batch_size")
    expect(detail.locator("svg.main-svg").first).to_be_visible()
    detail.get_by_role("link", name="Close").click()
    expect(detail).to_be_empty()
    page.goto(f"{address}/sweeps/made-up?tab=trials&trial=adam/999")
    expect(detail).to_contain_text("There is no trial adam/999.")


def test_a_hostile_name_is_text_wherever_it_stands(page: Page, address: str) -> None:
    for tab in ("compare", "sensitivity", "trials"):
        page.goto(f"{address}/sweeps/made-up?tab={tab}")
        settle(page)
        assert page.locator("img").count() == 0
        assert EVIL in page.locator("#head").inner_text()
    page.get_by_role("navigation", name="optimizer").get_by_role("link", name=EVIL).click()
    wait_for(page, f"{EVIL}/final/9")


def test_a_sweep_that_is_not_there_is_said_so_with_its_name_as_text(
    browser: Browser, address: str, complaints: list[str]
) -> None:
    with browser.new_context() as context:
        page = watched(context.new_page(), complaints)
        answer = page.goto(f"{address}/sweeps/{quote(EVIL)}?tab=trials&trial={EVIL}&find={EVIL}")
        assert answer is not None
        assert answer.status == 404
        expect(page.locator("#head")).to_contain_text(f"no sweep is called '{EVIL}'")
        assert page.locator("img").count() == 0
    assert [line for line in complaints if "404" not in line] == []


def test_the_keyboard_reaches_tabs_and_opens_them(page: Page, address: str) -> None:
    page.goto(f"{address}/sweeps/made-up")
    settle(page)
    page.locator(".tab-link.on").focus()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Learning curves")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url("**?tab=learning")
    settle(page)


def test_a_finished_sweep_asks_no_more(page: Page, address: str) -> None:
    page.goto(f"{address}/sweeps/made-up")
    settle(page)
    page.wait_for_timeout(1_000)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(2_500)
    assert asked == []


def test_what_is_downloaded_is_what_the_sweep_holds(browser: Browser, address: str, tmp_path: Path) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{address}/sweeps/made-up")
        for name, begin in (("trials (csv)", "sweep,optimizer,number"), ("report", "<!doctype html>")):
            with page.expect_download() as found:
                page.locator("#head").get_by_role("link", name=name).click()
            found.value.save_as(tmp_path / name)
            assert (tmp_path / name).read_text().lstrip().startswith(begin)
            assert found.value.suggested_filename.startswith("made-up.")


def test_the_landscape_walks_in_its_frame(page: Page, address: str) -> None:
    page.goto(f"{address}/sweeps/made-up?tab=lecture")
    frame = page.frame_locator("iframe")
    expect(frame.locator("h1")).to_have_text("Update rules on loss landscapes", timeout=20_000)
    page.locator("iframe").scroll_into_view_if_needed()  # what nobody sees doesn't walk
    expect(frame.locator("#play")).to_be_enabled()


def cookies(context: BrowserContext) -> list[str]:
    return [cookie["value"] for cookie in context.cookies()]  # type: ignore[typeddict-item]


def test_only_the_token_opens_the_page(browser: Browser, store: str, complaints: list[str]) -> None:
    with (
        served(store, "--host", "0.0.0.0", SWEEPER_TOKEN="correct horse") as found,
        browser.new_context() as context,
    ):
        address = found.replace("0.0.0.0", "127.0.0.1")
        page = context.new_page()
        page.goto(f"{address}/sweeps/made-up?tab=trials")
        expect(page.get_by_label("Token")).to_be_focused()
        assert "made-up" not in page.locator("body").inner_text()
        page.get_by_label("Token").fill("wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_have_text("That is not the token.")
        assert cookies(context) == []
        watched(page, complaints)
        page.get_by_label("Token").fill("correct horse")
        page.keyboard.press("Enter")
        page.wait_for_url("**/sweeps/made-up?tab=trials")
        settle(page)
        assert "correct horse" not in "".join(cookies(context))
        page.goto(address)
        expect(page.locator("#tab tbody th")).to_have_text(["another", "made-up"])
    assert complaints == []
