"""The report in a real browser without network: every figure is drawn, and nothing is complained of."""

from collections.abc import Iterator

import imported_sweeps
import pytest
from browsing import chromium, in_a_browser, offline
from playwright.sync_api import Browser, Page, expect

from sweeper import api
from sweeper.api import reporting

pytestmark = in_a_browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as launched:
        yield launched


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A report on 96 made-up trials and ten finals of each of six optimizers."""
    place = tmp_path_factory.mktemp("report")
    trials, epochs = imported_sweeps.tables(96, 4)
    evil = "<img src=x onerror=alert(1)>"
    trials["optimizer"] = trials["optimizer"].replace("nesterov", evil)
    epochs["optimizer"] = epochs["optimizer"].replace("nesterov", evil)
    store = f"sqlite:///{place / 's.db'}"
    sweep = api.import_trials("made-up", trials, epochs, independent=True, store=store)
    reporting.write(sweep.report(), place / "report.html")
    assert (place / "report.html").stat().st_size < 8_000_000
    return (place / "report.html").as_uri()


def drawn(page: Page) -> None:
    """Scroll through the page until every figure that is not folded away is drawn."""
    for place in page.locator(".drawing").all():
        if place.is_visible():
            place.scroll_into_view_if_needed()
            expect(place.locator(".main-svg").first).to_be_visible()


@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (400, "dark")])
def test_it_opens_without_network_and_draws_all_it_has(
    browser: Browser, address: str, width: int, scheme: str
) -> None:
    complaints: list[str] = []
    options = {"viewport": {"width": width, "height": 900}, "color_scheme": scheme}
    with browser.new_context(**options) as context:  # type: ignore[arg-type]
        page = offline(context, complaints)
        page.goto(address)
        drawn(page)
        assert page.locator(".drawing .main-svg").count() >= 10
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        text = page.locator("body").inner_text()
        assert "NaN" not in text
        assert "undefined" not in text
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ground == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 28)"}[scheme]
    assert complaints == []


def test_every_part_can_be_reached_from_the_top(browser: Browser, address: str) -> None:
    complaints: list[str] = []
    with browser.new_context() as context:
        page = offline(context, complaints)
        page.goto(address)
        targets = [link.get_attribute("href") for link in page.locator("nav a").all()]
        assert len(targets) >= 11
        assert all(page.locator(str(target)).count() == 1 for target in targets)


OVERLAPS = """() => {
  const labels = [...document.querySelectorAll("#pairs .heatmap-label")];
  const boxes = labels.map((one) => one.getBoundingClientRect());
  const apart = (a, b) => a.right <= b.left || b.right <= a.left || a.bottom <= b.top || b.bottom <= a.top;
  return [boxes.length, boxes.filter((a, k) => boxes.some((b, other) => other > k && !apart(a, b))).length];
}"""


def test_no_text_of_the_matrix_lies_on_another_on_a_phone(browser: Browser, address: str) -> None:
    with browser.new_context(viewport={"width": 400, "height": 900}) as context:
        page = offline(context, [])
        page.goto(address)
        drawn(page)
        assert page.evaluate(OVERLAPS) == [30, 0]


def test_on_paper_everything_is_unfolded_and_light(browser: Browser, address: str) -> None:
    complaints: list[str] = []
    with browser.new_context(color_scheme="dark") as context:
        page = offline(context, complaints)
        page.goto(address)
        page.emulate_media(media="print")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert page.locator("details:not([open])").count() == 0
        expect(page.locator(".drawing .main-svg").last).to_be_attached()
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert page.locator("details[open]").count() == 0
    assert complaints == []
