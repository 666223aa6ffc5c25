"""The readable reason beside a refused arrival, and the facts in its row if it will not be retried."""

from __future__ import annotations

import os
import shlex
from contextlib import suppress

from dropslot.arrivals import whereabouts
from dropslot.arrivals.models import Arrival
from dropslot.audit.chain import timestamp
from dropslot.config import Config, Route
from dropslot.config.route_folders import FolderSet

# In the evidence of an arrival.
DISMISSED, PURGED = "dismissed", "purged"
ENDED = frozenset({DISMISSED, PURGED})
_ENDED_FOR_GOOD = (  # the last of the reasons says when, by whom and why
    "It was dismissed, and is not retried. `dropslot purge --failed` may remove it.",
    "To deliver it anyway, move it into the inbox before that.",
)


def dismissal(ended: dict[str, str]) -> str:
    """When an arrival was ended for good, by whom and why."""
    return f"Dismissed at {ended['at'][:16].replace('T', ' ')} UTC by {ended['by']}: {ended['reason']}"


def rewrite_reason(config: Config, folders: FolderSet, arrival: Arrival) -> None:
    """Replace the whole reason beside an arrival in failed. If it is not there, or the system refuses, nothing
    happens: the row has the same text."""
    path = whereabouts.reason_file(
        whereabouts.refused(folders, arrival.id), os.fsdecode(bytes(arrival.name_bytes))
    )
    aside = path.with_name(f".{path.name}")  # the leading dot says that it is not an arrival
    with suppress(OSError):
        aside.write_text(reason_text(config, folders.route, arrival), "utf-8", "backslashreplace")
        aside.replace(path)


def reason_text(config: Config, route: Route, arrival: Arrival) -> str:
    """What an operator reads beside a refused arrival: why, and the lines to type, or what was decided."""
    lines = [
        f"Arrival {arrival.id} ({arrival.name}) of route {arrival.route} was refused. Nothing of it was delivered.",
        "",
        *(f"- {reason}" for reason in arrival.reason),
        "",
        f"Sender: {arrival.sender or 'unknown'}. Received: {timestamp(arrival.received_at)}.",
        *([f"The rule for names: {route.name_help}"] if route.name_help else []),
        "",
        *(_ENDED_FOR_GOOD if DISMISSED in arrival.evidence else _to_type(config, arrival)),
        "",
    ]
    return "\n".join(lines)


def _to_type(config: Config, arrival: Arrival) -> list[str]:
    installed = config.base / "config.yaml"
    configured = f" -c {shlex.quote(str(installed))}" if installed.is_file() else ""
    run_again = f"dropslot retry {arrival.id}{configured}"
    under_another = [
        "if its name is the problem, deliver it under another one:",
        f"    {run_again} --name NEW-NAME",
    ]
    return [
        "Run one of these. To retry it once the problem is fixed:",
        f"    {run_again}",
        *([] if arrival.in_place else under_another),
        "never to deliver it:",
        f"    dropslot dismiss {arrival.id}{configured} --reason 'WHY'",
    ]
