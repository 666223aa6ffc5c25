"""Small configurations for tests, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dropslot.config import Config, ConfigError, Problem, from_mapping, parse

BASE = Path("/srv/lab")


def route(**keys: Any) -> dict[str, Any]:
    """The keys of a sound route, changed."""
    return {"folders": "./study", "deliver": [{"to": "./delivered"}], **keys}


def config(base: Path = BASE, **keys: Any) -> Config:
    """A configuration with one route, `study`, made of these keys."""
    return from_mapping({"routes": {"study": route(**keys)}}, base)


def problems(mapping: Any, base: Path = BASE) -> list[Problem]:
    """Everything that is wrong with a mapping, at least one thing."""
    with pytest.raises(ConfigError) as caught:
        from_mapping(mapping, base)
    return caught.value.problems


def problems_of_route(**keys: Any) -> list[Problem]:
    """Everything that is wrong with a sound route that is changed so."""
    return problems({"routes": {"study": route(**keys)}})


def problems_of_text(text: str | bytes, base: Path = BASE) -> list[Problem]:
    """Everything that is wrong with a text."""
    with pytest.raises(ConfigError) as caught:
        parse(text, base)
    return caught.value.problems


def the_problem(found: list[Problem]) -> Problem:
    """The only one."""
    assert len(found) == 1, [str(problem) for problem in found]
    return found[0]
