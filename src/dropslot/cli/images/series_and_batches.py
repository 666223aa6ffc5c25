"""`series`, `export_metrics`, `batch_logs`, `summary_metrics`: images, and what became of each batch of them."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dropslot.cli.options import AsJson, ConfigPath, Limit, NoPager, Wide
from dropslot.cli.output.narrowing import (
    ArrivalState,
    RouteKey,
    Search,
    Since,
    known_route,
    moment,
    narrowed,
    no_match,
    one_of,
)
from dropslot.cli.output.tables import Looks, show
from dropslot.cli.startup import reading

if TYPE_CHECKING:
    from dropslot.arrivals.models import Arrival

commands = typer.Typer()
_VERDICTS = ("VERIFIED", "CONSISTENT", "UNKNOWN", "INCOMPLETE")
_AT_ONCE = 500


@commands.command("series")
def series(
    config: ConfigPath = None,
    search: Annotated[
        str,
        typer.Option(
            "--search",
            "-s",
            metavar="TEXT",
            help="Text in a patient's id or name, an accession number or a UID.",
        ),
    ] = "",
    modality: Annotated[str, typer.Option("--modality", metavar="CT", help="Only of this modality.")] = "",
    verdict: Annotated[
        str, typer.Option("--verdict", metavar="VERDICT", help=f"One of {', '.join(_VERDICTS)}.")
    ] = "",
    route: RouteKey = "",
    since: Since = "",
    as_json: AsJson = False,
    wide: Wide = False,
    limit: Limit = None,
    no_pager: NoPager = False,
) -> None:
    """List the series of imported images, with the verdict on their completeness; the newest last."""
    settings = reading(config)
    from dropslot.dicom.listings import queries
    from dropslot.dicom.listings.image_filters import Wanted

    wanted = Wanted(
        search=search.replace("\0", ""),
        modality=modality,
        verdict=one_of("--verdict", verdict.upper(), _VERDICTS),
        route=known_route(settings, route),
        since=moment(since),
        newest=limit,
    )
    empty = no_match(
        "No series. A route with `import: dicom` records them.",
        search=search,
        modality=modality,
        verdict=verdict,
        route=route,
        since=since,
    )
    show(
        queries.listed_series(wanted),
        ("received_at", "verdict", "patient_id", "modality", "instances", "description"),
        Looks(as_json, wide, no_pager),
        below=("series_uid", "evidence"),
        empty=empty,
    )


@commands.command("export_metrics")
def export_metrics(
    config: ConfigPath = None,
    search: Search = "",
    state: ArrivalState = "",
    route: RouteKey = "",
    since: Since = "",
    limit: Limit = None,
) -> None:
    """Print times, sizes and rates of each batch (arrival) as TSV, the oldest first, with a line of names.

    `wait_seconds` is from its receipt to the first attempt, `work_seconds` the time of all attempts together.
    """
    settings = reading(config)
    from dropslot.core.showing.spreadsheets import cell
    from dropslot.dicom.listings.batch_metrics import batches

    writer = csv.writer(sys.stdout, delimiter="\t", lineterminator="\n")
    for number, row in enumerate(batches(narrowed(settings, search, state, route, since, limit))):
        if not number:
            writer.writerow(row)
        writer.writerow([cell(value) for value in row.values()])


@commands.command("summary_metrics")
def summary_metrics(
    config: ConfigPath = None,
    route: RouteKey = "",
    since: Since = "",
    as_json: AsJson = False,
    wide: Wide = False,
    no_pager: NoPager = False,
) -> None:
    """Summarize the batches of each route: how many, and the median and 95th percentile of their times and rates."""
    settings = reading(config)
    from dropslot.dicom.listings.batch_metrics import batches, summary

    rows = summary(batches(narrowed(settings, "", "", route, since)))
    columns = ("route", "batches", "done", "failed", "held", "unfinished", "instances", "size_bytes")
    below = ("total", "work", "rate")
    empty = no_match("No batches yet.", route=route, since=since)
    shown = rows if as_json or wide else map(_in_words, rows)
    show(shown, columns, Looks(as_json, wide, no_pager), below=below, empty=empty)


def _in_words(row: dict[str, Any]) -> dict[str, Any]:
    def both(name: str, unit: str) -> str:
        median, high = row[f"{name}_median"], row[f"{name}_p95"]
        return (
            ""
            if median is None
            else f"{median:g} {unit} in the median, {high:g} {unit} at the 95th percentile"
        )

    told = {"total": "from drop to end", "work": "in work", "rate": "rate"}
    values = {
        "total": both("total_seconds", "s"),
        "work": both("work_seconds", "s"),
        "rate": both("mb_per_second", "MB/s"),
    }
    return row | {name: f"{told[name]}: {value}" for name, value in values.items() if value}


@commands.command("batch_logs")
def batch_logs(
    ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="ID", help="Only these arrivals; the start of an id is enough."),
    ] = None,
    config: ConfigPath = None,
    search: Search = "",
    state: ArrivalState = "",
    route: RouteKey = "",
    since: Since = "",
    as_json: AsJson = False,
    limit: Limit = None,
) -> None:
    """Tell what happened to each batch (arrival), with its errors, the oldest first."""
    settings = reading(config)
    from dropslot.arrivals.listings import queries
    from dropslot.arrivals.models import Arrival

    wanted = narrowed(settings, search, state, route, since, limit)
    rows = queries.last(queries.narrowed(Arrival.objects.order_by("id"), wanted), limit)
    chosen: Iterator[Arrival] = iter(queries.find_all(ids)) if ids else rows
    is_empty = True
    for row in chosen:
        is_empty = False
        told = _told(row)
        sys.stdout.write(json.dumps(told) + "\n" if as_json else _as_text(told))
    if is_empty and not as_json:
        empty = no_match("No batches yet.", search=search, state=state, route=route, since=since)
        sys.stdout.write(f"{empty}\n")


def _told(row: Arrival) -> dict[str, Any]:
    from dropslot.audit.models import Event
    from dropslot.portal.words.event_words import in_words

    events = []
    for event in islice(Event.objects.filter(arrival=row.id).order_by("seq").iterator(_AT_ONCE), 10_000):
        words = in_words(event.kind, json.loads(event.data))
        events.append(
            {"at": event.at, "kind": event.kind, "what": words.sentence, "lines": list(words.lines)}
        )
    status = "held" if row.held_at else row.state
    facts = {"id": row.id, "route": row.route, "name": row.name, "status": status, "errors": row.reason}
    return facts | {"events": events}


def _as_text(told: dict[str, Any]) -> str:
    from dropslot.cli.output.tables import cell

    lines = [f"{told['id']} {told['route']} {cell(told['name'])}: {told['status']}"]
    for event in told["events"]:
        lines.append(f"  {event['at'][:19]}Z {cell(event['what'])}")
        lines += [f"      {cell(line)}" for line in event["lines"]]
    return "\n".join(lines) + "\n"
