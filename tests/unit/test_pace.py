"""How fast bytes may go: no test waits, the clock stands still until somebody waits by it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from dropslot.core.settings.limits import limit
from dropslot.destinations.sftp import shared_pace
from dropslot.destinations.sftp.shared_pace import SharedPace
from dropslot.sftp.pace import Pace
from pacing import Standing

MB = 1_000_000


def shared(allowed: object, file: Path, clock: Standing) -> SharedPace:
    return SharedPace(limit(allowed), UTC, file, clock)


def test_without_a_limit_nothing_is_waited_for() -> None:
    clock = Standing()
    Pace(clock=clock).wait(1000 * MB)
    assert clock.waits == []


@pytest.mark.parametrize("alone", [True, False])
def test_no_more_goes_than_the_limit_and_one_piece(tmp_path: Path, *, alone: bool) -> None:
    clock, gone = Standing(), 0
    limited = Pace(lambda: 2 * MB, clock) if alone else shared("2MB/s", tmp_path / "pace", clock)
    for size in (500_000, 1, 3 * MB, 0, 70_000, 500_000):
        limited.wait(size)
        assert gone <= 2 * MB * clock.passed + 2
        gone += size
    assert clock.passed == pytest.approx((gone - 500_000) / (2 * MB), abs=1e-5)
    assert max(clock.waits) <= 5


def test_processes_share_it(tmp_path: Path) -> None:
    clock, file = Standing(), tmp_path / "pace"
    first, second = (shared("1MB/s", file, clock) for _ in range(2))
    for each in (first, second, first, second):
        each.wait(MB)
    assert clock.passed == pytest.approx(3, abs=1e-5)


def test_idle_time_is_not_saved_up(tmp_path: Path) -> None:
    clock = Standing()
    limited = shared("1MB/s", tmp_path / "pace", clock)
    limited.wait(MB)
    clock.seconds += 3600
    limited.wait(MB)
    limited.wait(MB)
    assert clock.passed == pytest.approx(3601, abs=1e-5)


def test_the_time_of_day_decides_and_is_looked_at_while_it_waits(tmp_path: Path) -> None:
    clock = Standing(datetime(2026, 3, 2, 17, 59, 50, tzinfo=UTC))
    evening = shared({"08:00-18:00": "10kB/s", "18:00-18:01": "1MB/s"}, tmp_path / "pace", clock)
    evening.wait(MB)  # a hundred seconds of the day's rate
    evening.wait(MB)
    # It looks every five seconds: the minute that follows has a rate of its own, but what went is paid for first.
    assert clock.passed == pytest.approx(70)
    evening.wait(MB)
    assert clock.passed == pytest.approx(70)  # after 18:01 there is no limit


def test_a_time_from_before_a_restart_of_the_machine_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, file = Standing(), tmp_path / "pace"
    shared("1kB/s", file, clock).wait(MB)
    monkeypatch.setattr(shared_pace, "_boot", lambda: "another")
    shared("1kB/s", file, clock).wait(MB)
    assert clock.waits == []
    monkeypatch.undo()
    file.write_text("no time at all")
    shared("1kB/s", file, clock).wait(MB)
    assert clock.waits == []
