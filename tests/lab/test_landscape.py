"""The landscape page: its walks are the rules' own, its sentences are true, and it needs no network."""

import base64
import gzip
import json
import re
from pathlib import Path

import numpy as np
import pytest

from sweeper.lab import landscape, packing
from sweeper.lab.presets import ALL_RULES, DEFAULTS, PRESETS, Preset
from sweeper.lab.surfaces import SURFACES, Surface, Vector
from sweeper.lab.walks import DIALS, N_STEPS, WALKERS, stability_limit, walks
from sweeper.optimizers import rules
from sweeper.optimizers.colours import RULE_COLOURS

SURFACE = {surface.key: surface for surface in SURFACES}
WALKER = {walker.key: walker for walker in WALKERS}
PRESET = {preset.key: preset for preset in PRESETS}


def setting(rule: str, **dials: float) -> int:
    """Which of the rule's walks has these dials, the others at their defaults."""
    at = 0
    for dial in WALKER[rule].dials.values():
        at = at * len(DIALS[dial]) + DIALS[dial].index({**DEFAULTS, **dials}[dial])
    return at


def walk(surface: str, rule: str, *, noisy: bool = False, **dials: float) -> Vector:
    return walks(SURFACE[surface], WALKER[rule], noisy=noisy)[setting(rule, **dials)]


def seen(preset: str, rule: str) -> Vector:
    """The walk of a rule as a preset shows it."""
    chosen = PRESET[preset]
    assert rule in chosen.rules
    return walk(chosen.surface, rule, noisy=chosen.noisy, **chosen.dials)


def step_lengths(path: Vector) -> Vector:
    return np.linalg.norm(np.diff(path, axis=0), axis=-1)


def settles_at(path: Vector, point: tuple[float, float]) -> bool:
    return bool(np.linalg.norm(path[-1] - np.array(point)) < 0.02)


# --- the walks


def test_a_walk_among_many_is_the_walk_that_descend_gives_alone() -> None:
    surface = SURFACE["rosenbrock"]
    alone = rules.descend(
        rules.adam,
        np.array(surface.start),
        surface.gradient,
        N_STEPS,
        lr=0.1,
        beta1=0.9,
        beta2=0.99,
    )
    np.testing.assert_allclose(walk("rosenbrock", "adam", adaptive_lr=0.1, beta2=0.99), alone, rtol=1e-12)


def test_every_rule_gets_the_same_noise() -> None:
    surface = SURFACE["quadratic_10"]
    first_noise = {}
    for rule in ("sgd", "momentum"):
        noisy, clean = (walk(surface.key, rule, noisy=noise)[1] for noise in (True, False))
        first_noise[rule] = (clean - noisy) / DEFAULTS["lr"]
    np.testing.assert_allclose(first_noise["sgd"], first_noise["momentum"], rtol=1e-9)
    assert np.abs(first_noise["sgd"]).max() > 0


@pytest.mark.parametrize("rho", DIALS["rho"])
@pytest.mark.parametrize("rule", ["sgd", "momentum", "nesterov"])
def test_walks_shrink_below_the_stability_limit_and_grow_above_it(rule: str, rho: float) -> None:
    limit = stability_limit(rule, rho)
    assert limit is not None

    def heights(lr: float) -> tuple[float, float]:
        """The largest |y| after 1,000 steps or so, and after 2,000."""
        rates = {"lr": lr} if rule == "sgd" else {"lr": lr, "momentum": rho}
        path = rules.descend(WALKER[rule].rule, np.array([1.0]), lambda w: w, 2000, **rates)
        return float(np.abs(path[900:1000]).max()), float(np.abs(path[1900:]).max())

    earlier, later = heights(limit * 0.99)
    assert later < earlier
    earlier, later = heights(limit * 1.01)
    assert later > earlier


@pytest.mark.parametrize("rho", DIALS["rho"])
@pytest.mark.parametrize("rule", ["sgd", "momentum", "nesterov"])
def test_the_lr_dial_has_values_close_to_every_limit_on_both_sides(rule: str, rho: float) -> None:
    limit = stability_limit(rule, rho)
    assert limit is not None
    assert any(0.9 * limit < lr < limit for lr in DIALS["lr"])
    assert any(limit < lr < 1.1 * limit for lr in DIALS["lr"])


def test_no_walk_below_its_limit_diverges_on_a_quadratic() -> None:
    for surface in SURFACES:
        if surface.condition is None:
            continue
        for rule in ("sgd", "momentum", "nesterov"):
            end = packing.diverged_at(walks(surface, WALKER[rule], noisy=False), surface)
            rates = WALKER[rule].rates()
            rho = rates.get("momentum", np.zeros_like(rates["lr"]))
            limit = np.array([stability_limit(rule, float(each)) for each in rho[:, 0]])
            assert (end[rates["lr"][:, 0] < limit] > N_STEPS).all()


# --- what the presets say


def test_sgd_zigzags_below_its_limit() -> None:
    heights = seen("sgd_zigzags", "sgd")[:20, 1]
    assert (np.sign(heights[1:]) == -np.sign(heights[:-1])).all()
    assert (np.abs(heights[1:]) < np.abs(heights[:-1])).all()


def test_sgd_diverges_above_its_limit_where_momentum_does_not() -> None:
    surface = SURFACE[PRESET["sgd_diverges"].surface]
    sgd, momentum = (seen("sgd_diverges", rule) for rule in ("sgd", "momentum"))
    assert (np.abs(sgd[1:, 1]) > np.abs(sgd[:-1, 1])).all()
    assert packing.diverged_at(sgd[None], surface)[0] <= N_STEPS
    assert settles_at(momentum, surface.minima[0])


def test_momentum_overshoots_more_than_nesterov_and_sgd_not_at_all() -> None:
    lowest, rightmost = {}, {}
    for rule in ("sgd", "momentum", "nesterov"):
        path = seen("momentum_overshoots", rule)
        lowest[rule], rightmost[rule] = path[:, 1].min(), path[:, 0].max()
    assert lowest["momentum"] < lowest["nesterov"] < 0 <= lowest["sgd"]
    assert rightmost["momentum"] > rightmost["nesterov"] > 0 > rightmost["sgd"]


def test_adagrads_steps_die_out_where_rmsprop_arrives() -> None:
    adagrad, rmsprop = (seen("adagrad_dies_out", rule) for rule in ("adagrad", "rmsprop"))
    lengths = step_lengths(adagrad)
    assert (np.diff(lengths) < 0).all()
    assert (round(float(lengths[0]), 2), round(float(lengths[-1]), 3)) == (0.14, 0.008)
    assert np.linalg.norm(adagrad[-1]) > 2
    assert settles_at(rmsprop, (0.0, 0.0))


def test_newton_reaches_a_quadratics_minimum_in_one_step() -> None:
    np.testing.assert_allclose(seen("newton_jumps", "newton")[1], 0, atol=1e-12)


def test_sgd_would_need_more_than_a_thousand_steps_where_newton_jumps() -> None:
    surface = SURFACE[PRESET["newton_jumps"].surface]
    path = rules.descend(
        rules.sgd, np.array(surface.start), surface.gradient, 1000, lr=PRESET["newton_jumps"].dials["lr"]
    )
    assert np.linalg.norm(path[-1]) > 0.02


def test_uncorrected_adams_first_steps_are_3_to_7_times_too_long() -> None:
    corrected, uncorrected = (step_lengths(seen("adam_uncorrected", r)) for r in ("adam", "adam_uncorrected"))
    ratio = uncorrected[:10] / corrected[:10]
    assert ratio.min() > 3
    assert ratio.max() < 7
    assert seen("adam_uncorrected", "adam")[:, 0].max() < 0
    assert seen("adam_uncorrected", "adam_uncorrected")[:, 0].max() > 0.5


def test_newton_stays_on_the_saddle_and_momentum_leaves_it_before_sgd() -> None:
    surface = SURFACE["saddle"]
    assert settles_at(seen("saddle", "newton"), surface.saddles[0])
    sgd = np.linalg.norm(seen("saddle", "sgd"), axis=-1)
    assert np.count_nonzero(sgd < 0.3) > 36
    for rule in ("momentum", "nesterov", "adam"):
        path = seen("saddle", rule)
        assert settles_at(path, surface.minima[0])
        assert np.linalg.norm(path[60] - np.array(surface.minima[0])) < 0.2
        assert sgd[60] < 0.3


def test_only_momentum_leaves_the_poor_minimum() -> None:
    good, poor = SURFACE["double_well"].minima
    for rule in ("sgd", "adam", "newton"):
        path = seen("poor_minimum", rule)
        assert settles_at(path, poor)
        assert float(SURFACE["double_well"].excess(path[-1])) == pytest.approx(0.08, abs=0.002)
    assert settles_at(seen("poor_minimum", "momentum"), good)


def test_under_noise_newton_takes_the_longest_steps_and_nobody_rests() -> None:
    late = {rule: step_lengths(seen("noise", rule))[-40:].mean() for rule in PRESET["noise"].rules}
    assert max(late, key=late.__getitem__) == "newton"
    assert min(late.values()) > 0.005


def test_on_rosenbrock_newton_and_momentum_arrive_and_sgd_is_before_the_bend() -> None:
    assert settles_at(seen("rosenbrock", "newton")[:11], (1.0, 1.0))
    for rule in ("momentum", "nesterov"):
        assert np.linalg.norm(seen("rosenbrock", rule)[-1] - 1) < 0.1
    for rule in ("sgd", "adagrad"):
        assert seen("rosenbrock", rule)[-1, 0] < 0


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.key)
def test_a_preset_names_a_loss_rules_and_dials_that_exist(preset: Preset) -> None:
    assert preset.surface in SURFACE
    assert set(preset.rules) <= set(ALL_RULES)
    assert set(preset.settings()) == set(DIALS)


# --- what the page holds


@pytest.fixture(scope="module")
def text() -> str:
    return landscape.page()


def element(text: str, name: str) -> str:
    found = re.search(rf'<script type="[^"]+" id="{name}">(.*?)</script>', text, re.DOTALL)
    assert found
    return found[1]


@pytest.fixture(scope="module")
def unpacked(text: str) -> np.ndarray:
    """What the page holds, of shape (surfaces, 2, walks, 4, N_STEPS + 1)."""
    differences = np.frombuffer(gzip.decompress(base64.b64decode(element(text, "walks"))), dtype="<i2")
    shape = (len(SURFACES), 2, -1, 4, N_STEPS + 1)
    return np.cumsum(differences.reshape(shape), axis=-1, dtype=np.int16)


def embedded(unpacked: np.ndarray, surface: Surface, noisy: bool, rule: str, at: int) -> np.ndarray:
    first = 0
    for walker in WALKERS:
        if walker.key == rule:
            break
        first += int(np.prod(walker.shape()))
    return unpacked[SURFACES.index(surface), int(noisy), first + at]


@pytest.mark.parametrize("noisy", [False, True])
@pytest.mark.parametrize("rule", ALL_RULES)
@pytest.mark.parametrize("surface", SURFACES, ids=lambda surface: surface.key)
def test_the_embedded_numbers_are_descends(
    unpacked: np.ndarray, surface: Surface, rule: str, noisy: bool
) -> None:
    at = setting(rule)
    path = walk(surface.key, rule, noisy=noisy)
    x, y, loss, length = embedded(unpacked, surface, noisy, rule, at).astype(float)
    # a walk within the box, Newton's under noise excepted
    low, high = packing.box(surface)
    inside = ((path > low) & (path < high)).all(-1)
    assert inside.all() or (rule, noisy) == ("newton", True)
    position = low + (np.stack([x, y], axis=-1) + 32767) / 65534 * (high - low)
    np.testing.assert_allclose(position[inside], path[inside], atol=float((high - low).max()) / 65534)
    excess = np.clip(surface.excess(path), 1e-12, 1e12)
    np.testing.assert_allclose(loss[inside] / 2500, np.log10(excess[inside]), atol=2.1e-4)
    lengths = np.clip(step_lengths(path), 1e-12, 1e12)
    np.testing.assert_allclose(length[1:][inside[1:]] / 2500, np.log10(lengths[inside[1:]]), atol=2.1e-4)


def test_a_walk_that_diverges_ends_on_the_edge_of_its_box(unpacked: np.ndarray) -> None:
    surface = SURFACE["quadratic_20"]
    (end,) = packing.diverged_at(walk("quadratic_20", "sgd", lr=2.1)[None], surface)
    channels = embedded(unpacked, surface, False, "sgd", setting("sgd", lr=2.1))
    assert 0 < end < N_STEPS
    assert abs(int(channels[1, end])) == 32767
    assert (channels[:, end + 1 :] == packing.GONE).all()
    assert (channels[:, : end + 1] != packing.GONE).all()


def test_what_is_gone_stays_gone_and_only_after_an_edge(unpacked: np.ndarray) -> None:
    gone = (unpacked == packing.GONE).all(-2)
    assert ((unpacked == packing.GONE).any(-2) == gone).all()
    assert (gone[..., 1:] >= gone[..., :-1]).all()
    on_edge = (np.abs(unpacked[..., :2, :].astype(int)) == 32767).any(-2)
    leaving = gone[..., 1:] & ~gone[..., :-1]
    assert leaving.any()
    assert on_edge[..., :-1][leaving].all()


def test_the_facts_are_json_without_nan(text: str) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    facts = json.loads(element(text, "facts"), parse_constant=refuse)
    assert [rule["key"] for rule in facts["rules"]] == list(ALL_RULES)
    momentum = facts["rules"][ALL_RULES.index("momentum")]
    assert momentum["limits"] == pytest.approx([2, 3, 3.8, 3.98])


def test_the_page_loads_nothing(text: str) -> None:
    visible = re.sub(r'<script type="application/octet-stream".*?</script>', "", text, flags=re.DOTALL)
    # the only address is SVG's name, which no browser loads
    assert set(re.findall(r"https?://[^\s\"']+", visible)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"<link|<img|<iframe|@import|url\((?!#)|\bsrc=|\bfetch\(|XMLHttpRequest", visible)
    assert "default-src 'none'" in visible


def test_the_page_is_the_same_each_time_and_below_ten_megabytes(tmp_path: Path, text: str) -> None:
    out = tmp_path / "landscape.html"
    landscape.write(out)
    assert out.read_text(encoding="utf-8") == text
    assert out.stat().st_size < 10_000_000


def test_every_rule_has_a_colour_of_its_own_on_light_and_on_dark() -> None:
    assert set(RULE_COLOURS) == set(ALL_RULES)
    for ground in ("light", "dark"):
        colours = {getattr(colour, ground) for colour in RULE_COLOURS.values()}
        assert len(colours) == len(RULE_COLOURS)
        assert all(re.fullmatch(r"#[0-9a-f]{6}", colour) for colour in colours)
