"""What every destination does when its disk is full; the site is on a small tmpfs of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from contract.destination_contract import ID, Site, deliver, make, source_of
from dropslot.core.errors import DiskFull, Refused


def fills_up_and_heals(
    site: Site, tmp_path: Path, not_looked_at: Callable[[], None], grow: Callable[[], None]
) -> None:
    """More than the whole disk holds is refused; what fills it on the way leaves nothing, and is delivered when it has
    grown. `not_looked_at` keeps the free space from being looked at first."""
    source = make(tmp_path / "a", {f"d{n}/f": bytes(60_000) for n in range(20)})
    with site.destination.open(site.target(), ID, 1, "a") as drop:
        with pytest.raises(Refused, match="whole file system"):
            drop.stage(source_of(source))
        not_looked_at()
        with pytest.raises(DiskFull, match=r"No space left|full"):
            drop.stage(source_of(source))
        drop.clean()
    assert site.files() == {}
    assert site.hidden() == []
    grow()
    assert deliver(site, source, site.target()) == []


def free_space_is_looked_at_first(site: Site, tmp_path: Path) -> None:
    """Bytes and inodes; there are 1 MB and 30 of them."""
    site.put("filler", bytes(800_000))
    big = make(tmp_path / "a", {"f": bytes(500_000)})
    many = make(tmp_path / "b", {f"f{n}": b"" for n in range(40)})
    for source, says in ((big, "are free"), (many, "inodes")):
        with pytest.raises(DiskFull, match=says):
            deliver(site, source, site.target())
