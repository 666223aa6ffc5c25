"""`rebuild`: a database that was lost, or is older than what was delivered."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from dropslot.cli.options import AsJson, ConfigPath
from dropslot.cli.startup import started
from dropslot.core.errors import DropslotError
from dropslot.core.showing.quantities import counted

if TYPE_CHECKING:
    from dropslot.arrivals.upkeep.rebuilding.rebuild import Rebuilt

commands = typer.Typer()


@commands.command()
def rebuild(config: ConfigPath = None, as_json: AsJson = False) -> None:
    """Restore a database that was lost, or is an older copy, from manifests and receipts.

    It only adds, and may be run again. Exit status 1 if something could not be read; it is named.
    """
    settings = started(config)
    from dropslot.arrivals.upkeep import markers
    from dropslot.arrivals.upkeep.rebuilding.rebuild import rebuild as add_missing
    from dropslot.running import daemon, log_sinks

    if (running := daemon.status(settings)).running:
        raise DropslotError(
            f"The service runs: pid {running.pid}",
            where="Nothing was changed",
            next_step="Stop it first (`dropslot stop_watcher`, `systemctl stop dropslot`)",
        )
    log_sinks.configure(settings, foreground=True, terminal="stderr")
    markers.continue_lost(settings)
    result = add_missing(settings)
    for problem in result.problems:
        sys.stderr.write(f"dropslot: {problem}.\n")
    _say_rebuilt(result, as_json=as_json)
    if result.problems:
        raise typer.Exit(1)


def _say_rebuilt(result: Rebuilt, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(asdict(result)) + "\n")
        return
    sys.stdout.write(
        f"Added: {counted(result.arrivals, 'arrival')} with {counted(result.deliveries, 'delivery')};"
        f" {counted(result.with_receipt, 'arrival')} with a receipt (name and sender), {result.failed} failed.\n"
    )
    if result.imported:
        sys.stdout.write(f"Read again for the images in them: {counted(result.imported, 'arrival')}.\n")
    if result.unclaimed:
        sys.stdout.write(
            f"{counted(result.unclaimed, 'entry')} in done without a known arrival: left alone.\n"
        )
