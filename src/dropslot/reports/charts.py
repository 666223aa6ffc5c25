"""The two drawings of a report, as rectangles: the page writes them as SVG, the PDF draws them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from dropslot.reports.figures import Day, Line, Report

WIDTH = 620
DAYS_HEIGHT, STEP, BAR = 120, 20, 14
SHOWN, ROW, THICK = 15, 26, 10
KINDS = ("delivered", "refused", "open", "files", "fetched")


class Piece(NamedTuple):
    """One rectangle, from the top left; `kind` is one of KINDS, which has a colour."""

    kind: str
    x: float
    y: float
    width: float
    height: float


class DayBar(NamedTuple):
    """One day, and its pieces."""

    day: Day
    pieces: Sequence[Piece]


class LineBar(NamedTuple):
    """One study or clinic, where its name is written, and its pieces."""

    line: Line
    y: int
    pieces: Sequence[Piece]


def days(report: Report) -> list[DayBar]:
    """What was dropped on each day: delivered below, then refused, then what is still open."""
    most = max((day.received for day in report.days), default=0)
    return [DayBar(day, list(_of_day(day, at * STEP, most))) for at, day in enumerate(report.days)]


def _of_day(day: Day, x: float, most: int) -> Iterator[Piece]:
    y = float(DAYS_HEIGHT)
    parts = (day.delivered, day.refused, day.received - day.delivered - day.refused)
    for kind, count in zip(KINDS, parts, strict=False):
        if count:
            height = max(2.0, round(DAYS_HEIGHT * count / most, 1))  # a single one among thousands is seen
            y = max(0.0, y - height)
            yield Piece(kind, x + (STEP - BAR) / 2, y, BAR, height)


def lines(report: Report) -> list[LineBar]:
    """The lines with the most files, and how many of these were fetched."""
    largest = sorted((line for line in report.lines if line.files), key=lambda line: -line.files)[:SHOWN]
    most = max((line.files for line in largest), default=0)
    return [LineBar(line, at * ROW, list(_of_line(line, at * ROW, most))) for at, line in enumerate(largest)]


def _of_line(line: Line, y: float, most: int) -> Iterator[Piece]:
    yield Piece("files", 0, y + ROW - THICK, max(2.0, round(WIDTH * line.files / most, 1)), THICK)
    if line.fetched:
        yield Piece("fetched", 0, y + ROW - THICK, max(2.0, round(WIDTH * line.fetched / most, 1)), THICK)
