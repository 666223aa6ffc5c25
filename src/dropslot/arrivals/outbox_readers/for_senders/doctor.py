"""What `doctor` finds about receipts for senders."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator

from dropslot.arrivals.intake.record import user_name
from dropslot.arrivals.outbox_readers.for_senders import handing_out
from dropslot.arrivals.registry import Finding
from dropslot.config import Route
from dropslot.core.names import escape
from dropslot.core.showing.quantities import counted
from dropslot.core.templates import Template

_ENTER_AND_WRITE = os.W_OK | os.X_OK


def examine(route: Route) -> Iterator[Finding]:
    """Whether receipts can be put where the route says, and those that could not."""
    if not route.receipts:
        return
    about = f"route {route.key}, receipts"
    fixed, account = Template(route.receipts).fixed, user_name(os.geteuid())
    makes_folders = "{sender}" in route.receipts.rpartition("/")[2]
    if not os.path.isdir(fixed):
        remedy = f"install -d -m 711 -o {account} {shlex.quote(fixed)}"
        yield Finding("error", about, f"{escape(fixed)} is missing, so no sender gets a receipt", remedy)
    elif makes_folders and _is_fixed(route.receipts, fixed) and not os.access(fixed, _ENTER_AND_WRITE):
        remedy = f"chown {account} {shlex.quote(fixed)}"
        yield Finding("error", about, f"{account} cannot make folders for senders in {escape(fixed)}", remedy)
    elif not (failing := list(handing_out.failing(route))):
        yield Finding("ok", about, f"senders find their receipts in {escape(route.receipts)}")
    else:
        last = failing[0]
        what = (
            f"{counted(len(failing), 'receipt')} could not be written; of {last.arrival.name}: {last.error}"
        )
        yield Finding("error", about, what, "fix that; they are written by themselves then")


def _is_fixed(template: str, fixed: str) -> bool:
    """Whether the senders' own folders are right beneath the fixed part."""
    return template.rpartition("/")[0] == fixed.rstrip("/")
