"""How fast bytes may go: no test waits, the clock stands still until somebody waits by it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from dropslot.config.limits import limit
from dropslot.sftp import pace
from dropslot.sftp.pace import Pace
from pacing import Standing

MB = 1_000_000


def test_without_a_limit_nothing_is_waited_for(tmp_path: Path) -> None:
    clock = Standing()
    for unlimited in (Pace(None, UTC, tmp_path / "pace", clock), Pace(None, UTC, clock=clock)):
        unlimited.wait(1000 * MB)
    assert clock.waits == []
    assert not (tmp_path / "pace").exists()


@pytest.mark.parametrize("shared", [True, False])
def test_no_more_goes_than_the_limit_and_one_piece(tmp_path: Path, *, shared: bool) -> None:
    clock, gone = Standing(), 0
    limited = Pace(limit("2MB/s"), UTC, tmp_path / "pace" if shared else None, clock)
    for size in (500_000, 1, 3 * MB, 0, 70_000, 500_000):
        limited.wait(size)
        assert gone <= 2 * MB * clock.passed + 2
        gone += size
    assert clock.passed == pytest.approx((gone - 500_000) / (2 * MB), abs=1e-5)
    assert max(clock.waits) <= 5


def test_processes_share_it(tmp_path: Path) -> None:
    clock, file = Standing(), tmp_path / "pace"
    first, second = (Pace(limit("1MB/s"), UTC, file, clock) for _ in range(2))
    for each in (first, second, first, second):
        each.wait(MB)
    assert clock.passed == pytest.approx(3, abs=1e-5)


def test_idle_time_is_not_saved_up(tmp_path: Path) -> None:
    clock = Standing()
    limited = Pace(limit("1MB/s"), UTC, tmp_path / "pace", clock)
    limited.wait(MB)
    clock.seconds += 3600
    limited.wait(MB)
    limited.wait(MB)
    assert clock.passed == pytest.approx(3601, abs=1e-5)


def test_the_time_of_day_decides_and_is_looked_at_while_it_waits() -> None:
    clock = Standing(datetime(2026, 3, 2, 17, 59, 50, tzinfo=UTC))
    evening = Pace(limit({"08:00-18:00": "10kB/s", "18:00-18:01": "1MB/s"}), UTC, clock=clock)
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
    Pace(limit("1kB/s"), UTC, file, clock).wait(MB)
    monkeypatch.setattr(pace, "_boot", lambda: "another")
    Pace(limit("1kB/s"), UTC, file, clock).wait(MB)
    assert clock.waits == []
    monkeypatch.undo()
    file.write_text("no time at all")
    Pace(limit("1kB/s"), UTC, file, clock).wait(MB)
    assert clock.waits == []
