"""`health`: what is late."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import typer

from dropslot.cli.options import AsJson, ConfigPath
from dropslot.cli.output.failures import FAILED
from dropslot.cli.startup import configured

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dropslot.arrivals.upkeep.health import Health

commands = typer.Typer()


@commands.command()
def health(config: ConfigPath = None, as_json: AsJson = False) -> None:
    """Say what is late: watcher, database, queue, failed arrivals, logs, disks. Exit status 1: something is."""
    settings = configured(config)
    from dropslot.arrivals.upkeep.health import examine

    found = examine(settings)
    lines = [json.dumps(found.as_json())] if as_json else _in_words(found)
    sys.stdout.writelines(f"{line}\n" for line in lines)
    if not found.is_well:
        raise typer.Exit(FAILED)


def _in_words(found: Health) -> Iterator[str]:
    if found.is_well:
        yield "Nothing is late."
    for one in found.late:
        yield f"LATE {one.about}: {one.what}. Next: {one.remedy}"
