"""The share of the machine that following sweeps may use."""

import time

import pytest

from sweeper.analysis.live import budget as module
from sweeper.analysis.live.budget import SAVED_S, STATISTICS_OWED_S, Budget, Spending


class Clocks:
    """Time that passes, and processor time that is used, when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0
        self.used = 0.0


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def budget(clocks: Clocks) -> Budget:
    """A hundredth of two cores: 0.02 s of processor time a second."""
    return Budget(0.01, lambda: clocks.used, cores=2, clock=lambda: clocks.now)


def test_what_is_saved_up_may_be_used_at_once(budget: Budget, clocks: Clocks) -> None:
    clocks.used = 0.02 * SAVED_S - 0.001
    assert budget.allows()
    clocks.used += 0.002
    assert not budget.allows()


def test_in_the_long_run_it_is_the_share_of_all_cores(budget: Budget, clocks: Clocks) -> None:
    clocks.used = 0.02 * SAVED_S
    n_allowed = 0
    for second in range(1, 1_001):
        clocks.now = float(second)
        if budget.allows():
            n_allowed += 1
            clocks.used += 0.1  # five times what a second earns
    assert n_allowed == pytest.approx(200, abs=2)


def test_more_than_a_minutes_worth_is_not_saved_up(budget: Budget, clocks: Clocks) -> None:
    clocks.now = 100 * SAVED_S
    assert budget.allows()
    clocks.used = 0.02 * SAVED_S + 0.001
    assert not budget.allows()


def test_nobody_waits_longer_for_news_than_two_minutes_worth(budget: Budget, clocks: Clocks) -> None:
    clocks.used = 1_000.0
    assert not budget.allows()
    clocks.now = STATISTICS_OWED_S - 0.1
    assert not budget.allows()
    clocks.now = STATISTICS_OWED_S + 0.1
    assert budget.allows()


def test_what_is_computed_is_on_an_account_of_its_own() -> None:
    spending = Spending(statistics=1e-9)
    with spending.computing():
        begun = time.thread_time()
        while time.thread_time() - begun < 0.02:
            pass
    assert not spending.statistics.allows()
    generous = Spending(1_000.0, 1_000.0)
    with generous.computing():
        assert generous.news.allows()
    assert generous.statistics.allows()


@pytest.fixture
def spending(clocks: Clocks, monkeypatch: pytest.MonkeyPatch) -> Spending:
    """With clocks moved by hand: of the process, and `now` of this thread."""
    monkeypatch.setattr(module.time, "process_time", lambda: clocks.used)
    monkeypatch.setattr(module.time, "thread_time", lambda: clocks.now)
    return Spending()


def test_news_owe_nothing_for_statistics_that_are_being_computed(spending: Spending, clocks: Clocks) -> None:
    with spending.computing():
        clocks.used = clocks.now = 1_000.0
        assert spending.news.allows()
    assert spending.news.allows()
    assert not spending.statistics.allows()


def test_what_others_used_meanwhile_news_owe_afterwards(spending: Spending, clocks: Clocks) -> None:
    with spending.computing():
        clocks.used, clocks.now = 1_000.0, 10.0
    assert not spending.news.allows()


def test_a_clock_that_stands_still_earns_nothing(budget: Budget, clocks: Clocks) -> None:
    clocks.used = 0.02 * SAVED_S
    assert not any(budget.allows() for _ in range(100))


def test_two_cores_earn_twice_what_one_does(clocks: Clocks) -> None:
    one, two = (Budget(0.01, lambda: clocks.used, cores=n, clock=lambda: clocks.now) for n in (1, 2))
    clocks.used = 0.015 * SAVED_S
    assert not one.allows()
    assert two.allows()


def test_an_account_may_owe_less_than_another(clocks: Clocks) -> None:
    budget = Budget(0.01, lambda: clocks.used, owed_s=10.0, cores=2, clock=lambda: clocks.now)
    clocks.used = 1_000.0
    assert not budget.allows()
    clocks.now = 9.9
    assert not budget.allows()
    clocks.now = 10.1
    assert budget.allows()
