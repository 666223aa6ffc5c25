"""Which of the two lanes a test is in: `make test`, `make crash`, or both with another number of examples.

A test that is marked `crash` (all in tests/crash are) kills, cuts or floods at random: it is in `make crash` alone. One
that is marked `deep` is in both, and there it tries more.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

EVERY_STEP = bool(os.environ.get("EVERY_STEP"))
_CRASH = Path(__file__).with_name("crash")


def examples(few: int, many: int) -> int:
    """How many examples a test marked `deep` tries: `many` in `make crash`."""
    return many if EVERY_STEP else few


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(_CRASH):
            item.add_marker("crash")
