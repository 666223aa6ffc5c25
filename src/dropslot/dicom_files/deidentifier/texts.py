"""Texts of elements, and the words in them."""

from __future__ import annotations

import re
import unicodedata
import warnings
from collections.abc import Iterator, Sequence

from pydicom.charset import convert_encodings, decode_bytes, encode_string

from dropslot.dicom_files.deidentifier.elements import Element

CHARACTER_SET = 0x00080005
TEXTS = frozenset({"AE", "AS", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UI", "UR", "UT"})
TIMES = frozenset({"DA", "DT", "TM"})
NUMBERS = frozenset({"DS", "IS"})
_WORD = re.compile(r"[^\W_]+")
_RUN = re.compile(r"\d+|[^\W\d_]+")
_LETTERS = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "æ": "ae", "œ": "oe", "ı": "i"})
# What a value of these VRs looks like.
WELL_FORMED = {
    "UI": re.compile(r"[012](\.\d+)+", re.ASCII),
    "DA": re.compile(r"\d{8}|\d{4}\.\d\d\.\d\d", re.ASCII),
    "TM": re.compile(r"\d{2}(:?\d\d){0,2}(\.\d{1,6})?", re.ASCII),
    "DT": re.compile(r"\d{4}(\d\d){0,5}(\.\d{1,6})?([+-]\d{4})?", re.ASCII),
}
_DELIMITERS = frozenset(b"\n\r\t\f\\^=")
_ONE_TEXT = frozenset({"LT", "ST", "UR", "UT"})  # in which a backslash separates no values


def encodings_of(elements: Sequence[Element], around: Sequence[str]) -> Sequence[str]:
    """Python's names of the character sets of a data set; those around it if it names none."""
    for element in elements:
        if element.tag == CHARACTER_SET and element.items is None:
            names = [name.strip() for name in element.value.decode("latin-1").strip(" \0").split("\\")]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    return convert_encodings(names)
                except (LookupError, ValueError):
                    return around
        if element.tag > CHARACTER_SET:
            break
    return around


def text_of(value: bytes, encodings: Sequence[str]) -> str:
    """The value as text, without padding."""
    if value.isascii() and b"\x1b" not in value:
        return value.decode("ascii").strip(" \0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return decode_bytes(value, encodings, set(_DELIMITERS)).strip(" \0")
        except (LookupError, ValueError):
            return value.decode("latin-1").strip(" \0")


def bytes_of(text: str, encodings: Sequence[str]) -> bytes:
    """The text in a character set of the data set; what has no place there becomes a question mark."""
    if text.isascii():
        return text.encode("ascii")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return encode_string(text, encodings)
        except (LookupError, ValueError):
            return text.encode("ascii", "replace")


def values_of(element: Element, encodings: Sequence[str]) -> list[str]:
    """Each of its values."""
    text = text_of(element.value, encodings)
    return [text] if element.vr in _ONE_TEXT else split(text)


def split(text: str) -> list[str]:
    """The values of a text, without padding."""
    return [part.strip(" \0") for part in text.split("\\")]


def folded(text: str) -> str:
    """Without case, accents and widths: Müller and ＭＵＬＬＥＲ are muller."""
    if text.isascii():
        return text.lower()
    apart = unicodedata.normalize("NFKD", text)
    bare = "".join(letter for letter in apart if not unicodedata.combining(letter))
    return unicodedata.normalize("NFKC", bare.casefold()).translate(_LETTERS)


def written_words(text: str) -> list[str]:
    """The words and numbers of a text, as they are written."""
    return _WORD.findall(unicodedata.normalize("NFC", text))


def words(text: str) -> list[str]:
    """The words and numbers of a text, folded."""
    return _WORD.findall(folded(text))


def runs(text: str) -> list[str]:
    """As words, with letters apart from digits."""
    return _RUN.findall(folded(text))


def readings(value: bytes, encodings: Sequence[str]) -> Iterator[str]:
    """The value as text in each encoding that it may have."""
    yield text_of(value, encodings)
    if not value.isascii():
        yield value.decode("utf-8", "replace")
        yield value.decode("latin-1")
    if b"\0" in value.strip(b"\0 "):
        yield value.replace(b"\0", b"").decode("latin-1")  # as UTF-16, in either order


def without(text: str, banned: frozenset[str]) -> str:
    """The text without words that are banned, and without numbers of four and more digits."""

    def kept(found: re.Match[str]) -> str:
        word = folded(found[0])
        is_number = sum(letter.isdigit() for letter in word) >= 4
        return "" if is_number or {word, *_RUN.findall(word)} & banned else found[0]

    return re.sub(r"\s{2,}", " ", _WORD.sub(kept, unicodedata.normalize("NFC", text))).strip()
