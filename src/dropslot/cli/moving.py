"""`migrate_data`, the installation's records into another database; and `partition_trail`, those that are old apart."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dropslot.cli.options import AsJson, ConfigPath
from dropslot.cli.output.exit_status import UsageError
from dropslot.cli.startup import WITH_ACCOUNTS, started
from dropslot.core.errors import DropslotError
from dropslot.core.showing.quantities import counted

if TYPE_CHECKING:
    from dropslot.arrivals.moving.move import Moved
    from dropslot.config import Config

commands = typer.Typer()


@commands.command()
def migrate_data(
    to: Annotated[
        str,
        typer.Option(
            "--to", metavar="URL", help="An empty database: postgresql://USER@HOST/NAME, or sqlite."
        ),
    ],
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Copy all records into another database, from SQLite to PostgreSQL for instance, and prove that they are equal.

    Stop the service first. The present database is only read. If this is interrupted, run it again: it goes on.
    """
    url = _url(to)
    settings = started(config, WITH_ACCOUNTS)
    _require_standalone()
    _require_idle(settings)
    from dropslot.arrivals.moving.move import copy_database

    moved = copy_database(settings, url, _progress())
    _say_moved(moved, as_json=as_json)
    for where, what in moved.chain.faults:
        sys.stdout.write(f"FAULT {where}: {what}\n")
    if not as_json:
        sys.stdout.write(f"{_next_step(url)}\n")
    if not moved.chain.ok:
        raise typer.Exit(1)


@commands.command()
def partition_trail(config: ConfigPath = None, as_json: AsJson = False) -> None:
    """Begin a new partition of the audit trail and of the receipts, so that older ones can lie on slower storage.

    Needs PostgreSQL. The service may run; it waits for as long as the newest partition is read once.
    """
    started(config)
    from dropslot.audit import partitions

    begun = partitions.begin()
    for one in begun:
        if as_json:
            sys.stdout.write(f"{json.dumps(one._asdict())}\n")
        else:
            sys.stdout.write(f"{one.name} begins at {one.begins_at}\n")
    if not begun and not as_json:
        sys.stdout.write("Nothing was recorded since the newest partitions began, so no others are needed.\n")


def _url(text: str) -> str:
    from dropslot.config.servers.databases import database_url

    try:
        return database_url(text)
    except ValueError as error:
        raise UsageError(f"--to: {error}", where="Nothing was changed") from None


def _require_standalone() -> None:
    from django.conf import settings

    if not getattr(settings, "DROPSLOT_MIGRATES", False):
        raise UsageError(
            "This Django project has other tables in its database, and only it knows how to move them",
            where="Nothing was changed",
            next_step="Use the project's own way for all tables, such as pgloader; then run `dropslot verify`",
        )


def _require_idle(config: Config) -> None:
    """Raise DropslotError while something works here: its deliveries would wait for the copy."""
    from dropslot.arrivals.workers.at_work import at_work
    from dropslot.running import daemon

    running = daemon.status(config)
    if found := [f"the service, pid {running.pid}"] if running.running else at_work(config):
        raise DropslotError(
            f"Something is at work: {', '.join(found)}",
            where="Nothing was changed",
            next_step="Stop it first, on every machine (`dropslot stop_watcher`, `systemctl stop dropslot`)",
        )


def _progress() -> Callable[[str, int], None]:
    """On a terminal, one line that changes."""
    if not sys.stderr.isatty():
        return lambda _table, _rows: None
    return lambda table, rows: print(f"\r\033[K{table}: {counted(rows, 'row')}", end="\r", file=sys.stderr)


def _say_moved(moved: Moved, *, as_json: bool) -> None:
    for each in moved.tables:
        if as_json:
            line = json.dumps({"table": each.table, "rows": each.rows, "sha256": each.sha256})
            sys.stdout.write(f"{line}\n")
        elif each.rows:
            sys.stdout.write(f"{each.table:32} {each.rows:>12,}  {each.sha256}\n")
    if as_json:
        return
    rows = sum(each.rows for each in moved.tables)
    chain = moved.chain
    again = "" if moved.is_new else "An earlier run completed this copy. "
    sys.stdout.write(
        f"{again}{counted(len(moved.tables), 'table')}, {counted(rows, 'row')}: every value is the same in both.\n"
        f"Chain of the copy: {counted(chain.checked, 'event')}, {counted(chain.receipts, 'receipt')},"
        f" {counted(chain.signatures, 'signature')}: {'OK' if chain.ok else counted(chain.found, 'fault')}.\n"
        f"Head {chain.head}\n"
    )


def _next_step(url: str) -> str:
    """The line of config.yaml that makes the copy the installation's database."""
    path = Path(os.environ.get("DROPSLOT_CONFIG") or "config.yaml").absolute()
    lines = path.read_text("utf-8").splitlines()
    found = [number for number, line in enumerate(lines, 1) if re.match(r"database\s*:", line)]
    change = f"Change line {found[0]} of {path} to" if found else f"Add this line to {path}"
    return f"{change}\n    database: {url}\nand start the service. Keep the old database until then; nothing uses it."
