"""`damaged`, `mend`: stored files that are not as they were delivered."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dropslot.cli.options import AsJson, ConfigPath, Limit, NoPager, Wide
from dropslot.cli.output.in_turn import given_reason
from dropslot.cli.output.tables import Looks, show
from dropslot.cli.startup import reading, require_keeping, started
from dropslot.core.errors import DropslotError
from dropslot.core.names import escape
from dropslot.core.showing.quantities import counted

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from dropslot.keeping.models import Damage

commands = typer.Typer()
_COLUMNS = ("arrival", "since", "stored_as")


@commands.command()
def damaged(
    config: ConfigPath = None,
    accept: Annotated[
        list[str] | None,
        typer.Option(
            "--accept", metavar="ID", help="Accept the damaged files of these arrivals as they are."
        ),
    ] = None,
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why they are accepted; it is recorded.")
    ] = "",
    as_json: AsJson = False,
    wide: Wide = False,
    limit: Limit = None,
    no_pager: NoPager = False,
) -> None:
    """List stored files that were found damaged or missing, as far as `fixity` has read them; the newest last.

    With --accept, damaged files may stay as they are. Exit status 1 if there are damaged files that nobody has
    accepted.
    """
    if accept:
        _accept(config, accept, reason)
        return
    reading(config)
    require_keeping()
    rows = list(map(_shown, _rows(None)))
    show(
        rows[-(limit or 0) :],
        _COLUMNS,
        Looks(as_json, wide, no_pager),
        below=("destination", "what", "not_mended", "accepted"),
        empty="No damaged file is known.",
    )
    if any(not row["accepted"] for row in rows):
        raise typer.Exit(1)


def _accept(config: ConfigPath, ids: list[str], reason: str) -> None:
    why = given_reason(reason)
    started(config)
    require_keeping()
    from dropslot.arrivals.intake.record import user_name
    from dropslot.keeping.fixity.damage import accept

    rows = list(_rows(ids))
    accept(rows, reason=why, by=user_name(os.getuid()))
    sys.stdout.write(f"{counted(len(rows), 'damaged file')} accepted; recorded in the audit trail.\n")


@commands.command()
def mend(
    ids: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ID]…", help="Arrivals; the start of an id is enough. None: all damaged ones."
        ),
    ] = None,
    config: ConfigPath = None,
) -> None:
    """Put damaged files back, from done or from another destination that has the same bytes.

    A damaged file is set aside into `.dropslot/damaged` of its folder; nothing is overwritten. Exit status 1 if a file
    could not be mended; it is named.
    """
    settings = started(config)
    require_keeping()
    from dropslot.arrivals.intake.record import user_name
    from dropslot.keeping.mending.mend import mend as put_back

    by, failed, rows = user_name(os.getuid()), 0, list(_rows(ids).filter(accepted_by=""))
    for row in rows:
        name = f"{escape(row.delivery.stored_as)} at {escape(row.delivery.place.url)}"
        try:
            sys.stdout.write(f"{name} {put_back(settings, row, by=by)}.\n")
        except (DropslotError, OSError) as error:
            failed += 1
            sys.stderr.write(f"dropslot: {name} is not mended. {error}\n")
    if not rows:
        sys.stdout.write(
            "No damaged file is to be mended: `dropslot verify --fixity` looks, or `fixity` in config.yaml.\n"
        )
    if failed:
        raise typer.Exit(1)


def _rows(ids: list[str] | None) -> QuerySet[Damage]:
    from dropslot.arrivals.listings import queries
    from dropslot.keeping.models import Damage

    rows = Damage.objects.select_related("delivery__arrival", "delivery__place").order_by("since", "pk")
    return rows.filter(delivery__arrival__in=queries.find_all(ids)) if ids else rows


def _shown(row: Damage) -> dict[str, Any]:
    delivery = row.delivery
    return {
        "arrival": delivery.arrival_id,
        "route": delivery.arrival.route,
        "since": row.since,
        "destination": delivery.place.url,
        "stored_as": escape(delivery.stored_as),
        "sha256": delivery.sha256,
        "found": row.found,
        "what": row.what,
        "not_mended": row.not_mended,
        "accepted": f"accepted by {row.accepted_by}: {row.accepted_because}" if row.accepted_by else "",
    }
