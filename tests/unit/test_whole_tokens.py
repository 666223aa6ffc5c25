"""A pattern that takes a part of a number from a name is told, and no result passes by it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropslot.checks import whole_tokens

NUMBER = r"066-\d{8}-\d"


@pytest.mark.parametrize(
    ("pattern", "name", "whole"),
    [
        (f"^(?P<a>{NUMBER})", "066-12345670-12.pdf", "066-12345670-12"),
        (f"^(?P<a>{NUMBER})", "066-12345670-1A.pdf", "066-12345670-1A"),
        (f"^(?P<a>{NUMBER})", "066-12345670-1ا.pdf", "066-12345670-1ا"),
        (rf"^(?P<a>{NUMBER}).*\.pdf$", "066-12345670-12.pdf", "066-12345670-12"),
        (rf"^(?P<a>{NUMBER})\w*\.pdf$", "066-12345670-123.pdf", "066-12345670-123"),
        (f"(?P<a>{NUMBER})", "1066-12345670-1.pdf", "1066-12345670-1"),
        (NUMBER, "066-12345670-12.pdf", "066-12345670-12"),
        (r"(?P<a>\d{4,6})", "12345678", "12345678"),
        (r"^(?P<name>[A-Z][a-z]{3})", "Müller-1.pdf", None),
        (r"^(?P<name>\w{4})", "Müller-1.pdf", "Müller"),
        (r"^(?P<name>कल)", "कला-1.pdf", "कला"),
    ],
)
def test_a_part_of_a_number_or_word_is_found(pattern: str, name: str, whole: str | None) -> None:
    cut = whole_tokens.cut(re.compile(pattern), name)
    assert (cut and cut.whole) == whole


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        (f"^(?P<a>{NUMBER})", "066-12345670-1.pdf"),
        (f"^(?P<a>{NUMBER})", "066-12345670-1_2.pdf"),
        (f"^(?P<a>{NUMBER})", "066-12345670-1 corrected.pdf"),
        (f"(?P<a>{NUMBER})", "BHS066-12345670-1.pdf"),
        (r"S(?P<n>\d+)", "S12.pdf"),
        (r"^(?P<specimen>066\d{6})(?P<day>\d{8})\.pdf", "06612345620260301.pdf"),
        (r"^(?P<specimen>066\d{6})\d{8}\.pdf", "06612345620260301.pdf"),
        (r"^\d{8}(?P<specimen>066\d{6})", "20260301066123456.pdf"),
        (r"^(?P<name>\w+)-", "Mu\u0308ller-1.pdf"),
    ],
)
def test_a_whole_one_is_none(pattern: str, name: str) -> None:
    assert whole_tokens.cut(re.compile(pattern), name) is None


@pytest.mark.parametrize(
    "pattern",
    [
        f"^(?P<a>{NUMBER})",
        NUMBER,
        rf"^(?P<a>{NUMBER}).*\.pdf$",
        rf"^(?P<a>{NUMBER}).*\.(pdf|PDF)$",
        rf"^(?P<a>{NUMBER})\d?\.pdf$",
        rf"(?P<a>{NUMBER})\.pdf$",
        rf"(?P<a>{NUMBER})(?!\d)",
        r"(?P<a>\d{4,6})",
        r"^(?P<b>[A-Z]{3})",
        rf"(?i)^result_(?P<a>{NUMBER})",
        rf"^(?P<a>{NUMBER})(?P<c>!)?",
    ],
)
def test_a_pattern_without_an_end_or_a_beginning_is_told_by_an_example(pattern: str) -> None:
    cut = whole_tokens.open_end(re.compile(pattern))
    assert cut is not None and cut.taken in cut.whole != cut.taken
    assert re.search(pattern, cut.name)


@pytest.mark.parametrize(
    "pattern",
    [
        rf"^(?P<a>{NUMBER})(?![^\W_]|-\d)",
        rf"^(?P<a>{NUMBER})(?!\d)",
        rf"^(?P<a>{NUMBER})\.pdf$",
        rf"^(?P<a>{NUMBER})(_.*)?\.pdf$",
        rf"\b(?P<a>{NUMBER})\b",
        rf"(?<!\d)(?P<a>{NUMBER})(?!\d)",
        r"(?P<a>\d+)",
        r"S(?P<n>\d+)",
        r"^(?P<specimen>066\d{6})(?P<day>\d{8})\.pdf",
        r"(.+)\.pdf$",
        r"(?=x)y",
        r"(?P<a>(?:a+)+)$",
        r"(?s).{5000}",
    ],
)
def test_a_pattern_with_both_is_not(pattern: str) -> None:
    assert whole_tokens.open_end(re.compile(pattern)) is None


@given(st.text("019aA-_.é", max_size=20))
def test_any_name_is_judged(name: str) -> None:
    cut = whole_tokens.cut(re.compile(r"(?P<n>\d{2})"), name)
    assert cut is None or len(cut.whole) > 2
