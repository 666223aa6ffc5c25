"""The whole header of a DICOM file as a table. Another process reads it, without rights: see `table_parser`."""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
from typing import Any, NamedTuple

from dropslot.core.names import escape
from dropslot.dicom_files.confined_reader import CannotLook, asked, memory

PARSER = "dropslot.dicom_files.table_parser"
SECONDS = 10.0
_MOST_BYTES = 1 << 20
_MEMORY_BYTES = 1 << 30
_FIELDS = ("depth", "tag", "name", "vr", "value")


class Element(NamedTuple):
    """One element; one of a sequence's item has a `depth` above 0. `value` is shortened and has no control
    characters; `name` is its keyword, or what is known of a private one."""

    depth: int
    tag: str
    name: str
    vr: str
    value: str


class Table(NamedTuple):
    """`is_cut`: there are more."""

    elements: tuple[Element, ...]
    is_cut: bool


def table_of(file: int) -> Table:
    """The elements of the file behind this descriptor, which is open for reading only. Raises CannotLook."""
    with ExitStack() as stack:
        written = memory(stack, "elements", _MOST_BYTES)
        said = asked(PARSER, [file, written], {"most_bytes": _MOST_BYTES}, SECONDS, _MEMORY_BYTES)
        if "error" in said:
            raise CannotLook(f"Its header cannot be read ({escape(str(said['error']))[:100]})")
        size = said.get("bytes")
        if type(size) is not int or not 0 < size <= _MOST_BYTES:
            raise CannotLook("Its header cannot be read")
        return Table(tuple(_elements(os.pread(written, size, 0))), bool(said.get("cut")))


def _elements(content: bytes) -> list[Element]:
    """Checks what a process has written that a file may control."""
    try:
        return [_element(row) for row in json.loads(content)]
    except (ValueError, TypeError, RecursionError) as error:
        raise CannotLook("Its header cannot be read") from error


def _element(row: Any) -> Element:
    depth, *texts = row
    if type(depth) is not int or not 0 <= depth <= 100 or len(texts) != len(_FIELDS) - 1:
        raise ValueError(row)
    if not all(isinstance(text, str) for text in texts) or "\0" in "".join(texts):
        raise ValueError(row)
    "".join(texts).encode("utf-8")  # a lone surrogate is an error here, not on a page
    return Element(depth, *texts)
