"""MIME types by content, because a name proves nothing. Another process examines the first 64 KiB, because a library
written in C reads strangers' bytes: see `parsing.content_types`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from ctypes.util import find_library
from fnmatch import fnmatchcase
from importlib.util import find_spec
from typing import Any, BinaryIO

from dropslot.checks.base import Check, StagedArrival, StagedItem, not_judged
from dropslot.core.errors import Refused
from dropslot.core.names import escape
from dropslot.parsing import process
from dropslot.parsing.content_types import LOOKED_AT_BYTES, canonical
from dropslot.parsing.given import descriptor_of
from dropslot.parsing.program import MOST_DESCRIPTORS

SECONDS = 10.0
AT_ONCE = 16 * MOST_DESCRIPTORS
_TYPE = re.compile(r"[a-z0-9*][a-z0-9!#$&^_.+*?-]*/[a-z0-9*][a-z0-9!#$&^_.+*?-]*")


class MimeTypes(Check):
    """Each item's content must have one of the types; `image/*` is every image. An empty item has none of them."""

    def __init__(self, option: Sequence[str]) -> None:
        super().__init__(option)
        if isinstance(option, str) or not option:
            raise ValueError("expected a list of MIME types, such as ['application/pdf', 'image/*']")
        self._wanted = [_pattern(text) for text in option]
        if find_spec("magic") is None or not (find_spec("pylibmagic") or find_library("magic")):
            raise ValueError(
                "it needs the packages python-magic and pylibmagic: pip install 'dropslot[server]'"
            )

    def check(self, arrival: StagedArrival) -> Iterable[str]:
        """A reason for each item whose content has none of the types."""
        items = arrival.items
        for first in range(0, len(items), AT_ONCE):
            yield from self._faults(items[first : first + AT_ONCE])

    def check_item(self, item: StagedItem) -> Iterable[str]:
        """A reason, if the content has none of the types."""
        return self._faults([item])

    def _faults(self, items: Sequence[StagedItem]) -> Iterable[str]:
        try:
            found = _types(items)
        except Refused as refusal:
            if len(items) > 1:  # which of them?
                for item in items:
                    yield from self._faults([item])
            else:
                yield from refusal.reasons
            return
        for item, types in zip(items, found, strict=True):
            item.is_of_type(types[0])
            if not any(fnmatchcase(one, wanted) for one in types for wanted in self._wanted):
                yield f"{escape(item.path)}: its content is {types[0]}, not one of {', '.join(self.option)}"


def _types(items: Sequence[StagedItem]) -> list[Sequence[str]]:
    unknown = [item for item in items if not item.types]
    found = iter(types_of_staged([item.open for item in unknown], unknown[0].path) if unknown else ())
    return [item.types or next(found) for item in items]


def types_of_staged(opened: Sequence[Callable[[], BinaryIO]], name: str) -> list[list[str]]:
    """The types of each file, at least one, the most specific one first. Raises CheckFailed, naming `name`, and
    Refused if the content crashes libmagic (of several files: if one does)."""
    if len(opened) == 1:
        with opened[0]() as staged, ExitStack() as stack:
            return [types_of(descriptor_of(staged, stack, LOOKED_AT_BYTES), name)]
    return _judged(lambda parser: parser.ask_each(_batches(opened), None, SECONDS), len(opened), name)


def types_of(descriptor: int, name: str) -> list[str]:
    """As `types_of_staged`, of the descriptor of one regular file."""
    return _judged(lambda parser: [parser.ask([descriptor], None, SECONDS)], 1, name)[0]


def _batches(opened: Sequence[Callable[[], BinaryIO]]) -> Iterator[list[int]]:
    for first in range(0, len(opened), MOST_DESCRIPTORS):
        with ExitStack() as stack:
            files = [stack.enter_context(each()) for each in opened[first : first + MOST_DESCRIPTORS]]
            yield [descriptor_of(file, stack, LOOKED_AT_BYTES) for file in files]


def _judged(ask: Callable[[process.Parser], list[Any]], count: int, name: str) -> list[list[str]]:
    try:
        return _proved(ask(process.parser(process.CONTENT_TYPES)), count)
    except process.BreaksParser as error:
        why = f"it crashes the program that examines it: it {error}".rstrip()
        raise Refused([f"{escape(name)}: its type cannot be determined: {why}"]) from error
    except process.NotParsed as error:
        raise not_judged(name, f"the program that determines types {error}") from error


def _proved(answers: list[Any], count: int) -> list[list[str]]:
    """Checks the answer of a process that a file may control."""
    found = [types for answer in answers if isinstance(answer, list) for types in answer]
    if len(found) != count or not all(map(_are_types, found)):
        raise process.BreaksParser("(its answer makes no sense)")
    return found


def _are_types(found: Any) -> bool:
    return (
        isinstance(found, list)
        and bool(found)
        and all(isinstance(t, str) and _TYPE.fullmatch(t) for t in found)
    )


def _pattern(text: object) -> str:
    if not isinstance(text, str) or not _TYPE.fullmatch(text.strip().lower()):
        raise ValueError(f"expected a MIME type such as application/pdf or image/*, not {text!r}")
    return canonical(text)
