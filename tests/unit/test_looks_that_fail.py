"""A look that fails is no proof that something is missing: what is missing is refused, the rest is retried."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from dropslot.arrivals.delivery import prepare
from dropslot.core.errors import DestinationUnready, Refused, StorageFault
from dropslot.destinations.base import Target
from dropslot.destinations.local import targets


@pytest.fixture
def broken_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A path whose every look ends with EIO."""
    path = tmp_path / "broken"
    path.mkdir()

    def failing(real: Any) -> Any:
        def look(at: Any, *args: Any, **options: Any) -> Any:
            if isinstance(at, (str, Path)) and Path(at) == path:
                raise OSError(errno.EIO, os.strerror(errno.EIO), str(at))
            return real(at, *args, **options)

        return look

    for name in ("stat", "lstat"):
        monkeypatch.setattr(os, name, failing(getattr(os, name)))
    return path


def test_source_on_a_broken_disk_is_tried_again_and_a_missing_one_is_gone(broken_disk: Path) -> None:
    with pytest.raises(StorageFault):
        prepare._is_there(broken_disk)  # noqa: SLF001 - ours
    assert not prepare._is_there(broken_disk.with_name("missing"))  # noqa: SLF001 - ours


def test_study_on_a_broken_disk_is_waited_for_and_a_mistyped_one_is_refused(broken_disk: Path) -> None:
    fixed = str(broken_disk.parent)
    with pytest.raises(DestinationUnready, match="Input/output error"):
        targets.open_place(Target(fixed, fixed, must_exist=str(broken_disk)))
    with pytest.raises(Refused, match="does not exist"):
        targets.open_place(Target(fixed, fixed, must_exist=str(broken_disk.with_name("mistyped"))))


def test_destination_on_a_broken_disk_is_not_called_missing(broken_disk: Path) -> None:
    with pytest.raises(DestinationUnready, match="Input/output error"):
        targets.open_place(Target(str(broken_disk), str(broken_disk)))
