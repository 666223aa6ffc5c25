"""`latest --link-into`: a tree of links to the newest version of each file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dropslot.core.errors import DropslotError
from dropslot.destinations import for_url


class NotALinkTree(DropslotError):
    """The folder contains something that is not a link; nothing is changed."""

    code = "not-a-link-tree"


def link_latest(rows: Iterable[Mapping[str, Any]], folder: Path) -> int:
    """Make `folder` show the newest files, by item; returns how many links there are.

    If a route has several destinations, files are below the last path component that differs between them. Each link
    is put in place by one rename; links to files that are no longer the newest are removed. Raises NotALinkTree,
    before anything is changed, if the folder contains other things.
    """
    found = list(rows)
    wanted = _wanted(found)
    if wanted is None:
        raise NotALinkTree(
            "Some of these files are on a server, and a link cannot point there",
            where="Nothing was changed",
            next_step="Leave out --link-into: `latest` lists them",
        )
    present = _links(folder)
    for path, target in wanted.items():
        _link(folder / path, target)
    for path in present - wanted.keys():
        (folder / path).unlink()
        _remove_empty(folder, (folder / path).parent)
    return len(wanted)


def _wanted(rows: list[Mapping[str, Any]]) -> dict[str, str] | None:
    """What each link leads to; None: some of it is not on this machine."""
    paths = [for_url(row["destination"]).path_here(row["destination"], row["stored_as"]) for row in rows]
    if None in paths:
        return None
    places = sorted({str(row["destination"]) for row in rows})
    common = os.path.commonpath(places) if places else ""
    prefix = {place: os.path.relpath(place, common) if place != common else "" for place in places}
    links = (os.path.join(prefix[row["destination"]], row["item"]) for row in rows)
    return {link: path for link, path in zip(links, paths, strict=True) if path}


def _links(folder: Path) -> set[str]:
    present = set()
    for parent, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(parent, name)
            if not os.path.islink(path):
                raise NotALinkTree(
                    f"{path} is not a link",
                    where="Nothing was changed",
                    next_step="Give a new folder, or one that `latest` made",
                )
            present.add(os.path.relpath(path, folder))
    return present


def _link(path: Path, target: str) -> None:
    if path.is_symlink() and os.readlink(path) == target:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.parent / f".{os.getpid()}.link"
    beside.unlink(missing_ok=True)
    beside.symlink_to(target)
    beside.rename(path)


def _remove_empty(top: Path, folder: Path) -> None:
    while folder != top and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
