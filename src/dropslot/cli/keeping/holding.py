"""`hold`: puts arrivals under a legal hold, releases them, and lists them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from dropslot.cli.options import AsJson, ConfigPath
from dropslot.cli.output.in_turn import given_reason, in_turn
from dropslot.cli.output.tables import Looks, show
from dropslot.cli.startup import reading, require_keeping, started

if TYPE_CHECKING:
    from dropslot.arrivals.models import Arrival

commands = typer.Typer()


@commands.command()
def hold(
    ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ID]…", help="Arrivals; the start of an id is enough. None: list the holds."),
    ] = None,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it is recorded.")] = "",
    release: Annotated[bool, typer.Option("--release", help="End the hold.")] = False,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Put arrivals under a legal hold: neither a schedule nor `purge` removes anything of them.

    Without an ID the holds are listed.
    """
    if not ids:
        _list(config, as_json=as_json)
        return
    why = given_reason(reason)
    started(config)
    require_keeping()
    from dropslot.arrivals.intake.record import user_name
    from dropslot.arrivals.listings import queries
    from dropslot.keeping import holds

    by = user_name(os.getuid())

    def changed(arrival: Arrival) -> str:
        if release:
            holds.release(arrival, reason=why, by=by)
            return f"({arrival.name}) is under no legal hold any more."
        holds.hold(arrival, reason=why, by=by)
        return f"({arrival.name}) is under a legal hold.{_already_gone(arrival)}"

    in_turn(queries.find_all(ids), changed)


def _already_gone(arrival: Arrival) -> str:
    from dropslot.core.states import State

    if arrival.in_place or arrival.archived_as or arrival.state != State.DONE:
        return ""
    return " Its original is no longer in done; what was delivered is."


def _list(config: ConfigPath, *, as_json: bool) -> None:
    reading(config)
    require_keeping()
    from dropslot.keeping.models import LegalHold

    rows = [
        {
            "arrival": row.arrival.id,
            "route": row.arrival.route,
            "name": row.arrival.name,
            "since": row.since,
            "by": row.by,
            "reason": row.reason,
        }
        for row in LegalHold.objects.select_related("arrival").order_by("since")
    ]
    show(
        rows,
        ("arrival", "route", "name", "since", "by"),
        Looks(as_json),
        below=("reason",),
        empty="No arrival is under a legal hold.",
    )
