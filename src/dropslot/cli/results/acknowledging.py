"""`start_log_reader`, `log_readers`, `acknowledgments`, `unacknowledge`: who fetched what."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dropslot.cli.options import AsJson, ConfigPath, Limit, NoPager, Wide
from dropslot.cli.output.exit_status import UsageError
from dropslot.cli.output.narrowing import RouteKey, Search, Since, narrowed, no_match, one_of
from dropslot.cli.output.tables import Looks, show
from dropslot.cli.startup import reading, require_acknowledgments, started
from dropslot.core.errors import DropslotError
from dropslot.core.names import escape

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dropslot.acknowledgments.models import LogReading
    from dropslot.config import Config

commands = typer.Typer()


def with_logs(path: ConfigPath, *, to_read: bool = False) -> Config:
    """As `started`, or `reading`, in a project that has the app of the acknowledgments."""
    config = reading(path) if to_read else started(path)
    require_acknowledgments()
    return config


@commands.command("start_log_reader")
def start_log_reader(
    config: ConfigPath = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Keep reading until Ctrl-C or SIGTERM, as `run` does.")
    ] = False,
    route: RouteKey = "",
    as_json: AsJson = False,
) -> None:
    """Read the access logs for acknowledgments, from where the last run stopped.

    Exit status 1 if a log could not be read; it is named.
    """
    settings = _narrowed(with_logs(config), route)
    from dropslot.running import log_sinks

    log_sinks.configure(settings, foreground=True, terminal="stderr")
    if follow:
        _follow(settings)
        return
    failed: list[str] = []
    rows = [_shown(reading) for reading in _read_once(settings, failed)]
    show(rows, _READING, Looks(as_json), below=_READ, empty="Nothing was read.")
    for error in failed:
        sys.stderr.write(f"dropslot: {error}\n")
    if failed:
        raise typer.Exit(1)


def _narrowed(config: Config, route: str) -> Config:
    """Only routes whose logs are to be read. Raises UsageError when there are none."""
    one_of("--route", route, config.routes)
    from dropslot.acknowledgments.section import logs_of

    routes = {key: value for key, value in config.routes.items() if logs_of(value)}
    if route:
        routes = {key: value for key, value in routes.items() if key == route}
    if not routes:
        what = f"Route {route!r} has no" if route else "No route has a"
        raise UsageError(f"{what} log to read", next_step="Give the route `acknowledge` in config.yaml")
    return config.model_copy(update={"routes": routes})


def _read_once(config: Config, failed: list[str]) -> Iterator[LogReading]:
    from dropslot.acknowledgments.schedule import readers

    for reader in readers(config):
        try:
            yield reader.read()
        except DropslotError as error:
            failed.append(str(error))


def _follow(config: Config) -> None:
    from dropslot.acknowledgments import schedule
    from dropslot.running import life

    told = life.Life()
    with life.signals_lead_to(told, lambda: None):
        sys.stdout.write("Reading the logs; press CTRL-C to stop.\n")
        sys.stdout.flush()
        schedule.serve(config, told)


_READING = ("started_at", "route", "lines", "matches", "acknowledged", "unreadable")
_READ = ("log", "error")


def _shown(reading: LogReading) -> dict[str, object]:
    from dropslot.acknowledgments.listings import reading as row

    return row(reading)


@commands.command("log_readers")
def log_readers(
    config: ConfigPath = None,
    search: Search = "",
    route: RouteKey = "",
    since: Since = "",
    as_json: AsJson = False,
    wide: Wide = False,
    limit: Limit = None,
    no_pager: NoPager = False,
) -> None:
    """List the runs of the log readers: what each one read and found; the newest last."""
    settings = with_logs(config, to_read=True)
    from dropslot.acknowledgments.listings import readings

    rows = readings(narrowed(settings, search, "", route, since, limit))
    empty = no_match(
        "No log was read yet: `dropslot start_log_reader` does.", search=search, route=route, since=since
    )
    show(rows, _READING, Looks(as_json, wide, no_pager), below=_READ, empty=empty)


@commands.command()
def acknowledgments(
    config: ConfigPath = None,
    search: Search = "",
    route: RouteKey = "",
    since: Since = "",
    as_json: AsJson = False,
    wide: Wide = False,
    limit: Limit = None,
    no_pager: NoPager = False,
) -> None:
    """List acknowledgments, undone ones too: who fetched which delivery, and when; the newest last."""
    settings = with_logs(config, to_read=True)
    from dropslot.acknowledgments.listings import acknowledgments as listed

    rows = listed(narrowed(settings, search, "", route, since, limit))
    empty = no_match("Nothing was acknowledged yet.", search=search, route=route, since=since)
    show(
        rows if as_json or wide else map(_with_path, rows),
        ("id", "at", "user", "address", "evidence"),
        Looks(as_json, wide, no_pager),
        below=("path", "undone"),
        empty=empty,
    )


def _with_path(row: dict[str, Any]) -> dict[str, Any]:
    """The row with the path of what was fetched, and why it was undone, for the table."""
    undone = f"undone: {row['undone_because']}" if row["undone_at"] else ""
    return {**row, "path": f"{row['destination']}/{row['stored_as']}", "undone": undone}


@commands.command()
def unacknowledge(
    name: Annotated[
        str,
        typer.Argument(
            metavar="ID|DELIVERY",
            help="An acknowledgment's id, DESTINATION/STORED_AS as in history, or an arrival's id.",
        ),
    ],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it is recorded.")],
    config: ConfigPath = None,
) -> None:
    """Undo one acknowledgment, or all of a delivery. The record stays, and the reason is recorded."""
    if not reason.strip():
        raise UsageError("--reason is empty", next_step="Say why: it is recorded in the audit trail")
    with_logs(config)
    from dropslot.acknowledgments.undo import undo
    from dropslot.arrivals.intake.record import user_name

    # The owner of this process, not LOGNAME, which anybody can set.
    for row in undo(name, reason.strip(), user_name(os.getuid())):
        stored = f"{row.delivery.place.url}/{row.delivery.stored_as}"
        sys.stdout.write(f"{row.id} is undone: {escape(stored)}, fetched by {row.user or 'anybody'}.\n")
