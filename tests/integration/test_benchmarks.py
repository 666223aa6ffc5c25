"""The benchmarks measure what they say."""

from __future__ import annotations

from pathlib import Path

from benchmarks.__main__ import GROUPS
from benchmarks.report import PAGE
from benchmarks.slot import RESULTS, Slot

from waiting import wait_until


def test_each_table_has_its_place_on_the_page() -> None:
    """Otherwise `make bench` ends when it has measured that one."""
    page = PAGE.read_text()
    assert [group for group in GROUPS if f"<!-- bench:{group} -->" not in page] == []


def test_what_is_dropped_into_a_running_slot_is_seen_arriving(tmp_path: Path) -> None:
    """An entry that is there before the inbox is watched must first be quiet for `settle`."""
    slot = Slot(tmp_path, RESULTS | {"grace": 0})
    with slot.running():
        (slot.root / "outgoing").write_bytes(b"%PDF")
        (slot.root / "outgoing").rename(slot.inbox / "first.pdf")
        wait_until((slot.done / "first.pdf").exists)
    log = (slot.root / "run.log").read_text()
    assert "MOVEDTO" in log
    assert "NOTFINISHED" not in log
