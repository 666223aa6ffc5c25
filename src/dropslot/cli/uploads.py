"""`uploads` and `audit_upload`: what was put in by whom, and who has looked at it."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from dropslot.cli.failures import UsageError
from dropslot.cli.narrowing import ArrivalState, RouteKey, Search, Since, narrowed, no_match
from dropslot.cli.options import AsJson, ConfigPath
from dropslot.cli.startup import reading, started
from dropslot.cli.tables import show

commands = typer.Typer()
_COLUMNS = (
    "id",
    "uploaded_at",
    "route",
    "name",
    "sender",
    "state",
    "sent_at",
    "audited_by",
    "audited_at",
    "audit_note",
)


@commands.command()
def uploads(
    config: ConfigPath = None,
    search: Search = "",
    state: ArrivalState = "",
    route: RouteKey = "",
    since: Since = "",
    audited: Annotated[
        bool | None, typer.Option("--audited/--unaudited", help="Only those that were audited, or were not.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List who put in what and when, whether it was sent, and who audited it."""
    settings = reading(config)
    from dropslot.arrivals.listings import uploads as all_uploads

    wanted = narrowed(settings, search, state, route, since)
    rows = all_uploads.uploads(wanted, audited=audited)
    empty = no_match(
        "No uploads. Drop something into an inbox.",
        search=search,
        state=state,
        route=route,
        since=since,
        audited=audited,
        unaudited=audited is False,
    )
    show(rows, _COLUMNS, as_json=as_json, empty=empty)


@commands.command()
def audit_upload(
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Uploads; the start of an id will do.")],
    by: Annotated[str, typer.Option("--by", metavar="NAME", help="Who looked at them.")],
    config: ConfigPath = None,
    note: Annotated[str, typer.Option("--note", metavar="TEXT", help="What was found.")] = "",
) -> None:
    """Record that somebody has audited uploads; an event each, which nobody can take back."""
    started(config)
    from dropslot.arrivals.listings import queries
    from dropslot.arrivals.listings.uploads import BadAudit, audit

    for arrival in queries.find_all(ids):
        try:
            audit(arrival, by=by, note=note)
        except BadAudit as error:
            raise UsageError(error.what) from error
        sys.stdout.write(f"{arrival.id} ({arrival.name}), {arrival.state}, is recorded as audited by {by}.\n")
