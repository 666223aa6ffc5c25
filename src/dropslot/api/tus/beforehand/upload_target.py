"""The route and inbox that an upload is for."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from dropslot.access.section import refuses_repeats
from dropslot.access.seen import Access
from dropslot.api.tus.problems import Problem
from dropslot.arrivals.models import Arrival
from dropslot.config.route_folders import FolderSet, folder_sets
from dropslot.core.names import escape
from dropslot.core.states import State
from dropslot.core.templates import Template

_CHUNK = 500
_TOLD = 5  # dates of earlier arrivals


class Earlier(NamedTuple):
    """An arrival of the same name that was sent before."""

    id: str
    state: str
    received_at: Any


def target(access: Access, wanted: Mapping[str, str]) -> FolderSet:
    """The inbox for `route` and for the fields in the path of its inbox. Raises Problem; a route that the account may
    not upload to is answered like one that does not exist."""
    key = wanted.get("route", "")
    if not key or key not in access.config.routes or not access.may_upload(key):
        mine = [route.key for route in access.config.routes.values() if access.may_upload(route.key)]
        raise Problem(
            403, "This account may not upload to such a route", f"Say one as `route`: {', '.join(mine)}"
        )
    route = access.config.routes[key]
    names = Template(route.inbox).fields
    for folders in folder_sets(route, make=False):
        if all(folders.fields.get(name) == wanted.get(name) for name in names):
            return folders
    raise Problem(
        422,
        f"Route {key} has no inbox for these fields",
        f"Say {', '.join(sorted(names))}, each a value for which there is an inbox; the page Upload lists them",
    )


def earlier(access: Access, folders: FolderSet, names: Sequence[str]) -> dict[str, list[Earlier]]:
    """The arrivals of these names that the account may see, the newest first, by name."""
    found: dict[str, list[Earlier]] = {}
    for start in range(0, len(names), _CHUNK):
        shown = [escape(name) for name in names[start : start + _CHUNK]]
        rows = access.arrivals().filter(inbox=str(folders.inbox), name__in=shown).order_by("-id")
        for name, arrival, state, at in rows.values_list("name", "id", "state", "received_at"):
            if len(found.setdefault(name, [])) < _TOLD:
                found[name].append(Earlier(arrival, state, at))
    return found


def was_sent(folders: FolderSet, names: Sequence[str]) -> set[str]:
    """Which of the names the route does not take again, whoever sent them: empty unless it refuses repeats."""
    if not refuses_repeats(folders.route):
        return set()
    sent: set[str] = set()
    for start in range(0, len(names), _CHUNK):
        shown = {escape(name): name for name in names[start : start + _CHUNK]}
        rows = Arrival.objects.filter(inbox=str(folders.inbox), name__in=shown).exclude(state=State.FAILED)
        sent |= {shown[name] for name in rows.values_list("name", flat=True)}
    return sent


def fault_of_repeat(name: str) -> str:
    """The reason that a route which refuses repeats gives."""
    return f"{escape(name)} was sent before, and this route takes no name twice: give it another name"


def waits(folders: FolderSet, name: str) -> bool:
    """Whether an earlier entry of this name is still in the inbox."""
    return os.path.lexists(folders.inbox / name)
