"""`arrivals`, `history`, `pending`, `events`, `latest`, `receipt`: what happened, and what is to come."""

from __future__ import annotations

import json
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dropslot.cli.faults import UsageError
from dropslot.cli.listings import show
from dropslot.cli.options import AsJson, ConfigPath
from dropslot.cli.starting import reading, require_acknowledgments

if TYPE_CHECKING:
    from dropslot.arrivals.queries import Unacknowledged
    from dropslot.config import Config

commands = typer.Typer()

Search = Annotated[
    str, typer.Option("--search", "-s", metavar="TEXT", help="Text in a name, a path, a sender or an id.")
]
RouteKey = Annotated[str, typer.Option("--route", "-r", metavar="ROUTE", help="Only this route.")]
Since = Annotated[
    str,
    typer.Option(
        "--since",
        metavar="TIME",
        help="Received since: 2026-03-01, 2026-03-01T08:00 (UTC), or 90m, 36h, 7d ago.",
    ),
]
ArrivalState = Annotated[
    str,
    typer.Option("--state", metavar="STATE", help="waiting, ready, processing, retrying, done or failed."),
]
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_AGO = re.compile(r"(\d+)\s*([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def ago(text: str) -> timedelta | None:
    """`7d` as a duration, which does not go back beyond 1970; None when it is none."""
    match = _AGO.fullmatch(text.strip())
    if match is None:
        return None
    try:
        age = timedelta(**{_UNITS[match[2]]: int(match[1])})
    except OverflowError:
        return None
    return min(age, datetime.now(UTC) - _EARLIEST)


def moment(text: str) -> datetime | None:
    """The time that `--since` means, in UTC. Raises UsageError."""
    if not text:
        return None
    if (before := ago(text)) is not None:
        return datetime.now(UTC) - before
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"--since {text!r} is no time",
            next_step="Write 2026-03-01, 2026-03-01T08:00, or 7d for seven days ago",
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


@commands.command()
def arrivals(
    config: ConfigPath = None,
    search: Search = "",
    state: Annotated[
        str,
        typer.Option(
            "--state", metavar="STATE", help="waiting, ready, processing, retrying, done or failed."
        ),
    ] = "",
    route: RouteKey = "",
    since: Since = "",
    as_json: AsJson = False,
) -> None:
    """List arrivals and their states."""
    reading(config)
    from dropslot.arrivals import queries

    wanted = queries.Filter(search, _state(state), route, moment(since))
    columns = ("id", "route", "name", "sender", "state", "items", "size_bytes", "received_at", "reason")
    show(
        queries.arrivals(wanted), columns, as_json=as_json, empty="No arrivals. Drop something into an inbox."
    )


def _state(text: str) -> str:
    from dropslot.core.states import State

    if text and text not in set(State):
        raise UsageError(f"--state {text!r} is no state", next_step=f"Take one of {', '.join(State)}")
    return text


@commands.command()
def history(
    config: ConfigPath = None,
    search: Search = "",
    route: RouteKey = "",
    since: Since = "",
    state: Annotated[
        str, typer.Option("--state", metavar="STATE", help="Only `done` arrivals have deliveries.")
    ] = "",
    unacknowledged: Annotated[
        bool, typer.Option("--unacknowledged", help="Only what no recipient has fetched yet.")
    ] = False,
    older_than: Annotated[
        str, typer.Option("--older-than", metavar="AGE", help="With --unacknowledged: delivered longer ago.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """List deliveries: each item, where it went, under which name and version."""
    settings = reading(config)
    from dropslot.arrivals import queries

    unfetched = _unacknowledged(settings, older_than) if unacknowledged else None
    if older_than and not unacknowledged:
        raise UsageError(
            "--older-than goes with --unacknowledged", next_step="Take --since for a time of receipt"
        )

    wanted = queries.Filter(search, _state(state), route, moment(since))
    columns = (
        "delivered_at",
        "route",
        "name",
        "item",
        "outcome",
        "version",
        "destination",
        "stored_as",
        "acknowledged_at",
        "acknowledged_by",
        "sha256",
    )
    empty = "Nothing was delivered yet." if unfetched is None else "Nothing waits to be fetched."
    show(queries.history(wanted, unfetched), columns, as_json=as_json, empty=empty)


def _unacknowledged(config: Config, older_than: str) -> Unacknowledged:
    from dropslot.arrivals.queries import Unacknowledged

    require_acknowledgments()
    age = ago(older_than) if older_than else None
    if older_than and age is None:
        raise UsageError(f"--older-than {older_than!r} is no age", next_step="Write 7d, 12h or 90m")
    from dropslot.acknowledgments.finding import served

    places = served(config)
    if not places:
        raise UsageError(
            "No route has a log that tells what was fetched",
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
) -> None:
    """List what is in the inboxes and in processing, why it waits, and since when."""
    settings = reading(config)
    from dropslot.arrivals import pending as waiting
    from dropslot.arrivals.queries import Filter

    columns = ("where", "route", "name", "state", "since", "reason")
    wanted = Filter(search, _state(state), route, moment(since))
    show(waiting.pending(settings, wanted), columns, as_json=as_json, empty="Nothing waits.")


@commands.command()
def events(
    config: ConfigPath = None,
    search: Search = "",
    arrival: Annotated[
        str, typer.Option("--arrival", metavar="ID", help="Of this arrival; the start of an id will do.")
    ] = "",
    kind: Annotated[
        str, typer.Option("--kind", metavar="KIND", help="Of this kind, such as delivered or refused.")
    ] = "",
    state: ArrivalState = "",
    route: RouteKey = "",
    since: Since = "",
    as_json: AsJson = False,
    export: Annotated[
        Path | None,
        typer.Option(
            "--export", metavar="FILE", help="Write all events and receipts for a check without dropslot."
        ),
    ] = None,
) -> None:
    """List the audit trail, or export it."""
    reading(config)
    if export is not None:
        _export(export)
        return
    from dropslot.arrivals import queries
    from dropslot.audit.events import find

    wanted = queries.Filter(state=_state(state), route=route)
    within = queries.ids(wanted) if state or route else None
    rows = find(arrival=arrival, kind=kind, since=moment(since), search=search, within=within)
    show(rows, ("seq", "at", "kind", "arrival", "data"), as_json=as_json, empty="The trail is empty.")


def _export(path: Path) -> None:
    from dropslot.audit import check_export, export, receipts

    with path.open("x", encoding="utf-8", newline="\n") as stream:
        written = export.write(stream)
    sys.stdout.write(
        f"{written.events} events and {written.receipts} receipts are in {path}.\n"
        f"Keep this head apart from it: {written.head.seq}:{written.head.hash}\n"
        f"To check it anywhere: python3 {check_export.__file__} {path} --head {written.head.seq}:{written.head.hash}\n"
        f"Signatures of receipts are checked with {receipts.keys_folder() / 'allowed_signers'}.\n"
    )


@commands.command()
def receipt(
    arrival: Annotated[str, typer.Argument(metavar="ID", help="The arrival; the start of its id will do.")],
    config: ConfigPath = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FOLDER", help="Write ID.json and ID.json.sig there.")
    ] = None,
) -> None:
    """Show the signed receipt of a finished arrival."""
    reading(config)
    from dropslot.arrivals import queries
    from dropslot.audit.models import Receipt

    found = queries.find(arrival)
    signed = Receipt.objects.filter(arrival=found.id).first()
    if signed is None:
        raise queries.NoSuchArrival(f"Arrival {found.id} is {found.state}: only a finished one has a receipt")
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
    route: Annotated[str, typer.Argument(metavar="ROUTE")],
    config: ConfigPath = None,
    link_into: Annotated[
        Path | None,
        typer.Option("--link-into", metavar="DIR", help="Build DIR as a tree of links to the newest files."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the newest version of each file that a route delivered."""
    settings = reading(config)
    from dropslot.arrivals import queries
    from dropslot.arrivals.links import link_latest

    if route not in settings.routes:
        raise UsageError(
            f"There is no route {route!r}", next_step=f"Take one of {', '.join(settings.routes)}"
        )
    if link_into is not None:
        count = link_latest(queries.latest(route), link_into)
        sys.stdout.write(f"{count} links in {link_into}\n")
        return
    columns = ("item", "version", "destination", "stored_as", "size_bytes", "delivered_at")
    show(queries.latest(route), columns, as_json=as_json, empty="This route has delivered nothing yet.")
