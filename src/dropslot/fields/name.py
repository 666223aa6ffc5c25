"""Fields from the arrival's name."""

from __future__ import annotations

import re
from collections.abc import Mapping

from dropslot.core import patterns
from dropslot.fields.base import Field

# File systems allow no longer names.
_LONGEST_NAME_BYTES = 255


class NamePattern(Field):
    """The named groups of a regular expression that must match the whole name.

    It is matched against the name as people read it (`core.patterns`); values keep the characters that the sender
    wrote. A group that did not take part in the match gives no value, so a path that needs it is refused. With nested
    repeats, such as `(a+)+`, the time of a match can double with each character: write them possessive, `(?:a+)++`.
    """

    def __init__(self, option: str | re.Pattern[str]) -> None:
        super().__init__(option)
        self._pattern = re.compile(option)

    def values(
        self,
        arrival_name: str,
        known: Mapping[str, str] | None = None,  # noqa: ARG002
    ) -> Mapping[str, str] | None:
        """The groups that matched, by name; None if the whole name does not match."""
        if len(arrival_name.encode("utf-8", "surrogateescape")) > _LONGEST_NAME_BYTES:
            return None
        found = patterns.fullmatch(self._pattern, arrival_name)
        if found is None:
            return None
        return {name: value for name, value in found.groups.items() if value is not None}
