"""Runs refused arrivals again, under another name if necessary, or ends them for good."""

from __future__ import annotations

import os
from typing import Any

from django.db import transaction
from django.utils import timezone

from dropslot.arrivals import whereabouts
from dropslot.arrivals.delivery.paths.field_values import mismatch
from dropslot.arrivals.delivery.refusal_reason import DISMISSED, PURGED, dismissal, rewrite_reason
from dropslot.arrivals.delivery.work import RELEASED
from dropslot.arrivals.intake.record import called
from dropslot.arrivals.models import Arrival
from dropslot.arrivals.outbox_readers import after
from dropslot.arrivals.upkeep.release_held import dismiss_held
from dropslot.audit.chain import Entry, append, timestamp
from dropslot.audit.event_payloads import RetryAsked
from dropslot.audit.kinds import Kind, entry
from dropslot.config import Config
from dropslot.config.route_folders import FolderSet
from dropslot.core.errors import DropslotError
from dropslot.core.names import escape
from dropslot.core.states import State
from dropslot.fields.name import NamePattern
from dropslot.watching.temporary import TemporaryNames

READY = "is ready: the service, or the next `dropslot drain`, runs it"
_INSTEAD = "To deliver a finished one again, move it from done to the inbox"


class NotFailed(DropslotError):
    """Only arrivals that failed, are held or wait for their next attempt can be retried; only failed or held ones can
    be dismissed."""

    code = "not-failed"


class BadName(DropslotError):
    """A name under which an arrival cannot be run again."""

    code = "bad-name"


def retry(config: Config, arrival: Arrival, *, name: str = "", by: str = "") -> str:
    """Put a failed arrival back into the queue, or a retrying one at its head; have a held one checked again; make a
    failed call after a delivery due at once. Returns the arrival's name. With `name` it runs under that name; without,
    under the name that somebody gave it inside failed. Only the row changes: the next worker moves it from failed to
    processing and gives it its name there, also after a crash. `by` is who asks for it, for the record. Raises
    NotFailed and BadName; then nothing was changed.
    """
    with transaction.atomic():
        row = Arrival.objects.select_for_update().get(pk=arrival.pk)
        if row.state == State.RETRYING and not name:
            Arrival.objects.filter(pk=row.pk).update(due_at=None)
            append([_asked(row, by)])
            return row.name
        if row.held_at and not name:
            Arrival.objects.filter(pk=row.pk).update(held_at=None, reason=[])
            append([_asked(row, by)])
            return row.name
        if row.state == State.DONE and not name and after.call_again(row):
            append([entry(Kind.AFTER_ASKED, row.id, {"by": by} if by else {})])
            return row.name
        require_failed(row)
        columns = _renamed(config, row, name)
        ready: dict[str, Any] = {"state": State.READY, "due_at": None, "finished_at": None, "attempts": 0}
        if RELEASED in row.evidence or columns:
            ready["evidence"] = _evidence(row, is_renamed=bool(columns))
        Arrival.objects.filter(pk=row.pk).update(**ready, **columns)
        append([*_renaming(row, columns, by), _asked(row, by)])
        return str(columns.get("name", row.name))


def _evidence(row: Arrival, *, is_renamed: bool) -> dict[str, Any]:
    """Without its release: it was sent onward as it was then. Under another name, with the one that its sender gave it:
    the sender looks for its receipt under that."""
    kept = {key: value for key, value in row.evidence.items() if key != RELEASED}
    return {whereabouts.SENT_AS: row.name, **kept} if is_renamed else kept


def dismiss(config: Config, arrival: Arrival, *, reason: str, by: str) -> None:
    """End a failed or held arrival for good, as an event; its bytes stay in failed until a purge, and the reason beside
    them says so. Raises NotFailed. A crash may leave the reason as it was; the record counts."""
    with transaction.atomic():
        row = Arrival.objects.select_for_update().get(pk=arrival.pk)
        was_held = row.held_at is not None
        if not was_held:
            require_failed(row)
        ended = {"at": timestamp(timezone.now()), "by": by, "reason": reason}
        failed = {"state": State.FAILED, "finished_at": timezone.now(), "held_at": None} if was_held else {}
        reasons = [*([] if was_held else row.reason), dismissal(ended)]
        Arrival.objects.filter(pk=row.pk).update(
            evidence=row.evidence | {DISMISSED: ended}, reason=reasons, **failed
        )
        append([entry(Kind.DISMISSED, row.id, {"reason": reason, "by": by})])
    row.refresh_from_db()
    folders = whereabouts.folders_of(config, row)
    if was_held and folders:
        dismiss_held(config, folders, row)
    elif folders:
        rewrite_reason(config, folders, row)


def require_failed(row: Arrival, *, unless: str = "") -> None:
    """Raise NotFailed unless the arrival failed and was neither dismissed nor purged (`unless`: allowed all the
    same)."""
    if row.state != State.FAILED:
        raise NotFailed(
            f"Arrival {row.id} ({row.name}) is {row.state}, not failed",
            where="Nothing was changed",
            next_step=_INSTEAD if row.state == State.DONE else "`dropslot pending` says what it waits for",
        )
    if PURGED in row.evidence:
        raise NotFailed(
            f"Arrival {row.id} ({row.name}) was removed from failed: {row.evidence[PURGED]}",
            where="It is no longer there",
            next_step="To deliver it anyway, let its sender send it again",
        )
    if DISMISSED in row.evidence and unless != DISMISSED:
        raise NotFailed(
            f"Arrival {row.id} ({row.name}) cannot be retried. {dismissal(row.evidence[DISMISSED])}",
            next_step="To deliver it anyway, move it from failed to the inbox",
        )


def _asked(row: Arrival, by: str) -> Entry:
    data: RetryAsked = {"reason": row.reason}
    if by:
        data["by"] = by
    return entry(Kind.RETRY_ASKED, row.id, data)


def _renaming(row: Arrival, columns: dict[str, Any], by: str) -> list[Entry]:
    if not columns:
        return []
    return [entry(Kind.RENAMED, row.id, {"from": row.name, "to": columns["name"], "by": by})]


def _renamed(config: Config, row: Arrival, name: str) -> dict[str, Any]:
    """The columns that another name changes; none when the arrival keeps its own."""
    folders = whereabouts.folders_of(config, row)
    old = os.fsdecode(bytes(row.name_bytes))
    new = name or _name_in_failed(folders, row, old)
    if new == old or folders is None:
        if name and folders is None:
            raise BadName(
                f"Route {row.route}, inbox {row.inbox}, is no longer in config.yaml",
                where="Nothing was changed",
            )
        return {}
    if fault := _fault_of(folders, row, new):
        raise BadName(
            fault, where="Nothing was changed", next_step=f"dropslot retry {row.id} --name NEW-NAME"
        )
    return called(config, folders, new)


def _name_in_failed(folders: FolderSet | None, row: Arrival, old: str) -> str:
    if folders is None or row.in_place:
        return old
    folder = whereabouts.refused(folders, row.id)
    found = whereabouts.entry_of(folder, old)
    if len(found) > 1:
        raise BadName(
            f"{escape(str(folder))} holds {' and '.join(map(escape, found[:3]))}, but not {row.name}: it is not clear "
            "which of them is the arrival",
            where="Nothing was changed",
            next_step="Leave only the arrival beside REASON.txt",
        )
    return found[0] if found else old


def _fault_of(folders: FolderSet, row: Arrival, new: str) -> str | None:
    """Why an arrival may not be run again under a new name; None when it may."""
    route = folders.route
    if row.in_place:
        return f"{row.name} is read in place: rename it there"
    if fault := whereabouts.fault_of_arrival(new, marks=route.names == "keep"):
        return f"It cannot be called {fault}"
    if new in whereabouts.REASONS:
        return f"It cannot be called {new}: the file with the reason has that name"
    if TemporaryNames.of(route).match(new):
        return f"It cannot be called {escape(new)}: that is a temporary name"
    if route.name and NamePattern(route.name).values(new) is None:
        return mismatch(route, new)
    return None
