"""The time left: honest for one big file, for many small ones, and after a pause."""

from __future__ import annotations

import pytest

from dropslot.sender.engine.rates import Rate


class _Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_nobody_knows_it_in_the_first_second() -> None:
    clock = _Clock()
    rate = Rate(clock)
    rate.add(0, 0)
    clock.now = 0.5
    rate.add(1_000_000, 0)
    assert rate.seconds_left(1_000_000, 1) is None


def test_a_big_file_takes_its_bytes_by_the_rate() -> None:
    clock = _Clock()
    rate = Rate(clock)
    for second in range(11):
        clock.now = second
        rate.add(second * 10_000_000, 0)
    assert rate.bytes_a_second == 10_000_000
    assert rate.seconds_left(100_000_000, 1) == pytest.approx(10, rel=0.01)


def test_small_files_count_as_files_even_behind_a_big_one() -> None:
    """100 files a second of 1 KB: the bytes alone would say that the rest takes a second after 10 MB/s."""
    clock = _Clock()
    rate = Rate(clock)
    for second in range(11):
        clock.now = second
        rate.add(second * 100_000, second * 100)
    left = rate.seconds_left(1_000_000, 1000)
    assert left == pytest.approx(10, rel=0.01)


def test_a_pause_is_forgotten_after_a_while() -> None:
    clock = _Clock()
    rate = Rate(clock)
    for second in range(5):
        clock.now = second
        rate.add(second * 1000, 0)
    for second in range(5, 60):
        clock.now = 600.0 + second
        rate.add(4000 + (second - 4) * 1000, 0)
    assert rate.bytes_a_second == pytest.approx(1000)
