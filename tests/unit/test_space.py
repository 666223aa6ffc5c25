"""A disk that fills up is told once, and once when it has room again."""

from __future__ import annotations

import os

import structlog
from structlog.testing import capture_logs

from dropslot.arrivals.upkeep.space import SpaceWatch
from dropslot.config import from_mapping
from mounts import Mounts


def test_filling_disk_is_told_once_and_room_again_once(mounts: Mounts) -> None:
    disk = mounts.tmpfs("1m")
    (disk / "to").mkdir()
    route = {"folders": "./study", "deliver": [{"to": str(disk / "to")}], "space": {"warn": "50%"}}
    # Of done and data, too, which are elsewhere; here they are on the same disk, of which is spoken once.
    for folder in ("var", "study/done"):
        (disk / folder).mkdir(parents=True)
    watch = SpaceWatch(from_mapping({"data": "./var", "routes": {"study": route}}, disk))
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


def test_disk_of_the_archive_is_looked_at_as_well(mounts: Mounts) -> None:
    disk, archive = mounts.tmpfs("1m"), mounts.tmpfs("1m")
    (archive / "done").mkdir()
    folders = {"folders": "./study", "done": str(archive / "done")}
    route = folders | {"deliver": [{"to": str(disk / "to")}], "space": {"warn": "50%"}}
    watch = SpaceWatch(from_mapping({"data": "./var", "routes": {"study": route}}, disk))
    (archive / "big").write_bytes(os.urandom(700_000))
    structlog.reset_defaults()
    with capture_logs() as told:
        watch.look()
    assert [entry["action"] for entry in told] == ["disk_filling"]
    assert str(archive / "done") in told[0]["event"]
