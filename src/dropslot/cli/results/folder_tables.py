"""`load_remote_folders`: the tables in which folders are looked up."""

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
    from dropslot.arrivals.models import Arrival
    from dropslot.config import Config
    from dropslot.lookup.load_tables import Loaded

commands = typer.Typer()
_LISTED = 100


@commands.command()
def load_remote_folders(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE.csv", help="CSV with the columns base_path, folder, folder_tag and label."
        ),
    ],
    config: ConfigPath = None,
    table: Annotated[
        str,
        typer.Option("--table", metavar="TABLE", help="Which table of config.yaml, if there are several."),
    ] = "",
    replace: Annotated[
        bool, typer.Option("--replace", help="Remove entries that are no longer in the file.")
    ] = False,
    retry: Annotated[
        bool, typer.Option("--retry", help="Retry arrivals that failed because a folder was missing.")
    ] = False,
) -> None:
    """Load a folder look-up table.

    Exit status 1 if lines were refused; the others are loaded.
    """
    settings = started(config)
    from dropslot.arrivals.intake.record import user_name
    from dropslot.lookup.load_tables import load

    file = Path(os.path.abspath(file))
    name = _table(settings, file, table)
    loaded = load(settings, file, name, by=user_name(os.getuid()), replace=replace)
    _report(loaded, file, replace=replace)
    _offer(settings, name, retry=retry)
    if loaded.refused:
        raise typer.Exit(1)


def _table(config: Config, file: Path, wanted: str) -> str:
    """The table that is meant: by `--table`, else by the file's own name, else the only one there is."""
    from dropslot.lookup.load_tables import tables

    known = tables(config)
    named = ", ".join(known) or "none: no route has `lookup`"
    if wanted:
        if wanted not in known:
            raise UsageError(
                f"--table {wanted!r} is not a table of config.yaml", next_step=f"There is {named}"
            )
        return wanted
    for name, path in known.items():
        if path == file or os.path.realpath(path) == os.path.realpath(file):
            return name
    alike = [name for name, path in known.items() if path.name == file.name]
    if len(alike) != 1 and len(known) != 1:
        raise UsageError(
            f"It is not clear which table {file} is for", next_step=f"Use --table; there is {named}"
        )
    return alike[0] if len(alike) == 1 else next(iter(known))


def _report(loaded: Loaded, file: Path, *, replace: bool) -> None:
    from dropslot.lookup.load_tables import refusals, suspicions

    for line in (*refusals(loaded, file, _LISTED), *suspicions(loaded.suspected, file, _LISTED)):
        sys.stderr.write(f"dropslot: {line}\n")
    counts = [f"{loaded.added} added", f"{loaded.updated} updated", f"{loaded.unchanged} unchanged"]
    counts += [f"{loaded.removed} removed"] if replace else []
    sys.stdout.write(f"{loaded.table}: {', '.join(counts)}, {len(loaded.refused)} refused.\n")
    if loaded.kept:
        why = "lines were refused, so nothing was removed" if replace else "--replace removes them"
        sys.stdout.write(f"Kept: {counted(loaded.kept, 'entry')} not in the file; {why}.\n")


def _offer(config: Config, table: str, *, retry: bool) -> None:
    from dropslot.arrivals.upkeep.missing_folders import found_now

    found = found_now(config, table)
    if found and retry:
        _retry(config, found)
    elif found:
        arrivals = "arrival that" if len(found) == 1 else "arrivals that"
        ids = " ".join(arrival.id for arrival in found)
        sys.stdout.write(
            f"{len(found)} {arrivals} failed because a folder was missing can go on:\n  dropslot retry {ids}\n"
        )


def _retry(config: Config, found: list[Arrival]) -> None:
    from dropslot.arrivals.upkeep.retry import READY, NotFailed
    from dropslot.arrivals.upkeep.retry import retry as run_again

    for arrival in found:
        try:
            run_again(config, arrival)
        except NotFailed:
            continue  # somebody else was faster
        sys.stdout.write(f"{arrival.id} ({arrival.name}) {READY}.\n")
