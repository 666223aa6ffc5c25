"""`uploads` and `audit_upload`: who sent what, and who has audited it."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from dropslot.cli.options import AsJson, ConfigPath, Limit, NoPager, Wide
from dropslot.cli.output.exit_status import UsageError
from dropslot.cli.output.narrowing import ArrivalState, RouteKey, Search, Since, narrowed, no_match
from dropslot.cli.output.tables import Looks, show
from dropslot.cli.startup import reading, started

commands = typer.Typer()


@commands.command()
def uploads(
    config: ConfigPath = None,
    search: Search = "",
    state: ArrivalState = "",
    route: RouteKey = "",
    since: Since = "",
    audited: Annotated[
        bool | None, typer.Option("--audited/--unaudited", help="Only audited uploads, or only others.")
    ] = None,
    as_json: AsJson = False,
    wide: Wide = False,
    limit: Limit = None,
    no_pager: NoPager = False,
) -> None:
    """List uploads: who sent what and when, its state, and who audited it; the newest last."""
    settings = reading(config)
    from dropslot.arrivals.listings import uploads as all_uploads

    wanted = narrowed(settings, search, state, route, since, limit)
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
    show(
        rows if as_json or wide else map(_with_audit, rows),
        ("id", "uploaded_at", "state", "sender", "name"),
        Looks(as_json, wide, no_pager),
        below=("audit",),
        empty=empty,
    )


def _with_audit(row: dict[str, Any]) -> dict[str, Any]:
    """The row with its audit in one sentence, for the table."""
    if not row["audited_by"]:
        return row
    note = f": {row['audit_note']}" if row["audit_note"] else ""
    return {**row, "audit": f"audited by {row['audited_by']}{note}"}


@commands.command()
def audit_upload(
    ids: Annotated[list[str], typer.Argument(metavar="ID", help="Uploads; the start of an id is enough.")],
    by: Annotated[str, typer.Option("--by", metavar="NAME", help="Who audited them.")],
    config: ConfigPath = None,
    note: Annotated[str, typer.Option("--note", metavar="TEXT", help="What they found.")] = "",
) -> None:
    """Record that somebody has audited uploads. Each audit is an event, which nobody can remove."""
    started(config)
    from dropslot.arrivals.listings import queries
    from dropslot.arrivals.listings.uploads import BadAudit, audit

    for arrival in queries.find_all(ids):
        try:
            audit(arrival, by=by, note=note)
        except BadAudit as error:
            raise UsageError(error.what) from error
        sys.stdout.write(f"{arrival.id} ({arrival.name}), {arrival.state}, is recorded as audited by {by}.\n")
