"""`space`: what can get full, how full it is, and for how long there is room."""

from __future__ import annotations

from typing import Annotated

import typer

from dropslot.cli.options import AsJson, ConfigPath, NoPager, Wide, at_least_one
from dropslot.cli.output.exit_status import FAILED
from dropslot.cli.output.narrowing import Search
from dropslot.cli.output.tables import Looks, show
from dropslot.cli.startup import reading

commands = typer.Typer()
_COLUMNS = ("state", "full", "used", "free", "trend", "waiting", "name")


@commands.command()
def space(
    config: ConfigPath = None,
    search: Search = "",
    as_json: AsJson = False,
    wide: Wide = False,
    limit: Annotated[
        int | None,
        typer.Option("--limit", "-n", metavar="N", help="Only the fullest N.", callback=at_least_one),
    ] = None,
    no_pager: NoPager = False,
) -> None:
    """Show how full disks, servers and studies are, the fullest first. Exit status 1 if one is filling or full."""
    settings = reading(config)
    from dropslot.arrivals.space import rows, spaces

    found = [each for each in spaces.look(settings, servers=True) if search.lower() in each.name.lower()]
    shown = rows.rows(found[:limit]) if as_json or wide else rows.in_words(found[:limit])
    show(
        shown, _COLUMNS, Looks(as_json, wide, no_pager), below=("limit", "folder"), empty="Nothing is found."
    )
    if any(each.is_filling or each.is_full for each in found):
        raise typer.Exit(FAILED)
