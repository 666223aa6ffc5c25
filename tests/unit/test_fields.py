"""Fields from an arrival's name."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropslot.fields.name import NamePattern

STUDY = r"(?P<study>\w+)-((?P<location>[^-]+)-)?(?P<sent>.+)"


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("abc-pc17-2026", {"study": "abc", "location": "pc17", "sent": "2026"}),
        ("abc-2026", {"study": "abc", "sent": "2026"}),
        ("abc", None),
        ("abc-2026\n", None),
        ("x" * 252 + "-ab", {"study": "x" * 252, "sent": "ab"}),
        ("x" * 253 + "-ab", None),
    ],
)
def test_groups_of_a_full_match_become_fields(name: str, values: dict[str, str] | None) -> None:
    assert NamePattern(STUDY).values(name) == values
    assert NamePattern(re.compile(STUDY)).values(name) == values


def test_a_match_of_a_part_of_the_name_is_none() -> None:
    assert NamePattern(r"(?P<study>abc)").values("abcd") is None


@given(st.text(max_size=100))
def test_no_name_makes_a_traceback(name: str) -> None:
    values = NamePattern(STUDY).values(name)
    assert values is None or all(isinstance(value, str) for value in values.values())
