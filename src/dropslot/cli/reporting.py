"""`report`: what a month brought."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dropslot.cli.options import AsJson, ConfigPath, NoPager, Wide
from dropslot.cli.output.exit_status import UsageError
from dropslot.cli.output.tables import Looks, show
from dropslot.cli.startup import reading, require_acknowledgments
from dropslot.core.names import escape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from dropslot.config import Config
    from dropslot.reports.figures import Line, Report
    from dropslot.reports.months import Month

commands = typer.Typer()


@commands.command()
def report(
    config: ConfigPath = None,
    month: Annotated[
        str,
        typer.Option("--month", metavar="YEAR-MONTH", help="The month, such as 2026-11. Default: this one."),
    ] = "",
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="For spreadsheets.")] = False,
    as_pdf: Annotated[bool, typer.Option("--pdf", help="With charts, to print and to send.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write it into this new file.")
    ] = None,
    wide: Wide = False,
    no_pager: NoPager = False,
) -> None:
    """Report a month: what was received, delivered, refused and fetched for each study and clinic, and how quickly."""
    if sum((as_json, as_csv, as_pdf)) > 1:
        raise UsageError(
            "--json, --csv and --pdf exclude each other", next_step="Run the command once for each"
        )
    if as_pdf and out is None and sys.stdout.isatty():
        raise UsageError("A terminal cannot show a PDF", next_step="Add `--out report.pdf`")
    settings = reading(config)
    require_acknowledgments()
    found = _counted(settings, _month(settings, month))
    if as_pdf:
        _write(_pdf(found), out)
    elif as_csv:
        from dropslot.reports.sheet import sheet

        _write(sheet(found).encode(), out)
    elif as_json:
        _write((json.dumps(found.as_json()) + "\n").encode(), out)
    elif out is not None:
        raise UsageError("--out needs the kind of file", next_step="Add --pdf, --csv or --json")
    else:
        sys.stdout.write(f"{found.title}{'' if found.is_over else ' so far'}, {found.zone}\n")
        empty = "Nothing was received in this month."
        show(list(_rows(found)), _COLUMNS, Looks(False, wide, no_pager), below=_BELOW, empty=empty)


_COLUMNS = ("route", "of", "received", "delivered", "refused", "open", "files", "size", "fetched")
_BELOW = ("to_delivery", "to_fetch")


def _month(config: Config, text: str) -> Month:
    from dropslot.reports.months import month_from, this_month

    try:
        return month_from(text) if text else this_month(config.zone)
    except ValueError as error:
        what = f"--month {escape(text)!r}: {error}"
        raise UsageError(what, next_step="Write the year and the month: 2026-11") from None


def _counted(config: Config, month: Month) -> Report:
    from dropslot.access.followed import followed
    from dropslot.arrivals.models import Arrival, Delivery
    from dropslot.core.states import State
    from dropslot.reports.daily_counts import Seen, report
    from dropslot.reports.section import report_by

    by = {key: report_by(route) for key, route in config.routes.items()}
    deliveries = Delivery.objects.filter(arrival__state=State.DONE)
    return report(
        month, config.zone, Seen("All routes", Arrival.objects.all(), deliveries, by, followed(config))
    )


def _pdf(found: Report) -> bytes:
    from dropslot.reports.pdf_report import made

    return made(found)


def _write(content: bytes, out: Path | None) -> None:
    if out is None:
        sys.stdout.buffer.write(content)
        return
    with out.open("xb") as stream:
        stream.write(content)
    sys.stdout.write(f"Written to {out}\n")


def _rows(found: Report) -> Iterator[dict[str, Any]]:
    for line in found.lines:
        yield _row(line, line.route, line.name)
    if len(found.lines) > 1:
        yield _row(found.total, "", "ALL")


def _row(line: Line, route: str, name: str) -> dict[str, Any]:
    from dropslot.core.showing.amounts import size
    from dropslot.reports.captions import fetch_took, took

    return {
        "route": route,
        "of": name,
        "received": line.received,
        "delivered": line.delivered,
        "refused": line.refused,
        "open": line.open,
        "files": line.files,
        "size": size(line.size_bytes),
        "fetched": "–" if line.fetched is None else line.fetched,
        "to_delivery": _times("to delivery", line.delivery_median, line.delivery_p95, took),
        "to_fetch": _times("to fetch", line.fetch_median, line.fetch_p95, fetch_took),
    }


def _times(what: str, median: int | None, p95: int | None, words: Callable[[int | None], str]) -> str:
    return "" if median is None else f"{what}: median {words(median)}, 95th percentile {words(p95)}"
