"""PDFs must contain the text that their name gives: a result that is filed under another specimen is refused."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from importlib.util import find_spec
from typing import Any

from dropslot.checks import whole_tokens
from dropslot.checks.base import Check, StagedItem, not_judged
from dropslot.core import patterns
from dropslot.core.names import escape, invisible
from dropslot.parsing import process
from dropslot.parsing.given import descriptor_of

DEFAULT_SECONDS = 10.0
_LONGEST_SECONDS = 600
_MEMORY = f"{process.MEMORY_BYTES >> 20:,} MiB of memory"
_BREAKS = "its text cannot be extracted: it crashes the program that reads PDFs, which {}; it is damaged or needs over "
_BREAKS += _MEMORY
_ERRORS = {
    "empty": "it is empty, so there is no text in it",
    "cut": "it is cut off or damaged: it does not end as a PDF does (%%EOF)",
    "format": "its text cannot be extracted: it is not a PDF, or is damaged",
    "password": "its text cannot be extracted: it is encrypted and needs a password",
    "memory": f"its text cannot be extracted with {_MEMORY}",
}


class PdfContains(Check):
    """The text of each PDF must contain what the pattern finds in the item's name.

    The option is the pattern, or `{pattern: …, seconds: 10}`. It is searched for in the name. The texts of its named
    groups, or the whole match if it has none, must be in the text of the pages. Blanks, line breaks and the kind of
    dash in the text make no difference; letter case does. A number or word must stand alone: `12` is not in `123`,
    and a name is refused if the pattern matches only a part of a number or word. A PDF whose text cannot be extracted
    is refused: encrypted, damaged, scanned without text, or one that needs more than `seconds` of computing.
    """

    def __init__(self, option: str | Mapping[str, Any]) -> None:
        super().__init__(option)
        given: dict[str, Any] = {"pattern": option} if isinstance(option, str) else dict(option)
        pattern, seconds = given.pop("pattern", None), given.pop("seconds", DEFAULT_SECONDS)
        if not isinstance(pattern, str) or not pattern or given:
            raise ValueError(
                r"expected a regular expression such as '^(?P<specimen>066-\d{8}-\d)(?!\d)', or {pattern: …}"
            )
        if type(seconds) not in (int, float) or not 0 < seconds <= _LONGEST_SECONDS:
            raise ValueError(f"expected seconds between 0 and {_LONGEST_SECONDS}, not {seconds!r}")
        self._seconds = float(seconds)
        self._pattern = re.compile(pattern)
        if find_spec("pypdfium2") is None:
            raise ValueError("it needs the package pypdfium2: pip install 'dropslot[server]'")

    def open_end(self) -> whole_tokens.Cut | None:
        """For `doctor`: an example of a name in which the pattern matches only a part, because it has no end or no
        beginning."""
        return whole_tokens.open_end(self._pattern)

    def check_item(self, item: StagedItem) -> Iterable[str]:
        """A reason, unless the PDF contains what its name says."""
        if reason := self._reason(item):
            yield f"{escape(item.path)}: {reason}"

    def _reason(self, item: StagedItem) -> str | None:
        wanted = self._wanted(item.name)
        if not wanted:
            told = f"nothing in it matches {self._pattern.pattern}"
            return f"its name{invisible(item.name)} does not say what it must contain: {told}"
        if cut := whole_tokens.cut(self._pattern, item.name):
            part = f"'{escape(cut.taken)}' from it, which is a part of '{escape(cut.whole)}'"
            told = f"{self._pattern.pattern} takes {part}"
            return f"its name does not say what it must contain: {told}"
        if item.size_bytes > process.MEMORY_BYTES:
            return _ERRORS["memory"]
        with item.open() as staged, ExitStack() as until:
            return self._fault_of_content(item, descriptor_of(staged, until), wanted)

    def _wanted(self, name: str) -> list[str]:
        """The texts from the name that have at least one letter or digit; empty if there are none."""
        found = patterns.search(self._pattern, name)
        if found is None:
            return []
        groups = found.groups.values() if self._pattern.groupindex else [found.whole]
        return [text for text in groups if text and any(letter.isalnum() for letter in text)]

    def _fault_of_content(self, item: StagedItem, descriptor: int, wanted: list[str]) -> str | None:
        try:
            return _judged(process.parser(process.PDF).ask([descriptor], wanted, self._seconds))
        except process.TakesTooLong:
            return f"its text cannot be extracted within {self._seconds:g} s of computing"
        except process.BreaksParser as error:
            return _BREAKS.format(error)
        except process.NotParsed as error:
            raise not_judged(item.path, f"the program that reads PDFs {error}") from error


def _judged(answer: Any) -> str | None:
    try:
        if "error" in answer:
            return _ERRORS[answer["error"]]
        return _fault(answer) if answer["missing"] else None
    except (TypeError, KeyError, ValueError, AttributeError):  # a file may control the process that answers
        return _BREAKS.format("(its answer makes no sense)")


def _fault(answer: Mapping[str, Any]) -> str:
    pages, missing = answer["pages"], " and ".join(f"'{escape(text)}'" for text in answer["missing"])
    where = "its only page" if pages == 1 else f"any of its {pages:,} pages"
    if answer["without_text"] == pages:
        return f"there is no text on {where} (a scanned image?), so {missing} cannot be looked for"
    notes = []
    if answer["without_text"]:
        notes.append(f"{answer['without_text']:,} have no text")
    if answer["unread"]:
        first = ", ".join(map(str, answer["unread"]))
        notes.append(f"{answer['unread_pages']:,} cannot be read, first {first}")
    told = f" (of its pages {'; '.join(notes)})" if notes else ""
    return f"there is no {missing} in the text of {where}{told}"
