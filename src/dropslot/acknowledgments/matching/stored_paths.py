"""From what was asked for to one delivery: `match` gives the values, the values give one stored path."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cached_property

from dropslot.acknowledgments.matching.requested import Asked
from dropslot.core import patterns
from dropslot.core.names import LIMIT_BYTES
from dropslot.core.templates import Piece, Template

WHOLE_PATH = "stored_as"
LAST_PART = "stored_name"
OWN_FIELDS = frozenset({WHOLE_PATH, LAST_PART})
_PLAIN = re.compile(r"[A-Za-z0-9_~.-]+")


class Match:
    """`/results/{folder}/{stored_name}`, or `/get?in={folder}&name={stored_name}`: path and query, both whole."""

    def __init__(self, text: str) -> None:
        path, _, query = text.partition("?")
        self._path = Template(path)
        self._query = sorted(
            (name, Template(value)) for name, _, value in (p.partition("=") for p in query.split("&")) if name
        )
        self._templates = [self._path, *(template for _, template in self._query)]
        self.fields = frozenset().union(*(template.fields for template in self._templates))

    def values(self, asked: Asked) -> dict[str, str] | None:
        """The values with which this match gives what was asked for; None when there are none."""
        if [name for name, _ in self._query] != [name for name, _ in asked.query]:
            return None
        texts = [asked.path, *(value for _, value in asked.query)]
        # No file system has a longer name, and where fields stand side by side each letter is a way to part them.
        if any(len(part) > LIMIT_BYTES for text in texts for part in text.split("/")):
            return None
        found = patterns.fullmatch(self._pattern, "\0".join(texts))
        if found is None:
            return None
        return {name: found.groups[group] or "" for name, group in self._groups.items()}

    def values_of_folder(self, asked: Asked) -> dict[str, str] | None:
        """The values with which this match gives files of the folder that was asked for, its path within the place as
        `stored_as` (empty: all of the place); None when it gives none."""
        if self._folders and (found := self._folders.values(asked)) is not None:
            return found | {WHOLE_PATH: ""}
        within = self.values(asked)
        return within if within and WHOLE_PATH in within else None

    @cached_property
    def _folders(self) -> Match | None:
        """What the addresses of whole places look like."""
        last = next(
            (f"/{{{field}}}" for field in OWN_FIELDS if self._path.text.endswith(f"/{{{field}}}")), ""
        )
        place = self._path.text.removesuffix(last)
        return Match(place) if last and place and not self._query else None

    @cached_property
    def needle(self) -> bytes:
        """The longest text that every address which matches has in it, unless it is percent-encoded."""
        pieces = (piece for template in self._templates for piece in template.pieces)
        runs = (run for piece in pieces for run in _PLAIN.findall(piece.literal))
        longest: str = max((*runs, ""), key=len)
        return longest.encode("ascii")

    @cached_property
    def _groups(self) -> dict[str, str]:
        names = (key(piece) for template in self._templates for piece in template.pieces if piece.field)
        return {name: f"f{number}" for number, name in enumerate(dict.fromkeys(names))}

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        seen: set[str] = set()
        return re.compile(
            "\0".join(self._expression(template, seen) for template in self._templates), re.DOTALL
        )

    def _expression(self, template: Template, seen: set[str]) -> str:
        parts = []
        for piece in template.pieces:
            parts.append(re.escape(piece.literal))
            if piece.field:
                group = self._groups[key(piece)]
                value = r"[^\0]+" if piece.field == WHOLE_PATH else r"[^/\0]+"
                parts.append(f"(?P={group})" if group in seen else f"(?P<{group}>{value})")
                seen.add(group)
        return "".join(parts)


def key(piece: Piece) -> str:
    """A field with its format: `{date:%Y}` and `{date:%m}` are two values."""
    return f"{piece.field}:{piece.spec}" if piece.spec else piece.field


def stored_as(values: Mapping[str, str]) -> str:
    """The path within its place that the values name. A bare name is a stored path that has no folder."""
    return values.get(WHOLE_PATH) or values[LAST_PART]


def place(to: Template, values: Mapping[str, str]) -> str:
    """The place that the values name: `to`, filled."""
    return "".join(piece.literal + (values[key(piece)] if piece.field else "") for piece in to.pieces)


def missing(match: Match, to: Template) -> list[str]:
    """Fields of `to` that `match` lacks: without them one address could mean several deliveries."""
    return sorted(to.fields - match.fields)


def contradicts(values: Mapping[str, str], known: Mapping[str, str], names: Iterable[str]) -> bool:
    """Whether the arrival's own fields say otherwise than the address."""
    return any(
        name in known and patterns.composed(known[name]) != patterns.composed(values[name])
        for name in names
        if name in values
    )
