"""The table: what was measured, the peer's figure from the same run, the ratio, and the limit."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

PAGE = Path(__file__).parent.parent / "docs" / "performance.md"
_HEADINGS = ("what", "dropslot", "peer", "peer's figure", "measured", "limit", "")


@dataclass(frozen=True)
class Row:
    """One line. `value` and `limit` are what is compared; `at_most` tells in which direction."""

    what: str
    ours: str
    peer: str
    theirs: str
    value: float | None  # None: nothing is compared
    limit: float | None  # None: shown without a limit
    unit: str = "×"
    at_most: bool = True

    @property
    def within(self) -> bool:
        if self.value is None or self.limit is None:
            return True
        return self.value <= self.limit if self.at_most else self.value >= self.limit

    def cells(self) -> tuple[str, ...]:
        if self.value is None:
            return (self.what, self.ours, self.peer, self.theirs, "", "", "")
        limited = self.limit is not None
        bound = f"{'≤' if self.at_most else '≥'} {self.limit:.3g} {self.unit}".strip() if limited else ""
        verdict = ("within" if self.within else "MISSED") if limited else ""
        return (
            self.what,
            self.ours,
            self.peer,
            self.theirs,
            f"{self.value:.2f} {self.unit}".strip(),
            bound,
            verdict,
        )


def seconds(value: float) -> str:
    return f"{value:.2f} s" if value >= 0.1 else f"{value * 1000:.2f} ms"


def ratio(what: str, ours: float, peer: str, theirs: float, limit: float | None) -> Row:
    """A row that compares two times in seconds."""
    return Row(what, seconds(ours), peer, seconds(theirs), ours / theirs, limit)


def show(title: str, rows: Sequence[Row]) -> None:
    """On the terminal."""
    table = Table(*_HEADINGS, title=title, title_justify="left")
    for row in rows:
        table.add_row(*row.cells())
    # In full also where the output is no terminal.
    Console(width=160).print(table)


def write(group: str, rows: Sequence[Row]) -> None:
    """Into docs/performance.md, between this group's markers. Raises ValueError when they are not there."""
    begin, end = f"<!-- bench:{group} -->", f"<!-- /bench:{group} -->"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    page = PAGE.read_text()
    if not pattern.search(page):
        raise ValueError(f"{PAGE} has no markers {begin} … {end}")
    PAGE.write_text(pattern.sub(lambda _: f"{begin}\n{_markdown(rows)}\n{end}", page))


def _markdown(rows: Sequence[Row]) -> str:
    lines = ["| " + " | ".join(_HEADINGS) + " |", "|---" * len(_HEADINGS) + "|"]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row.cells()) + " |" for row in rows]
    return "\n".join(lines) + f"\n\n{machine()}"


def machine() -> str:
    """What it was measured on."""
    return (
        f"Measured on {os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}."
    )
