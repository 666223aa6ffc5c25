"""A kind of destination that takes whole items: into a folder, by a link that replaces nothing.

The crash suite registers it as a plugin, and looks at its folder as at any other.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import BinaryIO

from dropslot.config import Deliver
from dropslot.core.errors import DestinationUnready
from dropslot.destinations.base import Found, Kind, Target
from dropslot.destinations.whole_items import Spooled


class Shelf(Spooled):
    """`shelf://NAME/PATH`: PATH below `top`. What is not whole yet lies in `aside`."""

    def __init__(self, top: Path, aside: Path) -> None:
        super().__init__()
        self.top, self.aside = top, aside

    def _path(self, target: Target, name: str) -> Path:
        return self.top / target.url.partition("://")[2].partition("/")[2] / name

    def check(self, target: Target) -> None:
        if not self.top.is_dir():
            raise DestinationUnready(f"There is no {self.top}")

    def send(self, target: Target, name: str, data: BinaryIO, sha256: str) -> bool:
        path, part = self._path(target, name), self.aside / sha256
        path.parent.mkdir(parents=True, exist_ok=True)
        part.unlink(missing_ok=True)  # it may be a name of what was sent just before a kill
        with part.open("xb") as file:
            file.write(data.read())
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(part, path)
        except FileExistsError:
            return False
        return True

    def read(self, target: Target, name: str) -> Iterator[bytes]:
        return iter([self._path(target, name).read_bytes()])

    def listing(self, target: Target, folder: str) -> dict[str, Found]:
        path = self._path(target, folder)
        if not path.is_dir():
            return {}
        with os.scandir(path) as entries:
            return {entry.name: _found(entry) for entry in entries}


def _found(entry: os.DirEntry[str]) -> Found:
    seen = entry.stat(follow_symlinks=False)
    return Found(entry.is_dir(), entry.is_file(), seen.st_size, seen.st_mtime_ns)


class ShelfKind(Kind):
    """`options` is the folder that holds `studies` and `aside`."""

    def for_rule(self, rule: Deliver) -> Shelf:
        return _shelf(str(rule.options))


@cache
def _shelf(root: str) -> Shelf:
    return Shelf(Path(root, "studies"), Path(root, "aside"))
