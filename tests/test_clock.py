import time
from datetime import UTC, datetime, timedelta

import pytest

from sweeper.clock import Clock, ManualClock, SystemClock


@pytest.mark.parametrize("clock", [SystemClock(), ManualClock()])
def test_every_clock_tells_the_time_in_utc(clock: Clock) -> None:
    assert clock.now().utcoffset() == timedelta(0)


def test_the_system_clock_tells_the_machines_time() -> None:
    before = datetime.now(UTC)
    assert before <= SystemClock().now() <= datetime.now(UTC)


def test_the_system_clock_never_goes_back() -> None:
    readings = [SystemClock().monotonic() for _ in range(100)]
    assert readings == sorted(readings)


def test_the_system_clock_sleeps_for_real() -> None:
    started = time.monotonic()
    SystemClock().sleep(0.02)
    assert time.monotonic() - started >= 0.02


def test_a_manual_clock_stands_still_until_it_is_moved() -> None:
    clock = ManualClock()
    assert (clock.now(), clock.monotonic()) == (clock.now(), clock.monotonic())


def test_a_manual_clock_starts_where_it_is_told() -> None:
    start = datetime(2030, 5, 1, 12, tzinfo=UTC)
    assert ManualClock(start).now() == start


def test_sleeping_moves_both_readings_of_a_manual_clock_without_waiting() -> None:
    clock = ManualClock(datetime(2030, 5, 1, 12, tzinfo=UTC))
    started = time.monotonic()
    clock.sleep(3_600)
    clock.sleep(30.5)
    assert time.monotonic() - started < 1
    assert clock.monotonic() == 3_630.5
    assert clock.now() == datetime(2030, 5, 1, 13, 0, 30, 500_000, tzinfo=UTC)


def test_two_manual_clocks_are_moved_apart() -> None:
    moved, still = ManualClock(), ManualClock()
    moved.sleep(1)
    assert still.monotonic() == 0
