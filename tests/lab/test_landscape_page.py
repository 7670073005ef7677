"""The landscape page in a real browser without network: it plays, obeys, and reports no error."""

from collections.abc import Iterator

import pytest
from browsing import chromium, in_a_browser, offline
from playwright.sync_api import Browser, Page, expect

from sweeper.lab import landscape
from sweeper.lab.presets import PRESETS
from sweeper.lab.walks import N_STEPS

pytestmark = in_a_browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as launched:
        yield launched


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("landscape") / "landscape.html"
    landscape.write(out)
    return out.as_uri()


@pytest.fixture(scope="module")
def opened(browser: Browser, address: str) -> Iterator[tuple[Page, list[str]]]:
    """The page and its complaints, as seen by who asked for less motion: nothing plays by itself."""
    complaints: list[str] = []
    context = browser.new_context(
        viewport={"width": 1400, "height": 1000}, reduced_motion="reduce", color_scheme="light"
    )
    page = offline(context, complaints)
    page.goto(address)
    expect(page.locator("#play")).to_be_enabled()
    yield page, complaints
    context.close()


@pytest.fixture
def page(opened: tuple[Page, list[str]]) -> Iterator[Page]:
    """The page at its first preset, the whole walk drawn. Opened once: it takes a second or two."""
    page, complaints = opened
    page.locator("[data-preset=all]").click()
    page.locator("#speed").select_option("normal")
    yield page
    assert complaints == []


def step(page: Page) -> int:
    return int(page.locator("#step").input_value())


def head(page: Page, rule: str) -> str:
    return page.locator(f"#map .head[data-rule={rule}]").get_attribute("transform") or ""


def trail(page: Page, rule: str) -> str:
    return page.locator(f"#map .walk[data-rule={rule}] .trail").get_attribute("d") or ""


def put(page: Page, control: str, value: int) -> None:
    page.locator(f"#{control}").fill(str(value))


def wait_till_it_moves(page: Page) -> None:
    # not wait_for_function: it evaluates a string in the page, which the page's policy forbids
    expect(page.locator("#step")).not_to_have_value("0")


def test_play_moves_the_points_and_pause_stops_them(page: Page) -> None:
    put(page, "step", 0)
    before = head(page, "sgd")
    page.get_by_role("button", name="Play").click()
    wait_till_it_moves(page)
    page.get_by_role("button", name="Pause").click()
    stopped = step(page)
    assert stopped > 0
    assert head(page, "sgd") != before
    expect(page.locator("#step-text")).to_have_text(f"step {stopped} of {N_STEPS}")
    expect(page.locator("#play")).to_have_text("Play")


def test_the_space_bar_plays_and_pauses(page: Page) -> None:
    put(page, "step", 0)
    page.locator("#lr").focus()
    page.keyboard.press("Space")
    wait_till_it_moves(page)
    expect(page.locator("#play")).to_have_text("Pause")
    page.keyboard.press("Space")
    expect(page.locator("#play")).to_have_text("Play")


def test_a_walk_ends_at_the_last_step_and_plays_again_from_the_first(page: Page) -> None:
    put(page, "step", N_STEPS - 5)
    page.locator("#play").click()
    expect(page.locator("#step")).to_have_value(str(N_STEPS))
    expect(page.locator("#play")).to_have_text("Play")
    page.locator("#play").click()
    assert step(page) < N_STEPS
    page.locator("#play").click()


def test_nothing_plays_by_itself_for_who_asked_for_less_motion(page: Page) -> None:
    page.locator("[data-preset=saddle]").click()
    expect(page.locator("#play")).to_have_text("Play")
    assert step(page) == N_STEPS


def test_the_page_plays_when_it_opens_otherwise(browser: Browser, address: str) -> None:
    complaints: list[str] = []
    context = browser.new_context(reduced_motion="no-preference")
    page = offline(context, complaints)
    page.goto(address)
    wait_till_it_moves(page)
    expect(page.locator("#play")).to_have_text("Pause")
    context.close()
    assert complaints == []


def test_a_hidden_rule_is_gone_from_map_and_chart(page: Page) -> None:
    box = page.get_by_role("checkbox", name="Momentum")
    drawn = page.locator("svg [data-rule=momentum]")
    assert drawn.count() == 4
    box.uncheck()
    for part in drawn.all():
        expect(part).to_be_hidden()
    expect(page.locator("tr[data-rule=momentum] .loss")).to_be_empty()
    box.check()
    expect(page.locator("#map .head[data-rule=momentum]")).to_be_visible()


def test_the_condition_number_changes_the_walk(page: Page) -> None:
    before = trail(page, "sgd")
    put(page, "condition", 6)
    expect(page.locator("#condition-text")).to_have_text("100")
    assert trail(page, "sgd") != before
    expect(page.locator("#map-title")).to_contain_text("condition number 100")


def test_the_lr_changes_the_walk_and_the_words_on_stability(page: Page) -> None:
    before, adaptive = trail(page, "sgd"), trail(page, "adam")
    put(page, "lr", 11)
    expect(page.locator("#lr-text")).to_have_text("2.1")
    assert trail(page, "sgd") != before
    assert trail(page, "adam") == adaptive
    expect(page.locator("#verdict")).to_contain_text("SGD is unstable (lr 2.1 > 2/λmax = 2)")
    expect(page.locator("tr[data-rule=sgd] .now")).to_have_text("diverged at step 24")


def test_rho_moves_the_limits_under_the_lr_slider(page: Page) -> None:
    mark = page.locator("#limits span", has_text="Momentum")
    expect(mark).to_have_text("Momentum 3.8")
    before = mark.bounding_box()
    put(page, "rho", 1)
    expect(mark).to_have_text("Momentum 3")
    after = mark.bounding_box()
    assert before
    assert after
    assert after["x"] < before["x"]


def test_noise_and_every_decay_rate_change_a_walk(page: Page) -> None:
    changes = {
        "rho": "momentum",
        "decay": "rmsprop",
        "beta1": "adam",
        "beta2": "adam",
        "adaptive_lr": "adagrad",
    }
    for dial, rule in changes.items():
        before = trail(page, rule)
        put(page, dial, 0)
        assert trail(page, rule) != before, dial
    before = trail(page, "newton")
    page.get_by_label("Gradient noise").check()
    assert trail(page, "newton") != before


@pytest.mark.parametrize("surface", ["saddle", "double_well", "rosenbrock"])
def test_the_condition_number_belongs_to_the_quadratic_alone(page: Page, surface: str) -> None:
    page.locator("#surface").select_option(surface)
    expect(page.locator("#condition")).to_be_disabled()
    page.locator("#surface").select_option("quadratic")
    expect(page.locator("#condition")).to_be_enabled()


def test_each_preset_says_what_to_look_at_and_shows_its_rules(page: Page) -> None:
    for preset in PRESETS:
        page.get_by_role("button", name=preset.title, exact=True).click()
        expect(page.locator("#look")).to_have_text(preset.look)
        drawn = page.locator("#map .walk:visible")
        assert {each.get_attribute("data-rule") for each in drawn.all()} == set(preset.rules)
        assert page.locator("#noise").is_checked() is preset.noisy
    expect(page.locator("#play")).to_be_focused()


def test_newton_is_at_the_minimum_after_one_step(page: Page) -> None:
    page.locator("[data-preset=newton_jumps]").click()
    put(page, "step", 1)
    row = page.locator("tr[data-rule=newton]")
    expect(row.locator(".length")).to_have_text("4.47")
    put(page, "step", 2)
    expect(row.locator(".now")).to_have_text("at minimum")


def test_every_control_has_a_name_and_no_drawing_holds_a_nan(page: Page) -> None:
    nameless = page.evaluate(
        "() => [...document.querySelectorAll('input, select')]"
        ".filter((control) => !control.labels.length).map((control) => control.id)"
    )
    assert nameless == []
    for preset in PRESETS:
        page.locator(f"[data-preset={preset.key}]").click()
        assert not page.evaluate("() => /NaN|Infinity/.test(document.querySelector('main').innerHTML)")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_needs_no_sideways_scrolling(browser: Browser, address: str, scheme: str) -> None:
    complaints: list[str] = []
    context = browser.new_context(
        viewport={"width": 360, "height": 740}, reduced_motion="reduce", color_scheme=scheme
    )
    page = offline(context, complaints)
    page.goto(address)
    expect(page.locator("#play")).to_be_enabled()
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 360
    context.close()
    assert complaints == []
