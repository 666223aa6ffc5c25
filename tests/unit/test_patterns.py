"""Patterns meet names as people read them, in any form of Unicode; what they find is as it was sent."""

from __future__ import annotations

import re
from typing import Literal
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropslot.acknowledgments.matching.judging import Rights
from dropslot.acknowledgments.matching.requested import asked
from dropslot.acknowledgments.matching.stored_paths import Match, contradicts
from dropslot.core import patterns
from dropslot.core.patterns import Glob
from dropslot.destinations.spelling import twin
from dropslot.fields.name import NamePattern
from dropslot.watching.temporary import TemporaryNames

Form = Literal["NFC", "NFD"]
STUDY = r"(?P<study>\w+)-(?P<sent>[^\W_]+)"
WORDS = {
    "German": "Größe",
    "Vietnamese": "Việtệ",
    "Korean": "한국어",
    "Hindi": "हिन्दी",
    "Hindi with a nukta": "क़लम",
    "Bengali": "কো",
    "Tamil": "தமிழ்",
    "Thai": "ภาษาไทย",
    "Khmer": "ភាសាខ្មែរ",
    "Arabic with points": "مُحَمَّد",
    "Hebrew with points": "שָׁלוֹם",
    "Persian with a joiner": "می‌خواهم",
    "a mark that nothing composes": "x̌ẍ̣",
}


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("word", WORDS.values(), ids=WORDS.keys())
def test_a_word_of_any_script_is_a_word_and_its_value_is_as_it_was_sent(word: str, form: Form) -> None:
    sent = normalize(form, word)
    values = NamePattern(STUDY).values(f"{sent}-{sent}")
    assert values == {"study": sent, "sent": sent}


@pytest.mark.parametrize("name", ["a\u200bb-x", "a\u202eb-x", "a b-x", "a\udcc3-x", "a\u200eb-x"])
def test_what_is_no_letter_is_none_still(name: str) -> None:
    assert NamePattern(STUDY).values(name) is None


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("(?P<a>é)(?P<b>.+)", "e\u0301e\u0301"),
        ("(?P<a>e\u0301)(?P<b>.+)", "éx"),
        ("(?P<a>[äöü]+)(?P<b>.*)", normalize("NFD", "äöüx")),
        ("(?P<a>.)(?P<b>.)", normalize("NFD", "éé")),
        ("(?i)(?P<a>É)(?P<b>.)", normalize("NFD", "éx")),
    ],
)
def test_groups_part_the_name_between_its_characters(pattern: str, name: str) -> None:
    found = NamePattern(pattern).values(name)
    assert found is not None
    assert found["a"] + found["b"] == name
    assert patterns.composed(found["a"]) not in ("e", "a")


@given(st.text(max_size=30), st.text(max_size=30))
def test_groups_are_always_cut_out_of_what_was_sent(one: str, other: str) -> None:
    text = f"{one}\n{other}"
    found = patterns.fullmatch(re.compile(r"(?s)(?P<a>.*?)(?P<b>.*)(?P<c>x)?"), text)
    assert found is not None and found.groups["c"] is None
    assert (found.groups["a"] or "") + (found.groups["b"] or "") == text == found.whole


def test_flags_of_a_compiled_pattern_count_in_any_script() -> None:
    assert NamePattern(re.compile("(?P<a>größe)", re.IGNORECASE)).values("GRÖSSE") is None
    assert NamePattern(re.compile("(?P<a>größe)", re.IGNORECASE)).values(normalize("NFD", "GRÖßE"))
    assert NamePattern(re.compile(r"(?P<a>\w+)", re.ASCII)).values("é") is None


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_shell_patterns_take_any_form(form: Form) -> None:
    other: Form = "NFD" if form == "NFC" else "NFC"
    assert Glob(normalize(form, "prüfung*")).match(normalize(other, "Prüfung7"))
    assert Glob("caf?").match(normalize(form, "café"))
    assert not Glob("caf").match(normalize(form, "café"))
    temporary = TemporaryNames([normalize(form, "*.läuft")])
    assert temporary.match(normalize(other, "x.läuft"))


def test_a_folder_in_another_form_is_told() -> None:
    nfc, nfd = normalize("NFC", "Größe"), normalize("NFD", "Größe")
    assert "decomposed (NFD" in twin(nfd, ["x", nfc]) and "composed (NFC)" in twin(nfc, [nfd])
    assert twin(nfc, [nfc, "x"]) == twin("Gröse", [nfc]) == ""


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_an_address_in_a_log_is_found_in_any_form(form: Form) -> None:
    folder, name = normalize(form, "Überlingen"), normalize(form, "é-1.pdf")
    wanted = asked(f"/Ergebnisse für/{folder}/{name}".replace("ü", normalize(form, "ü")).encode())
    assert wanted is not None
    values = Match("/Ergebnisse für/{folder}/{stored_name}").values(wanted)
    assert values == {"folder": folder, "stored_name": name}
    assert not contradicts(values, {"folder": normalize("NFC", folder)}, ["folder"])
    assert Rights({"clinic": [normalize("NFC", folder)]}).may("clinic", folder)


def test_marks_without_number_take_no_time() -> None:
    text = "a" + "\u0301\u0316" * 1000 + "/b"
    found = patterns.fullmatch(re.compile("(?P<a>[^/]+)/(?P<b>.+)"), text)
    assert found is not None and found.groups == {"a": text[:-2], "b": "b"}
    assert patterns.search(re.compile("b"), text) is not None
    assert patterns.search(re.compile("c"), text) is None
