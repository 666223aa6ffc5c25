"""Regular expressions and shell patterns that meet names as people write them.

macOS decomposes accents (NFD), and in Hindi, Thai, Arabic and Hebrew the signs around a letter are marks, which
Python's `\\w` does not match. So a pattern is matched on the composed form (NFC), with marks as letters;
the value of a group is cut out of the text as it was sent.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import cache
from typing import Any

_LONGEST_CLUSTER = 32  # letters and marks; the longest that a text for people has (UAX 15, D3)


@dataclass(frozen=True, slots=True)
class Found:
    """What a pattern matched: all of it, and its named groups; a group that took no part is None. `places` says where
    in the text they stand, the whole under the name ""."""

    whole: str
    groups: Mapping[str, str | None]
    places: Mapping[str, tuple[int, int]]


def fullmatch(pattern: re.Pattern[str], text: str) -> Found | None:
    """Match the whole text; None when it does not match."""
    return _matched("fullmatch", pattern, text)


def search(pattern: re.Pattern[str], text: str) -> Found | None:
    """Match the first part of the text that fits; None when there is none."""
    return _matched("search", pattern, text)


def composed(text: str) -> str:
    """The form in which texts that look the same are the same (NFC)."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def forms(text: str) -> list[str]:
    """The text as it is, composed, and decomposed, each once: the ways in which others may have written it."""
    return list(dict.fromkeys((text, composed(text), unicodedata.normalize("NFD", text))))


class Glob:
    """A shell pattern of whole names, in any letter case and any form of accents."""

    def __init__(self, pattern: str) -> None:
        self._match = re.compile(translate(composed(pattern)), re.IGNORECASE).match

    def match(self, name: str) -> bool:
        """Whether the whole name fits."""
        return self._match(composed(name)) is not None


def _matched(how: str, pattern: re.Pattern[str], text: str) -> Found | None:
    match = (
        getattr(pattern, how)(text) if text.isascii() else getattr(_with_marks(pattern), how)(composed(text))
    )
    if match is None:
        return None

    borders = _borders(text)
    spans = {"": match.span(), **{name: match.span(name) for name in pattern.groupindex}}
    places = {name: (borders[start], borders[end]) for name, (start, end) in spans.items() if start >= 0}
    texts = {name: text[start:end] for name, (start, end) in places.items()}
    return Found(texts[""], {name: texts.get(name) for name in pattern.groupindex}, places)


@cache
def _with_marks(pattern: re.Pattern[str]) -> Any:
    """The same expression, with marks as letters."""
    import regex  # importing it takes 14 ms, and few commands need it

    flags = pattern.flags & (re.IGNORECASE | re.MULTILINE | re.DOTALL | re.VERBOSE)
    only_ascii = regex.ASCII if pattern.flags & re.ASCII else 0
    try:
        return regex.compile(composed(pattern.pattern), int(flags) | only_ascii)
    except regex.error:  # an expression that only Python's own module accepts
        return pattern


def _borders(text: str) -> Sequence[int]:
    """For each position in the composed text, the position in `text`; within an inseparable piece, the position of
    its start."""
    if text.isascii() or unicodedata.is_normalized("NFC", text):
        return range(len(text) + 1)
    borders, at = [0], 0
    for cluster in _clusters(text):
        whole = composed(cluster)
        if len(cluster) <= _LONGEST_CLUSTER:
            borders += [at + _place(cluster, whole[:count]) for count in range(1, len(whole))]
        else:  # a text of marks alone would take seconds
            borders += [at + len(cluster)] * (len(whole) - 1)
        at += len(cluster)
        borders.append(at)
    return borders


def _place(cluster: str, beginning: str) -> int:
    lengths = range(1, len(cluster))
    return next((n for n in lengths if composed(cluster[:n]) == beginning), len(cluster))


def _clusters(text: str) -> Iterator[str]:
    """Pieces that are composed each by itself."""
    cluster = ""
    for letter in text:
        if cluster and _begins_another(cluster, letter):
            yield cluster
            cluster = ""
        cluster += letter
    yield cluster


def _begins_another(cluster: str, letter: str) -> bool:
    # A letter of the class 0 may be composed with what is before it, too: Korean syllables, some vowels of India.
    return not unicodedata.combining(letter) and composed(cluster + letter) == composed(cluster) + composed(
        letter
    )
