"""However many entries lie in an inbox at once, few are held in memory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from clocked import Desk
from dropslot.watching import partial_scans


@pytest.mark.parametrize("complete", ["named", "settled"])
def test_more_entries_than_there_is_room_for_are_noticed_bit_by_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, complete: str
) -> None:
    monkeypatch.setattr(partial_scans, "MOST_FRESH", 100)
    monkeypatch.setattr(partial_scans, "PART", 70)
    desk = Desk(tmp_path, complete=complete)
    for number in range(1000):
        (desk.inbox / f"scan{number}").touch()
    taken: set[str] = set()
    for _ in range(60):
        with os.scandir(desk.inbox) as entries:
            for part in partial_scans.parts(entries):
                names = {entry.name for entry in part.entries}
                desk.completion.scanned(names, desk.now, is_first=part.is_first, is_last=part.is_last)
        # Those that must be quiet have been looked at once and wait for their second look.
        assert len(desk.completion.waiting()) <= (100 if complete == "named" else 400)
        found = desk.look(3)
        for name in found:
            (desk.inbox / name).unlink()
            desk.completion.gone(name)
        taken |= found
    assert len(taken) == 1000
    assert not desk.completion.wants_scan() and desk.completion.waiting() == []


def test_what_a_scan_in_parts_does_not_find_is_forgotten(tmp_path: Path) -> None:
    desk = Desk(tmp_path, complete="settled")
    for name in ("a", "b", "c"):
        (desk.inbox / name).touch()
    desk.completion.scanned({"a", "b", "c"}, desk.now)
    (desk.inbox / "b").unlink()
    desk.completion.scanned({"a"}, desk.now, is_last=False)
    assert set(desk.waiting()) == {"a", "b", "c"}
    desk.completion.scanned({"c"}, desk.now, is_first=False)
    assert set(desk.waiting()) == {"a", "c"}
