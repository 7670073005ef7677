"""The schedules, held against torch's own over a run."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler

from sweeper import schedules

N_STEPS = 40

TORCHS: dict[str, Callable[[torch.optim.Optimizer], Any]] = {
    "constant": lambda rule: lr_scheduler.ConstantLR(rule, factor=1.0),
    "cosine": lambda rule: lr_scheduler.CosineAnnealingLR(rule, T_max=N_STEPS),
    "linear": lambda rule: lr_scheduler.LinearLR(rule, start_factor=1.0, end_factor=0.0, total_iters=N_STEPS),
    "step": lambda rule: lr_scheduler.MultiStepLR(rule, milestones=[20, 30], gamma=0.1),
}


def test_every_schedule_that_a_file_may_name_is_held_against_torch() -> None:
    assert set(TORCHS) == set(schedules.NAMES)


@pytest.mark.parametrize("name", TORCHS)
def test_a_schedule_is_torchs_step_by_step(name: str) -> None:
    rule = torch.optim.SGD([torch.nn.Parameter(torch.zeros(2))], lr=1.0)
    scheduler = TORCHS[name](rule)
    for step in range(N_STEPS + 1):
        assert schedules.factor(name, step / N_STEPS) == pytest.approx(rule.param_groups[0]["lr"], abs=1e-12)
        rule.step()
        scheduler.step()


@pytest.mark.parametrize("name", TORCHS)
def test_a_schedule_starts_at_the_full_learning_rate(name: str) -> None:
    assert schedules.factor(name, 0.0) == 1


@pytest.mark.parametrize(("name", "end"), [("constant", 1), ("cosine", 0), ("linear", 0), ("step", 0.01)])
def test_a_schedule_ends_where_it_should(name: str, end: float) -> None:
    assert schedules.factor(name, 1.0) == pytest.approx(end, abs=1e-15)


@pytest.mark.parametrize("name", TORCHS)
def test_a_schedule_never_rises(name: str) -> None:
    factors = [schedules.factor(name, step / 1000) for step in range(1001)]
    assert all(later <= earlier for earlier, later in itertools.pairwise(factors))


@pytest.mark.parametrize("name", TORCHS)
def test_a_step_that_the_budget_pays_for_has_a_learning_rate_above_0(name: str) -> None:
    assert schedules.factor(name, 1 - 1e-6) > 0


def test_step_falls_at_a_half_and_at_three_quarters() -> None:
    halves = [
        schedules.factor("step", p) for p in (math.nextafter(0.5, 0), 0.5, math.nextafter(0.75, 0), 0.75)
    ]
    assert halves == pytest.approx([1, 0.1, 0.1, 0.01])
