"""`arrivals`, `history`, `pending`, `events`, `latest`, `receipt`: what happened, and what waits."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dropslot.cli.options import AsJson, ConfigPath, Limit, NoPager, Wide
from dropslot.cli.output.exit_status import UsageError
from dropslot.cli.output.narrowing import (
    ArrivalState,
    RouteKey,
    Search,
    Since,
    known_kind,
    known_route,
    narrowed,
    no_match,
)
from dropslot.cli.output.tables import Looks, show
from dropslot.cli.startup import reading, require_acknowledgments
from dropslot.core.asked import ago
from dropslot.core.showing.quantities import counted

if TYPE_CHECKING:
    from dropslot.acknowledgments.history_columns import Unacknowledged
    from dropslot.config import Config

commands = typer.Typer()


@commands.command()
def arrivals(
    config: ConfigPath = None,
    search: Search = "",
    state: ArrivalState = "",
    route: RouteKey = "",
    since: Since = "",
    as_json: AsJson = False,
    wide: Wide = False,
    limit: Limit = None,
    no_pager: NoPager = False,
) -> None:
    """List arrivals and their states, the newest last."""
    settings = reading(config)
    from dropslot.arrivals.listings import queries

    wanted = narrowed(settings, search, state, route, since, limit)
    empty = no_match(
        "No arrivals. Drop something into an inbox.", search=search, state=state, route=route, since=since
    )
    show(
        queries.arrivals(wanted),
        ("id", "dropped_at", "state", "name"),
        Looks(as_json, wide, no_pager),
        below=("reason",),
        empty=empty,
    )


@commands.command()
def history(
    config: ConfigPath = None,
    search: Search = "",
    route: RouteKey = "",
    since: Since = "",
    state: Annotated[
        str,
        typer.Option(
            "--state", metavar="STATE", help="Only of arrivals in this state; only `done` has deliveries."
        ),
    ] = "",
    unacknowledged: Annotated[
        bool, typer.Option("--unacknowledged", help="Only what no recipient has fetched yet.")
    ] = False,
    older_than: Annotated[
        str,
        typer.Option(
            "--older-than", metavar="AGE", help="With --unacknowledged: only what was delivered longer ago."
        ),
    ] = "",
    as_json: AsJson = False,
    wide: Wide = False,
    limit: Limit = None,
    no_pager: NoPager = False,
) -> None:
    """List deliveries: each item, where it went, under which name and version; the newest last."""
    settings = reading(config)
    from dropslot.arrivals.listings import queries

    unfetched = (
        _unacknowledged(settings, known_route(settings, route), older_than) if unacknowledged else None
    )
    if older_than and not unacknowledged:
        raise UsageError(
            "--older-than goes with --unacknowledged", next_step="Use --since for the time of receipt"
        )

    wanted = narrowed(settings, search, state, route, since, limit)
    empty = no_match(
        "Nothing was delivered yet." if unfetched is None else "Nothing waits to be fetched.",
        hint=_of_undelivered(state),
        search=search,
        state=state,
        route=route,
        since=since,
        older_than=older_than,
    )
    show(
        with_paths(queries.history(wanted, unfetched), as_json or wide),
        ("delivered_at", "outcome", "name", "acknowledged_at"),
        Looks(as_json, wide, no_pager),
        below=("path",),
        empty=empty,
    )


def with_paths(rows: Iterator[dict[str, Any]], whole: bool) -> Iterator[dict[str, Any]]:
    """The rows with the path under which each was stored, for tables; with `whole` as they are."""
    return rows if whole else ({**row, "path": f"{row['destination']}/{row['stored_as']}"} for row in rows)


def _of_undelivered(state: str) -> str:
    if state in ("", "done"):
        return ""
    return f"Only what is done was delivered: `dropslot arrivals --state {state}` lists the others."


def _unacknowledged(config: Config, route: str, older_than: str) -> Unacknowledged:
    require_acknowledgments()
    age = ago(older_than) if older_than else None
    if older_than and age is None:
        raise UsageError(f"--older-than {older_than!r} is not an age", next_step="Write 7d, 12h or 90m")
    from dropslot.acknowledgments.history_columns import Unacknowledged
    from dropslot.acknowledgments.matching.delivery_finder import served

    places = served(config)
    if not places or (route and route not in places):
        which = f"Route {route!r} has no" if route else "No route has a"
        raise UsageError(
            f"{which} log that tells what was fetched",
            next_step="Give the route `acknowledge` in config.yaml",
        )
    return Unacknowledged(places, datetime.now(UTC) - age if age else None)


@commands.command()
def pending(
    config: ConfigPath = None,
    search: Search = "",
    state: ArrivalState = "",
    route: RouteKey = "",
    since: Since = "",
    as_json: AsJson = False,
    wide: Wide = False,
    limit: Limit = None,
    no_pager: NoPager = False,
) -> None:
    """List what waits in the inboxes and in processing, why, and since when."""
    settings = reading(config)
    from dropslot.arrivals.listings import pending as waiting

    wanted = narrowed(settings, search, state, route, since)
    empty = no_match("Nothing waits.", search=search, state=state, route=route, since=since)
    rows = _newest(list(waiting.pending(settings, wanted)), limit)
    show(
        rows if as_json else sorted(rows, key=_since),
        ("id", "since", "where", "name"),
        Looks(as_json, wide, no_pager),
        below=("reason",),
        empty=empty,
    )


def _newest(rows: list[dict[str, Any]], limit: int | None) -> list[dict[str, Any]]:
    """The `limit` rows that have waited the shortest time, in their usual order."""
    newest = sorted(range(len(rows)), key=lambda at: _since(rows[at]))[-limit:] if limit else range(len(rows))
    return [rows[at] for at in sorted(newest)]


def _since(row: Mapping[str, Any]) -> str:
    return str(row["since"] or "")


@commands.command()
def events(
    config: ConfigPath = None,
    search: Search = "",
    arrival: Annotated[
        str,
        typer.Option("--arrival", metavar="ID", help="Only of this arrival; the start of its id is enough."),
    ] = "",
    kind: Annotated[
        str, typer.Option("--kind", metavar="KIND", help="Only of this kind, such as delivered or refused.")
    ] = "",
    state: ArrivalState = "",
    route: RouteKey = "",
    since: Since = "",
    as_json: AsJson = False,
    wide: Wide = False,
    limit: Limit = None,
    no_pager: NoPager = False,
    export: Annotated[
        Path | None,
        typer.Option(
            "--export", metavar="FILE", help="Write all events and receipts for a check without dropslot."
        ),
    ] = None,
) -> None:
    """List the audit trail, the newest event last, or export it."""
    settings = reading(config)
    if export is not None:
        _export(settings, export)
        return
    from dropslot.arrivals.listings import queries
    from dropslot.audit.event_search import find

    wanted = narrowed(settings, search, state, route, since)
    within = queries.ids(queries.Filter(state=wanted.state, route=wanted.route)) if state or route else None
    of = queries.arrival_of_events(arrival) if arrival else ""
    rows = find(
        arrival=of,
        kind=known_kind(kind),
        since=wanted.since,
        search=wanted.search,
        newest=limit,
        within=within,
    )
    empty = no_match(
        "The trail is empty.",
        search=search,
        arrival=arrival,
        kind=kind,
        state=state,
        route=route,
        since=since,
    )
    columns = ("seq", "at", "kind", "arrival")
    shown = rows if as_json else map(_without_signature, rows)
    show(shown, columns, Looks(as_json, wide, no_pager), below=("data",), empty=empty)


def _without_signature(row: dict[str, Any]) -> dict[str, Any]:
    """The event without the kilobytes that an authority has signed, which are for programs."""
    return {**row, "data": {key: value for key, value in row["data"].items() if key != "response"}}


def _export(settings: Config, path: Path) -> None:
    from dropslot.audit.verifying import check_export, export

    with path.open("x", encoding="utf-8", newline="\n") as stream:
        written = export.write(stream)
    sys.stdout.write(
        f"Written to {path}: {counted(written.events, 'event')}, {counted(written.receipts, 'receipt')}.\n"
        f"Keep this head in another place: {written.head.seq}:{written.head.hash}\n"
        f"Check it anywhere: python3 {check_export.__file__} {path} --head {written.head.seq}:{written.head.hash}\n"
        f"Check signatures of receipts with {settings.keys / 'allowed_signers'}, time stamps with --tsa-certificates.\n"
    )


@commands.command()
def receipt(
    arrival: Annotated[str, typer.Argument(metavar="ID", help="The arrival; the start of its id is enough.")],
    config: ConfigPath = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FOLDER", help="Write ID.json and ID.json.sig into this folder."),
    ] = None,
) -> None:
    """Show the signed receipt of a finished arrival."""
    settings = reading(config)
    from dropslot.arrivals.listings import queries
    from dropslot.audit import receipts
    from dropslot.audit.models import Receipt

    found = queries.find(arrival)
    signed = Receipt.objects.filter(arrival=found.id).first()
    if signed is None and (kept := receipts.find(settings.data, found.id)):
        signed = kept.saved()  # its database was lost
    if signed is None:
        raise queries.NoSuchArrival(
            f"Arrival {found.id} is {found.state}; only an arrival that is done has a receipt"
        )
    if out is None:
        sys.stdout.write(
            json.dumps(json.loads(signed.body), indent=2) + "\n" + signed.signature.rstrip() + "\n"
        )
        return
    body = out / f"{found.id}.json"
    body.write_text(signed.body, encoding="utf-8")
    body.with_suffix(".json.sig").write_text(signed.signature, encoding="ascii")
    sys.stdout.write(f"{body} and its signature {body.name}.sig\n")


@commands.command()
def latest(
    route: Annotated[str, typer.Argument(metavar="ROUTE", help="The key of the route.")],
    config: ConfigPath = None,
    link_into: Annotated[
        Path | None,
        typer.Option("--link-into", metavar="DIR", help="Build DIR as a tree of links to the newest files."),
    ] = None,
    as_json: AsJson = False,
    wide: Wide = False,
    limit: Limit = None,
    no_pager: NoPager = False,
) -> None:
    """List the newest version of each file that a route delivered."""
    if link_into is not None and limit is not None:
        raise UsageError("--link-into makes a link to each file: leave out --limit, which is for the listing")
    settings = reading(config)
    from dropslot.arrivals.listings import queries
    from dropslot.arrivals.listings.link_tree import link_latest

    route = known_route(settings, route, "ROUTE")
    if link_into is not None:
        count = link_latest(queries.latest(route), link_into)
        sys.stdout.write(f"{counted(count, 'link')} in {link_into}\n")
        return
    show(
        with_paths(queries.latest(route, limit), as_json or wide),
        ("delivered_at", "version", "size_bytes", "item"),
        Looks(as_json, wide, no_pager),
        below=("path",),
        empty="This route has delivered nothing yet.",
    )
