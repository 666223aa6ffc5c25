"""Names that a recipient's folder may have: of the folder tables, and what lies in local destinations."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

from dropslot.config import Config
from dropslot.core.templates import Template
from dropslot.lookup.models import Folder

_HINTED = 300  # folders


def some(config: Config) -> list[str]:
    """The first of them, to be offered while somebody types."""
    return sorted(set(islice(_folders(config), _HINTED)))


def is_doubtful(config: Config, folder: str) -> bool:
    """Whether neither a folder table nor a local destination has this folder, though there are some to ask. It may
    still be right: a destination's folder can be made by its first delivery."""
    name = folder.strip("/")
    if Folder.objects.filter(folder=name).exists():
        return False
    places = list(_places(config))
    if any(_is_folder(place, name) for place in places):
        return False
    return bool(places) or Folder.objects.exists()


def _folders(config: Config) -> Iterator[str]:
    yield from Folder.objects.values_list("folder", flat=True).distinct().order_by("folder")[:_HINTED]
    for place in _places(config):
        yield from _beneath(place)


def _places(config: Config) -> Iterator[str]:
    """The destinations on local disks: for others it would mean to wait for another machine."""
    for route in config.routes.values():
        for rule in route.deliver:
            place = Template(rule.to).fixed
            if place.startswith("/"):
                yield place


def _beneath(place: str) -> Iterator[str]:
    with suppress(OSError), os.scandir(place) as entries:
        for entry in islice(entries, _HINTED):
            if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False):
                yield entry.name


def _is_folder(place: str, name: str) -> bool:
    with suppress(OSError, ValueError):
        return ".." not in name.split("/") and (Path(place) / name).is_dir()
    return False
