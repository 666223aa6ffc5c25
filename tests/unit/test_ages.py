"""How old something is although the clock of the machine jumps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from dropslot.running.ages import Ages

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOURS = timedelta(hours=3)


def jumped(by: timedelta) -> tuple[Ages, datetime]:
    """The clock showed noon, then a minute went by in which it jumped; and what it shows then."""
    ages = Ages()
    ages.look(NOON, 1000.0)
    return ages, ages.look(NOON + MINUTE + by, 1060.0)


@pytest.mark.parametrize("by", [HOURS, -HOURS, timedelta(days=4000), timedelta(days=-4000)])
def test_what_was_there_before_a_jump_is_as_old_as_it_is(by: timedelta) -> None:
    ages, now = jumped(by)
    [jump] = ages.jumps
    assert jump.by == by
    if by > timedelta(0):
        assert ages.age(NOON - MINUTE, now) == 2 * MINUTE
    # Whether it came before the clock went back, or after, cannot be told as long as its time may be either.
    assert ages.age(NOON - timedelta(days=5000), now) == timedelta(days=5000) + MINUTE
    assert ages.age(NOON, NOON + MINUTE + by) <= MINUTE


@pytest.mark.parametrize("by", [HOURS, -HOURS])
def test_what_came_after_a_jump_is_as_old_as_its_time_says(by: timedelta) -> None:
    ages, now = jumped(by)
    later = ages.look(now + 5 * MINUTE, 1360.0)
    assert ages.age(now, later) == 5 * MINUTE and len(ages.jumps) == 1


def test_a_time_that_is_yet_to_come_is_no_age() -> None:
    assert Ages().age(NOON + HOURS, NOON) == timedelta(0)
    ages, now = jumped(-HOURS)
    assert ages.age(NOON, now) == MINUTE  # it came before the clock went back


def test_a_clock_that_is_set_slowly_and_a_machine_that_slept_do_not_jump() -> None:
    ages = Ages()
    ages.look(NOON, 0.0)
    ages.look(NOON + 600 * MINUTE + timedelta(seconds=20), 36_000.0)
    ages.look(NOON + 700 * MINUTE, 42_000.0)
    assert ages.jumps == []
