"""Who follows an arrival through the code from its claim to done enters few modules."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import dropslot
from databases import Database
from dropslot.arrivals.deliver import Deliver
from dropslot.arrivals.intake import record
from dropslot.arrivals.workers import drain, local
from dropslot.config import from_mapping
from dropslot.config.route_folders import all_folders

SOURCE = f"{Path(dropslot.__file__).parent}/"
# 49 for a file and 55 for a folder; times, limits of routes and destinations, shares, and room at the destination: 11.
MOST_MODULES = 66


class Entered:
    """The modules in which a function ran while one of the watched steps did."""

    def __init__(self) -> None:
        self.modules: set[str] = set()

    def watch(self, step: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*args: Any) -> Any:
            threading.setprofile(self._note)
            sys.setprofile(self._note)
            try:
                return step(*args)
            finally:
                sys.setprofile(None)
                threading.setprofile(None)

        return watched

    def _note(self, frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(SOURCE):
            self.modules.add(frame.f_code.co_filename.removeprefix(SOURCE))


@pytest.fixture
def entered(monkeypatch: pytest.MonkeyPatch) -> Entered:
    found = Entered()
    monkeypatch.setattr(Deliver, "_claim", found.watch(Deliver._claim))  # noqa: SLF001 - ours
    monkeypatch.setattr(record, "record_apart", found.watch(record.record_apart))
    monkeypatch.setattr(local, "deliver_batch", found.watch(local.deliver_batch))
    return found


@pytest.mark.parametrize("is_folder", [False, True])
def test_an_arrival_enters_few_modules(
    database: Database, tmp_path: Path, settings: Any, entered: Entered, is_folder: bool
) -> None:
    route = {"folders": "./r", "takes": "any", "deliver": [{"to": "./to"}]}
    settings.DROPSLOT = config = from_mapping(
        {"data": str(tmp_path / "var"), "routes": {"r": route}}, tmp_path
    )
    (tmp_path / "to").mkdir()
    [folders] = all_folders(config)
    for name in ("first", "second"):
        entered.modules.clear()  # what a process finds out once is not on every arrival's way
        path = folders.inbox / name
        if is_folder:
            path.mkdir()
        (path / "item" if is_folder else path).write_text(name)
        assert drain.drain(config, now=True).done == 1
    assert len(entered.modules) <= MOST_MODULES, "\n".join(sorted(entered.modules))
    assert (tmp_path / "to" / ("item.v2" if is_folder else "second")).read_text() == "second"
    assert database.vendor
