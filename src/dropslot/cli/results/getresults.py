"""`import_getresults`: what a laboratory brings along from getresults-distribute."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dropslot.cli.options import ConfigPath
from dropslot.cli.output.exit_status import UsageError
from dropslot.cli.startup import started
from dropslot.core.showing.quantities import counted

if TYPE_CHECKING:
    from dropslot.config import Config
    from dropslot.getresults.dump import Dump
    from dropslot.getresults.take_over import Taken

commands = typer.Typer()
_LISTED = 100


@commands.command()
def import_getresults(
    file: Annotated[
        Path,
        typer.Argument(metavar="DUMP.json", help="What `manage.py dumpdata getresults_dst` wrote there."),
    ],
    config: ConfigPath = None,
    table: Annotated[
        str,
        typer.Option(
            "--table",
            metavar="TABLE",
            help="Which table of config.yaml gets the folders, if there are several.",
        ),
    ] = "",
) -> None:
    """Import folder table, history and acknowledgments of getresults-distribute.

    Exit status 1 if records were refused; the others are imported. A second run adds only what is new.
    """
    settings = started(config)
    from dropslot.arrivals.intake.record import user_name
    from dropslot.getresults import dump, take_over

    file = Path(os.path.abspath(file))
    content = dump.content_of(file)
    found = dump.read(content)
    name = _table(settings, table) if found.folders else ""
    taken = take_over.take_over(found, content, file, name, by=user_name(os.getuid()))
    is_whole = _report(taken, found, file)
    if found.folders:
        is_whole = _offer_table(settings, found, name) and is_whole
    if not is_whole:
        raise typer.Exit(1)


def _table(config: Config, wanted: str) -> str:
    """The table that is meant; empty if no route looks folders up."""
    from dropslot.lookup.load_tables import tables

    known = list(tables(config))
    if wanted and wanted not in known:
        there = ", ".join(known) or "none: no route has `lookup`"
        raise UsageError(f"--table {wanted!r} is not a table of config.yaml", next_step=f"There is {there}")
    if not wanted and len(known) > 1:
        raise UsageError(
            "It is not clear which table gets the folders",
            next_step=f"Use --table; there is {', '.join(known)}",
        )
    return wanted or next(iter(known), "")


def _report(taken: Taken, found: Dump, file: Path) -> bool:
    """Say what came of the dump; whether all of it was taken."""
    from dropslot.core.names import escape

    for record, reason in taken.refused[:_LISTED]:
        sys.stderr.write(f"dropslot: {escape(str(file))}, {record}, was refused: {reason}\n")
    if (more := len(taken.refused) - _LISTED) > 0:
        sys.stderr.write(f"dropslot: {more:,} more records were refused\n")
    folders = taken.folders.refused if taken.folders else []
    for number, reason in folders[:_LISTED]:
        old = found.folders[number - 2]  # below the header
        sys.stderr.write(f"dropslot: {escape(str(file))}, {old.model} {old.key}, was refused: {reason}\n")
    for line in taken.in_words(found):
        sys.stdout.write(f"{line}\n")
    if found.old:
        sys.stdout.write(
            "They are events of the audit trail, not deliveries: dropslot has not seen these files.\n"
            "Find one: dropslot events --search FILENAME\n"
        )
    return not (taken.refused or folders)


def _offer_table(config: Config, found: Dump, name: str) -> bool:
    from dropslot.getresults.take_over import write_table
    from dropslot.lookup.load_tables import tables

    if not name:
        sys.stderr.write(
            f"dropslot: {counted(len(found.folders), 'folder')} not imported: no route has `lookup`. Add it to"
            " config.yaml, then run this again.\n"
        )
        return False
    if write_table(found, tables(config)[name]):
        sys.stdout.write(f"Wrote the folders to {tables(config)[name]}; from now on, change them there.\n")
    return True
