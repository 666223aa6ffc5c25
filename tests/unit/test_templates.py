"""Texts with fields never leave the folder they are meant for."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropslot.core.errors import Refused
from dropslot.core.templates import Template, literal


def test_fields_and_fixed_part() -> None:
    template = Template("/srv/studies/{study}/x-{sent}")
    assert template.fields == {"study", "sent"}
    assert template.fixed == "/srv/studies"
    assert template.fill({"study": "heart", "sent": "1", "other": ".."}) == "/srv/studies/heart/x-1"


@pytest.mark.parametrize(
    ("text", "fixed"),
    [
        ("/a/b-{x}/c", "/a"),
        ("/{x}", "/"),
        ("{x}/y", ""),
        ("/a/b", "/a/b"),
        ("/a{{b}}/{x}", "/a{b}"),
        ("/a{{b}}/c", "/a{b}/c"),
        ("/a/{{b-{x}", "/a"),
    ],
)
def test_fixed_is_cut_back_to_a_whole_folder(text: str, fixed: str) -> None:
    assert Template(text).fixed == fixed


@pytest.mark.parametrize(
    "text", ["{", "}", "a{", "{}", "{0}", "{a.b}", "{a[0]}", "{a!r}", "{a:>9}", "{a b}", "{{}", "{a{b}}"]
)
def test_malformed_templates_are_refused_in_words(text: str) -> None:
    with pytest.raises(ValueError, match=r"field|brace|format"):
        Template(text)


@pytest.mark.parametrize(
    "value", ["..", ".", "", "/etc", "a/b", "a\0b", ".hidden", "a\nb", "\u202egpj", "\udcff", "x" * 256]
)
def test_unsafe_values_are_refused(value: str) -> None:
    with pytest.raises(Refused) as caught:
        Template("/srv/{study}/raw").fill({"study": value})
    assert "study" in caught.value.reasons[0]
    assert "\n" not in caught.value.reasons[0]


def test_every_missing_field_is_a_reason() -> None:
    with pytest.raises(Refused) as caught:
        Template("/{a}/{b}").fill({})
    assert caught.value.reasons == ["field a has no value", "field b has no value"]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("/srv/.{a}", {"a": "dropslot"}),
        ("/srv/.{a}", {"a": "Dropslot"}),
        ("/srv/{a}{b}", {"a": "x" * 200, "b": "y" * 200}),
    ],
)
def test_parts_that_become_unsafe_together_are_refused(text: str, values: dict[str, str]) -> None:
    with pytest.raises(Refused):
        Template(text).fill(values)


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("/srv/{date}", "/srv/2026-03-01"),
        ("/srv/{date:%Y%m%d}", "/srv/20260301"),
        ("/srv/{date:%Y}/{date:%m}/{date:%d}", "/srv/2026/03/01"),
        ("/srv/{date:%G-W%V-%u}-{date:%j}", "/srv/2026-W09-7-060"),
        ("/srv/{date:%a %d. %B %y, 100%%}-{date:%A-%b}", "/srv/Sun 01. March 26, 100%-Sunday-Mar"),
    ],
)
def test_a_date_has_a_format(text: str, filled: str) -> None:
    template = Template(text)
    assert template.fields == {"date"}
    assert template.fill({"date": "2026-03-01"}) == filled


@pytest.mark.parametrize(
    "spec",
    ["%H", "%c", "%x", "%", "%Y/%m", "x", "%%", ".%Y", "%Y\n", "%Y{x}", "%-d", "%Y\u202e", "%Y\0", "%Ey"],
)
def test_a_format_that_gives_no_date_or_no_safe_part_is_refused(spec: str) -> None:
    with pytest.raises(ValueError, match=r"not a date format|brace|field"):
        Template(f"/srv/{{date:{spec}}}")


def test_only_a_date_has_a_format() -> None:
    with pytest.raises(ValueError, match="only date has"):
        Template("/srv/{study:%Y}")


@given(st.text(max_size=20))
def test_any_format_is_refused_or_gives_one_safe_part(spec: str) -> None:
    try:
        template = Template(f"/srv/{{date:{spec}}}")
    except ValueError:
        return
    if template.fields == {"date"} and len(template.pieces) <= 2:
        filled = template.fill({"date": "2026-03-01"})
        assert os.path.normpath(filled) == filled
        assert filled.count("/") == 2


@given(st.lists(st.text(), min_size=3, max_size=3))
def test_no_values_lead_outside(values: list[str]) -> None:
    template = Template("/srv/studies/{a}/{b}-x/{c}")
    try:
        filled = template.fill(dict(zip("abc", values, strict=True)))
    except Refused as error:
        assert error.reasons
        return
    assert os.path.normpath(filled) == filled
    assert filled.startswith("/srv/studies/")
    assert filled.count("/") == 5


@given(st.text())
def test_any_text_is_a_template_or_a_value_error(text: str) -> None:
    try:
        template = Template(text)
    except ValueError:
        return
    assert text.startswith(literal(template.fixed)) or template.fixed == ""


@given(st.text())
def test_literal_text_stays_itself(text: str) -> None:
    assert Template(literal(text)).fields == frozenset()
    assert Template(literal(text)).fill({}) == text


@given(st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True), st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True))
def test_match_finds_the_values_again(study: str, sent: str) -> None:
    template = Template("/drop/{study}/x-{sent}")
    assert template.match(template.fill({"study": study, "sent": sent})) == {"study": study, "sent": sent}


def test_a_field_that_comes_twice_has_one_value() -> None:
    template = Template("/{a}/{a}")
    assert template.match("/x/x") == {"a": "x"}
    assert template.match("/x/y") is None
