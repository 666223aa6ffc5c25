"""The pages of the documentation, and what in them is marked to be run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

REPOSITORY = Path(__file__).parent.parent
PAGES = sorted([REPOSITORY / "README.md", *(REPOSITORY / "docs").glob("*.md")])

_MARK = r"<!-- (?P<mark>test|prints|config|file: [\w./]+) -->"
_MARKED = re.compile(_MARK + r"\n *```\w+\n(?P<text>.*?)^ *```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """`mark` is `test` (bash), `prints` (what the block before it prints, somewhere), `config` (a config.yaml) or
    `file: PATH` (what that file holds)."""

    mark: str
    text: str


def blocks(page: Path) -> list[Block]:
    return [Block(found["mark"], dedent(found["text"])) for found in _MARKED.finditer(page.read_text())]


def pages_with(mark: str) -> list[Path]:
    return [page for page in PAGES if any(block.mark == mark for block in blocks(page))]
