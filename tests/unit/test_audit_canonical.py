"""The text that is hashed."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropslot.audit import chain
from dropslot.audit.canonical import canonical, entry_text
from dropslot.audit.chain import Entry

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(_json)
def test_canonical_json_read_and_written_again_is_the_same_bytes(value: Any) -> None:
    text = canonical({"value": value})
    assert canonical(json.loads(text)) == text
    assert text.encode("utf-8").decode("utf-8") == text


@given(st.text(), st.text(), st.integers())
def test_the_entry_put_together_from_its_parts_is_the_canonical_entry(at: str, kind: str, seq: int) -> None:
    data = {"z": 1, "a": [at, kind]}
    whole = canonical({"seq": seq, "at": at, "kind": kind, "arrival": "", "data": data})
    assert entry_text(seq, at, kind, "", canonical(data)) == whole


@pytest.mark.parametrize(("kind", "arrival"), [("", ""), ("k" * 41, ""), ("k", "A" * 27)])
def test_an_entry_that_the_columns_cannot_hold_is_refused(kind: str, arrival: str) -> None:
    with pytest.raises(ValueError, match="kind of 1 to 40"):
        Entry(kind, arrival)


def test_times_are_utc_with_microseconds_and_z() -> None:
    moment = datetime(2026, 3, 4, 5, 6, 7, 8, tzinfo=timezone(timedelta(hours=-6)))
    assert chain.timestamp(moment) == "2026-03-04T11:06:07.000008Z"
    assert chain.timestamp(datetime(26, 1, 1, tzinfo=UTC)) < chain.timestamp(moment)


def test_a_head_is_read_as_it_is_shown() -> None:
    head = chain.Head(12, "0f" * 32)
    assert chain.head_from(f" {str(head).upper()}\n") == head
    assert chain.head_from(str(chain.GENESIS)) == chain.GENESIS


@pytest.mark.parametrize(
    "text", ["", "12", "12:", f"-1:{'0' * 64}", f"1:{'g' * 64}", f"1:{'0' * 65}", f"١:{'0' * 64}"]
)
def test_what_is_no_head_is_refused_in_words(text: str) -> None:
    with pytest.raises(ValueError, match="SEQ:HASH"):
        chain.head_from(text)
