"""A destination that fills up is told once, and once when it has room again."""

from __future__ import annotations

import os
from pathlib import Path

import structlog
from structlog.testing import capture_logs

from dropslot.arrivals.space import SpaceWatch
from dropslot.config import from_mapping
from mounts import Mounts


def test_filling_disk_is_told_once_and_room_again_once(mounts: Mounts, tmp_path: Path) -> None:
    disk = mounts.tmpfs("1m")
    route = {"folders": "./study", "deliver": [{"to": str(disk)}], "space": {"warn": "50%"}}
    watch = SpaceWatch(from_mapping({"data": "./var", "routes": {"study": route}}, tmp_path))
    structlog.reset_defaults()
    with capture_logs() as told:
        watch.look()
        (disk / "big").write_bytes(os.urandom(700_000))
        watch.look()
        watch.look()
        (disk / "big").unlink()
        watch.look()
        watch.look()
    assert [entry["action"] for entry in told] == ["disk_filling", "disk_has_room"]
