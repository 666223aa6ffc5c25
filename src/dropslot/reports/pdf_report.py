"""A report as PDF. `python -m dropslot.reports.pdf_report` makes one of the JSON on its input: the portal need not load
what draws it."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape as markup

from reportlab.graphics.shapes import Drawing, Rect, String
from reportlab.graphics.shapes import Line as Stroke
from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4, landscape
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import (
    Flowable,
    KeepTogether,
    LongTable,
    Paragraph,
    SimpleDocTemplate,
    Spacer,
    TableStyle,
)

from dropslot.core.showing.amounts import size
from dropslot.reports import charts
from dropslot.reports.captions import MEANINGS, fetch_took, took
from dropslot.reports.figures import Line, Report, from_json

if TYPE_CHECKING:
    from dropslot.reports.charts import Piece

_COLOURS = {
    "delivered": "#2f6f4f",
    "refused": "#c0392b",
    "open": "#9aa5b1",
    "files": "#b9cde5",
    "fetched": "#1f4e8c",
}
_WORDS = {"files": "delivered files", "fetched": "of these, fetched"}
# The first that is there: the fonts that Debian and Fedora have, with letters of most of Europe; reportlab brings Vera.
_FONTS = (
    "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",
    "/usr/share/fonts/dejavu-sans-fonts/DejaVuSans.ttf",
    "Vera.ttf",
)
_NAME, _LONGEST = "Report", 90
_MOST_LINES = 1000
_WIDE = landscape(A4)
_TITLES = (
    *("Route", "Study or clinic", "Received", "Delivered", "Refused", "Open", "Files", "Size", "Fetched"),
    *("To delivery\nmedian", "\n95th", "To fetch\nmedian", "\n95th"),
)
_WIDTHS = [mm * each for each in (28, 50, 18, 18, 16, 13, 17, 18, 17, 20, 18, 20, 18)]


def made(report: Report) -> bytes:
    """The PDF of a report."""
    _load_font()
    title = f"dropslot: {report.title}"
    found = io.BytesIO()
    document = SimpleDocTemplate(
        found,
        pagesize=_WIDE,
        title=title,
        author="dropslot",
        subject=report.of,
        leftMargin=13 * mm,
        rightMargin=13 * mm,
        topMargin=13 * mm,
        bottomMargin=14 * mm,
    )
    document.build(_story(report), onFirstPage=_footer(report), onLaterPages=_footer(report))
    return found.getvalue()


def _story(report: Report) -> list[Flowable]:
    text, small, head = _style(9), _style(7.5, "#555555"), _style(16)
    so_far = "" if report.is_over else " so far"
    total, more = report.total, len(report.lines) - _MOST_LINES
    fetched = "" if total.fetched is None else f", {total.fetched:,} of them fetched"
    return [
        Paragraph(f"Report of {report.title}{so_far}", head),
        Spacer(1, 2 * mm),
        Paragraph(
            f"{markup(_shown(report.of))}. {total.received:,} arrivals received: {total.delivered:,} delivered,"
            f" {total.refused:,} refused, {total.open:,} open. {total.files:,} files delivered"
            f" ({size(total.size_bytes)}){fetched}.",
            text,
        ),
        Spacer(1, 4 * mm),
        Paragraph("Arrivals by the day of their drop", text),
        _days(report),
        _legend("delivered", "refused", "open"),
        Spacer(1, 4 * mm),
        _table(report),
        *([Paragraph(f"{more:,} more lines are in the CSV.", text)] if more > 0 else []),
        Spacer(1, 5 * mm),
        *_lines(report, text),
        Spacer(1, 4 * mm),
        *(Paragraph(markup(meaning), small) for meaning in MEANINGS),
    ]


def _style(points: float, colour: str = "#111111") -> ParagraphStyle:
    return ParagraphStyle(
        "s",
        fontName=_NAME,
        fontSize=points,
        leading=points * 1.3,
        textColor=HexColor(colour),
        splitLongWords=1,
    )


def _days(report: Report) -> Drawing:
    base, height = 14, charts.DAYS_HEIGHT + 14  # the days' numbers are below the line
    drawing = Drawing(charts.WIDTH, height + 9)
    drawing.add(Stroke(0, base, charts.WIDTH, base, strokeColor=HexColor("#888888"), strokeWidth=0.5))
    for at, bar in enumerate(charts.days(report)):
        for piece in bar.pieces:
            drawing.add(_rectangle(piece, height))
        middle = at * charts.STEP + charts.STEP / 2
        drawing.add(String(middle, 5, str(at + 1), fontName=_NAME, fontSize=6.5, textAnchor="middle"))
        if bar.day.received:
            top = height - min(piece.y for piece in bar.pieces) + 1.5
            words = f"{bar.day.received:,}"
            drawing.add(String(middle, top, words, fontName=_NAME, fontSize=5, textAnchor="middle"))
    return drawing


def _rectangle(piece: Piece, height: float) -> Rect:
    y = height - piece.y - piece.height
    return Rect(
        piece.x, y, piece.width, piece.height, fillColor=HexColor(_COLOURS[piece.kind]), strokeColor=None
    )


def _legend(*kinds: str) -> Drawing:
    drawing = Drawing(charts.WIDTH, 12)
    for at, kind in enumerate(kinds):
        drawing.add(_rectangle(charts.Piece(kind, at * 95, 4, 8, 8), 12))
        drawing.add(String(at * 95 + 11, 1, _WORDS.get(kind, kind), fontName=_NAME, fontSize=7.5))
    return drawing


def _lines(report: Report, text: ParagraphStyle) -> list[Flowable]:
    bars = charts.lines(report)
    if not bars:
        return []
    height = charts.ROW * len(bars)
    drawing = Drawing(charts.WIDTH, height)
    for bar in bars:
        words = _shown(f"{bar.line.route}: {bar.line.name}, {bar.line.files:,}")
        drawing.add(String(0, height - bar.y - 12, words, fontName=_NAME, fontSize=7.5))
        for piece in bar.pieces:
            drawing.add(_rectangle(piece, height))
    title = "Files delivered, and fetched so far"
    more = "" if len(report.lines) <= charts.SHOWN else f" (the {charts.SHOWN} with the most)"
    return [KeepTogether([Paragraph(f"{title}{more}", text), drawing, _legend("files", "fetched")])]


def _table(report: Report) -> LongTable:
    body, bold = _style(7.5), _style(7.5)
    rows: list[list[Any]] = [list(_TITLES)]
    rows += [_row(line, body) for line in report.lines[:_MOST_LINES]]
    rows.append([Paragraph("All", bold), "", *_numbers(report.total)])
    table = LongTable(rows, colWidths=_WIDTHS, repeatRows=1, hAlign="LEFT")
    grey = HexColor("#e4e8ee")
    table.setStyle(
        TableStyle(
            [
                ("FONT", (0, 0), (-1, -1), _NAME, 7.5),
                ("ALIGN", (2, 0), (-1, -1), "RIGHT"),
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("VALIGN", (0, 0), (-1, 0), "BOTTOM"),
                ("BACKGROUND", (0, 0), (-1, 0), grey),
                ("BACKGROUND", (0, -1), (-1, -1), grey),
                ("LINEBELOW", (0, 0), (-1, -1), 0.25, HexColor("#c4cad2")),
                ("TOPPADDING", (0, 0), (-1, -1), 2),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
            ]
        )
    )
    return table


def _row(line: Line, style: ParagraphStyle) -> list[Any]:
    named = (Paragraph(markup(_shown(text)), style) for text in (line.route, line.name))
    return [*named, *_numbers(line)]


def _numbers(line: Line) -> Sequence[str]:
    fetched = "–" if line.fetched is None else f"{line.fetched:,}"
    counts = (line.received, line.delivered, line.refused, line.open, line.files)
    return [
        *(f"{count:,}" for count in counts),
        *(size(line.size_bytes), fetched, took(line.delivery_median), took(line.delivery_p95)),
        *(fetch_took(line.fetch_median), fetch_took(line.fetch_p95)),
    ]


def _footer(report: Report) -> Any:
    made_at = f"{report.made_at[:16].replace('T', ' ')} UTC"
    words = f"dropslot, {report.title}; days and month in {report.zone}; as it was at {made_at}"

    def draw(canvas: Any, document: Any) -> None:
        canvas.setFont(_NAME, 7)
        canvas.drawString(13 * mm, 8 * mm, words)
        canvas.drawRightString(_WIDE[0] - 13 * mm, 8 * mm, f"Page {document.page}")

    return draw


def _shown(text: str) -> str:
    """A name of at most 90 characters. One that the font lacks, or that is no letter, is written as its code: nothing
    is shown as an empty box."""
    glyphs = _load_font()
    cut = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
    return "".join(
        each if each.isprintable() and ord(each) in glyphs else rf"\u{ord(each):04x}" for each in cut
    )


@cache
def _load_font() -> frozenset[int]:
    """Register the font; the characters that it has."""
    path = next(font for font in _FONTS if "/" not in font or Path(font).is_file())
    font = TTFont(_NAME, path)
    pdfmetrics.registerFont(font)
    return frozenset(font.face.charToGlyph)


if __name__ == "__main__":
    sys.stdout.buffer.write(made(from_json(json.load(sys.stdin))))
