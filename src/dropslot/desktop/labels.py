"""What the window says about states, amounts and times. Each state has a word beside its ticks."""

from __future__ import annotations

from datetime import datetime

from dropslot.core.showing.amounts import size
from dropslot.sender.engine.listener import Status
from dropslot.sender.file_states import DELIVERED, REFUSED, UNCHANGED, UPLOADED, UPLOADING

STATES = {
    UPLOADING: ("", "Uploading"),
    UPLOADED: ("✓", "Uploaded"),
    DELIVERED: ("✓✓", "Delivered"),
    UNCHANGED: ("✓✓", "Was there already"),
    REFUSED: ("✗", "Refused"),
}


def state(name: str) -> str:
    """`✓✓ Delivered`."""
    return " ".join(part for part in STATES.get(name, ("", name)) if part)


def files(number: int) -> str:
    """`1 file`, `12,345 files`."""
    return "1 file" if number == 1 else f"{number:,} files"


def duration(seconds: float) -> str:
    """`45 seconds`, `12 minutes`, `3 hours`: as exact as anybody can know."""
    for unit, long in (("hour", 3600), ("minute", 60)):
        if seconds >= long * 1.5:
            return _counted(round(seconds / long), unit)
    return _counted(max(1, round(seconds)), "second")


def _counted(number: int, unit: str) -> str:
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"


def progress(status: Status) -> str:
    """`1.2 of 3.4 GB · 35 MB a second · about 2 minutes left`."""
    parts = [
        f"{status.files_done:,} of {files(status.files)}",
        f"{size(status.bytes_done)} of {size(status.size_bytes)}",
    ]
    if status.rate:
        parts.append(f"{size(status.rate)} a second")
    if status.seconds_left is not None:
        parts.append(f"about {duration(status.seconds_left)} left")
    return " · ".join(parts)


def moment(at: str) -> str:
    """A time in UTC, in the zone and the words of this PC: `Sun 29 Nov, 14:05`; with the year when it is another."""
    try:
        here = datetime.fromisoformat(at).astimezone()
    except (ValueError, OverflowError):
        return at
    year = "" if here.year == datetime.now().astimezone().year else f" {here.year}"
    return f"{here:%a} {here.day} {here:%b}{year}, {here:%H:%M}"
