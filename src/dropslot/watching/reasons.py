"""The sentences that say why an entry of an inbox is not taken. The log, `pending` and refusals use the same."""

from __future__ import annotations

import os
import stat
from datetime import timedelta
from typing import TYPE_CHECKING, Literal, NamedTuple

from dropslot.core.names import escape
from dropslot.core.patterns import Glob
from dropslot.watching import quiet
from dropslot.watching.temporary import TemporaryNames

if TYPE_CHECKING:
    from dropslot.config import Route


Kind = Literal[
    "on its way", "temporary", "test", "unfinished", "empty", "other kind", "ignored", "unreadable"
]


class Why(NamedTuple):
    """Why an entry is in the inbox; `since` is in seconds of the epoch."""

    kind: Kind
    reason: str
    since: float

    @property
    def is_stuck(self) -> bool:
        """It does not become complete by waiting."""
        return self.kind not in ("on its way", "temporary", "test")


def takes(route: Route, *, is_folder: bool) -> bool:
    """Whether the route takes folders, or files."""
    if route.complete == "marker" and not is_folder:
        return False  # nothing can appear inside of a file
    return route.takes in ("any", "directories" if is_folder else "files")


def ignores_other_kinds(route: Route) -> bool:
    """Whether entries of another kind stay where they are. Nothing that is read in place is moved."""
    return route.leave_source or route.other_kinds == "ignore"


def of_other_kind(route: Route, *, is_folder: bool) -> str:
    """It is a file where directories are taken, or the reverse."""
    kind = "directory" if is_folder else "file"
    if route.complete == "marker" and not is_folder:
        return f"it is a file, and route {route.key} waits for a marker inside a directory"
    return f"it is a {kind}, and route {route.key} takes {'files' if is_folder else 'directories'} only"


def of_unfinished(path: str) -> str:
    """`path`, beneath the arrival, is an unfinished name."""
    return f"{escape(path)} is unfinished: transfer programs use such a name until a file is complete"


EMPTY = "it contains no file"


def of_look(seen: quiet.Look) -> str:
    """Why a tree is not whole."""
    return of_unfinished(seen.unfinished) if seen.unfinished else EMPTY


def explain(route: Route, inbox: str, name: str, temporary: TemporaryNames) -> Why | None:
    """Why `name` is in the inbox now; None if it is gone. Works without a running service."""
    path = os.path.join(inbox, name)
    try:
        top = os.lstat(path)
        if temporary.match(name):
            return Why("temporary", "waits to be renamed: its name is temporary", top.st_ctime)
        if route.test_names and Glob(route.test_names).match(name):
            return Why("test", "is never delivered: its name is one of `test_names`", top.st_ctime)
        is_folder = stat.S_ISDIR(top.st_mode)
        if (is_folder or stat.S_ISREG(top.st_mode)) and not takes(route, is_folder=is_folder):
            return _of_other_kind(route, top)
        seen = quiet.look_at_names(path, top, temporary.inside(route.litter))
        if seen is None or seen.is_whole:
            reason = f"waits until it is complete ({route.complete}) and the service takes it"
            return Why("on its way", reason, top.st_ctime)
        since = os.lstat(os.path.join(path, seen.unfinished)) if seen.unfinished else top
    except FileNotFoundError:
        return None
    except OSError as error:
        return Why("unreadable", f"it cannot be read: {error.strerror}", 0.0)
    kind: Kind = "unfinished" if seen.unfinished else "empty"
    return Why(kind, waits(route, of_look(seen)), since.st_ctime)


def waits(route: Route, why: str) -> str:
    """The text for an arrival that is not whole; `why` is the reason."""
    return f"{why}. It is refused when nothing has changed for {shown(route.give_up)}"


def _of_other_kind(route: Route, top: os.stat_result) -> Why:
    why = of_other_kind(route, is_folder=stat.S_ISDIR(top.st_mode))
    if ignores_other_kinds(route):
        return Why("ignored", f"{why}. It stays where it is", top.st_ctime)
    fate = f"It is refused when nothing has changed for {shown(route.settle)}"
    return Why("other kind", f"{why}. {fate}", top.st_ctime)


def shown(time: timedelta) -> str:
    """A duration as config.yaml has it: `1d`, `1h30m`, `0.5s`."""
    seconds = time.total_seconds()
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        count, seconds = divmod(seconds, size)
        parts.append(f"{count:.0f}{unit}" if count else "")
    parts.append(f"{seconds:g}s" if seconds or not any(parts) else "")
    return "".join(parts)
