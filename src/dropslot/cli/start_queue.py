"""`start_queue`: sends held arrivals onward."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from dropslot.cli.options import ConfigPath
from dropslot.cli.output.exit_status import UsageError
from dropslot.cli.output.narrowing import RouteKey, known_route
from dropslot.cli.startup import started

commands = typer.Typer()


@commands.command("start_queue")
def start_queue(
    ids: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="ID", help="Only these; the start of an id is enough. Default: all that are held."
        ),
    ] = None,
    config: ConfigPath = None,
    number: Annotated[
        int | None,
        typer.Option(
            "--number", "-n", metavar="N", min=1, help="At most this many, the earliest dropped first."
        ),
    ] = None,
    route: RouteKey = "",
) -> None:
    """Send arrivals onward that are held, on routes with `release: manual`. The service does it, or the next `drain`.

    Exit status 1 if an arrival that was named is not held.
    """
    settings = started(config)
    from dropslot.arrivals.intake.record import user_name
    from dropslot.arrivals.listings import queries
    from dropslot.arrivals.models import Arrival
    from dropslot.arrivals.upkeep.release_held import ONWARD, held, release

    if ids and (number or route):
        raise UsageError("Name arrivals, or give --number and --route", where="Nothing was sent onward")
    rows = Arrival.objects.all()
    if key := known_route(settings, route):
        rows = rows.filter(route=key)
    wanted = {row.id: row.name for row in queries.find_all(ids or [])}
    if wanted:
        rows = rows.filter(id__in=list(wanted))
    released = release(rows, by=user_name(os.getuid()), number=number)
    for row in released:
        sys.stdout.write(f"{row.id} ({row.name}) {ONWARD}.\n")
    left = 0 if wanted else held(rows).count()
    if not released and not wanted:
        sys.stdout.write("Nothing is held.\n")
    elif left:
        sys.stdout.write(f"{left} still held.\n")
    if others := sorted(wanted.keys() - {row.id for row in released}):
        for pk in others:
            sys.stderr.write(
                f"dropslot: {pk} ({wanted[pk]}) is not held; `dropslot pending` says what waits.\n"
            )
        raise typer.Exit(1)
