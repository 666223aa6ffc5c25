"""The tools of development are pinned (setup/constraints.txt); what dropslot itself needs is not."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
TOOLS = ("docs", "dev", "ci", "package")


def _names(requirements: list[str]) -> set[str]:
    return {re.sub(r"[-_.]+", "-", re.split(r"[\[<>=;, ]", line)[0]).lower() for line in requirements}


def test_each_tool_is_pinned_and_no_dependency_of_dropslot() -> None:
    pinned = _names((ROOT / "setup" / "constraints.txt").read_text().splitlines()[1:])
    product = [line for extra, lines in EXTRAS.items() if extra not in (*TOOLS, "bench") for line in lines]
    assert _names([line for extra in TOOLS for line in EXTRAS[extra]]) <= pinned
    assert not _names(product) & pinned
