"""The sets of folders of a route, as they are on the disk."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from operator import itemgetter
from pathlib import Path

import structlog

from dropslot.config.models import Config, Route
from dropslot.config.secrets import PRIVATE_MODE
from dropslot.core.names import RESERVED, escape
from dropslot.core.templates import Template, fault_of_value, literal

INBOX_MODE = 0o3773

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class FolderSet:
    """One set of inbox, processing, done and failed (absolute); `fields` come from the names of its
    folders."""

    route: Route = field(hash=False)
    fields: Mapping[str, str] = field(hash=False)
    inbox: Path
    processing: Path
    done: Path
    failed: Path


def folder_sets(route: Route, *, make: bool = True) -> list[FolderSet]:
    """The route's sets, by inbox. Look again to notice new ones.

    A route whose folders have no field has exactly one set, even if it cannot be read now. Otherwise there is one for
    each inbox that matches; a symbolic link is not followed from the first field on, and a folder whose name would be
    no safe value of a field is left out.

    With `make` (what the service does) a missing processing, done or failed is made with mode 0700, and the inbox of
    a route without fields with 3773, if the folder above the route's own exists: if that is missing too, a disk may
    not be mounted. An inbox below a field is made by the person who makes the set. What cannot be made is logged.
    """
    template = Template(route.inbox)
    matches = matching_folders(template) if template.fields else [(template.fixed, {})]
    sets = [_folder_set(route, inbox, fields) for inbox, fields in sorted(matches, key=itemgetter(0))]
    if make:
        for folders in sets:
            _make_missing(folders)
    return sets


def all_folders(config: Config) -> list[FolderSet]:
    """Every folder set that there is now, of all routes."""
    return list(chain.from_iterable(folder_sets(route) for route in config.routes.values()))


def _folder_set(route: Route, inbox: str, fields: dict[str, str]) -> FolderSet:
    others = (Path(Template(getattr(route, name)).fill(fields)) for name in ("processing", "done", "failed"))
    return FolderSet(route, fields, Path(inbox), *others)


def matching_folders(template: Template) -> Iterator[tuple[str, dict[str, str]]]:
    """Every folder of this machine that matches the template with safe values, and these values."""
    rest = template.text[len(literal(template.fixed)) :].strip("/").split("/")
    for path in _descend(template.fixed, rest):
        values = template.match(path)
        if values is None:
            continue
        faults = [fault for key, value in values.items() if (fault := fault_of_value(key, value))]
        if faults:
            log.debug("folder set left out", action="folder_set_unsafe", folder=escape(path), faults=faults)
            continue
        yield path, values


def _descend(folder: str, parts: list[str]) -> Iterator[str]:
    if not parts:
        yield folder
        return
    part = Template(parts[0])
    try:
        with os.scandir(folder) as entries:
            folders = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError as error:
        log.debug(
            "folder cannot be looked through",
            action="folder_unreadable",
            folder=escape(folder),
            error=str(error),
        )
        return
    for name in folders:
        if name != RESERVED and part.match(name) is not None:
            yield from _descend(os.path.join(folder, name), parts[1:])


def _make_missing(folders: FolderSet) -> None:
    if not folders.fields:
        _make(folders.inbox, INBOX_MODE)
    for folder in (folders.processing, folders.done, folders.failed):
        _make(folder, PRIVATE_MODE)


def _make(folder: Path, mode: int) -> None:
    if os.path.lexists(folder):
        return
    try:
        # Of the folders above only the nearest may be missing: more than that looks like an unmounted disk.
        if folder.parent.parent.is_dir():
            folder.parent.mkdir(mode=0o755, exist_ok=True)
        folder.mkdir(mode=PRIVATE_MODE)
        folder.chmod(mode)
    except FileExistsError:
        return  # another process made it
    except OSError as error:
        log.warning(
            "folder is missing and cannot be made",
            action="folder_not_made",
            folder=escape(str(folder)),
            error=str(error),
        )
