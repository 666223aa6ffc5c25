"""`limit` over a real connection: what lies at the server at each moment is compared with what the limit allows."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from contract.destination_contract import deliver, make
from contract.sftp_site import site_at
from dropslot.core.settings.limits import Limit, limit
from dropslot.destinations.sftp.shared_pace import SharedPace
from dropslot.sftp import runtime
from dropslot.sftp.transfers import many_files
from pacing import Standing
from sshd import Sshd

MB = 1_000_000
BIG, SMALL, COUNT = 6 * MB, 100_000, 20
TRIALS = 10  # bytes of files that only show how the server gives names


@pytest.fixture(autouse=True)
def _in_pieces(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(many_files, "SMALL_BYTES", MB)
    yield
    runtime.close()


class Watched(Standing):
    """Notes what lies at the server whenever it is waited for."""

    def __init__(self, folder: Path, begun: datetime | None) -> None:
        super().__init__(begun)
        self._folder = folder
        self.seen: list[tuple[float, int]] = []

    def wait(self, seconds: float) -> None:
        self.seen.append((self.passed, bytes_below(self._folder)))
        super().wait(seconds)


def bytes_below(folder: Path) -> int:
    """Of staged and of published files; one with two names counts once."""
    found = {}
    for top, _, names in os.walk(folder):
        for name in names:
            try:
                seen = os.lstat(os.path.join(top, name))
            except FileNotFoundError:
                continue  # renamed meanwhile
            found[seen.st_ino] = seen.st_size
    return sum(found.values())


def delivered_at(tmp_path: Path, server: Sshd, allowed: Limit, begun: datetime | None = None) -> Watched:
    """The clock by which a delivery of one large and many small files was done."""
    (tmp_path / "out").mkdir()
    clock = Watched(tmp_path / "out", begun)
    site = site_at(server, tmp_path / "out", pace=SharedPace(allowed, UTC, tmp_path / "pace", clock))
    files = {f"small{number:02}": os.urandom(SMALL) for number in range(COUNT)}
    source = make(tmp_path / "a", {"big": os.urandom(BIG), **files})
    assert deliver(site, source, site.target()) == []
    assert bytes_below(tmp_path / "out") > BIG + COUNT * SMALL
    return clock


def test_no_faster_than_the_limit(tmp_path: Path, shared_sshd: Sshd) -> None:
    clock = delivered_at(tmp_path, shared_sshd, limit("2MB/s"))
    piece = many_files.PIECE_BYTES
    for passed, there in clock.seen:
        assert there <= 2 * MB * passed + piece + TRIALS
    assert clock.passed >= (BIG + COUNT * SMALL - piece) / (2 * MB)
    assert clock.passed <= (BIG + COUNT * SMALL) / (2 * MB) + 0.1  # nor much slower


def test_the_limit_ends_with_its_time_of_day(tmp_path: Path, shared_sshd: Sshd) -> None:
    evening = datetime(2026, 3, 2, 17, 59, 58, tzinfo=UTC)
    clock = delivered_at(tmp_path, shared_sshd, limit({"08:00-18:00": "1MB/s"}), evening)
    for passed, there in clock.seen:
        assert there <= MB * passed + many_files.PIECE_BYTES + TRIALS
    assert clock.seen
    assert 2 <= clock.passed < 3


def test_at_other_times_of_day_nothing_is_waited_for(tmp_path: Path, shared_sshd: Sshd) -> None:
    night = datetime(2026, 3, 2, 23, tzinfo=UTC)
    assert delivered_at(tmp_path, shared_sshd, limit({"08:00-18:00": "1kB/s"}), night).waits == []
