"""Visits of the portal become events: each once, whatever ends in between."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError

from dropslot.access import visit_trail as visits
from dropslot.access.models import RecordedVisits
from dropslot.access.visit_trail import Trail
from dropslot.audit.kinds import Kind
from dropslot.audit.models import Event
from portals import Site

BOTH_DATABASES = True

VISIT = {"by": "ada", "address": "192.0.2.1", "at": "2026-11-29T10:00:00.000000Z", "what": "/events/"}


def _exported() -> list[int]:
    kept = Event.objects.filter(kind=Kind.EXPORTED).order_by("seq").values_list("data", flat=True)
    return [json.loads(data)["rows"] for data in kept]


@pytest.fixture
def folder(site: Site) -> Path:
    site.config.data.mkdir(exist_ok=True)
    return site.config.data / "portal"


def test_each_visit_is_one_event_in_the_order_of_the_visits(folder: Path) -> None:
    trail = Trail(folder)
    for rows in range(5):
        trail.note(Kind.EXPORTED, "", VISIT | {"rows": rows})
    trail.record()
    trail.note(Kind.EXPORTED, "", VISIT | {"rows": 5})
    trail.record()
    assert _exported() == [0, 1, 2, 3, 4, 5]
    assert not list(folder.iterdir())
    assert not RecordedVisits.objects.exists()


def test_what_a_killed_process_noted_is_recorded_by_the_next_one(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    line = json.dumps(["exported", "", VISIT | {"rows": 7}]) + "\n"
    (folder / "noting-01KILLED").write_text(line + line[: len(line) // 2])  # it died in the middle of a line
    trail = Trail(folder)
    trail.note(Kind.EXPORTED, "", VISIT | {"rows": 8})
    trail.record()
    assert sorted(_exported()) == [7, 8]


def test_a_file_of_a_living_process_is_left_to_it(folder: Path) -> None:
    other, trail = Trail(folder), Trail(folder)
    other.note(Kind.EXPORTED, "", VISIT | {"rows": 1})
    trail.note(Kind.EXPORTED, "", VISIT | {"rows": 2})
    trail.record()
    assert _exported() == [2]
    other.record()
    assert _exported() == [2, 1]


def test_a_process_that_dies_after_the_commit_repeats_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trail = Trail(folder)
    trail.note(Kind.EXPORTED, "", VISIT | {"rows": 3})
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", lambda *_, **__: (_ for _ in ()).throw(OSError("killed")))
        with pytest.raises(OSError, match="killed"):
            trail.record()
    Trail(folder).record()
    assert _exported() == [3]


def test_visits_stay_noted_while_the_database_is_away(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trail = Trail(folder)
    trail.note(Kind.EXPORTED, "", VISIT | {"rows": 4})
    with monkeypatch.context() as patch:
        patch.setattr(visits, "append", lambda _: (_ for _ in ()).throw(DatabaseError("away")))
        with pytest.raises(DatabaseError):
            trail.record()
    trail.record()
    assert _exported() == [4]


def test_a_file_has_its_name_only_once_it_is_locked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    lock = fcntl.flock

    def locking(stream: Any, how: int) -> None:
        seen.extend(path.name for path in folder.glob("noting-*"))
        lock(stream, how)

    monkeypatch.setattr(fcntl, "flock", locking)
    trail = Trail(folder)
    trail.note(Kind.EXPORTED, "", VISIT | {"rows": 1})  # another process would take what it can lock
    assert seen == []
    trail.record()
    assert _exported() == [1]
