"""Which names items may have."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dropslot.checks.base import Check, StagedItem
from dropslot.core.names import escape, invisible
from dropslot.core.patterns import Glob


class Patterns(Check):
    """Each item's own name (the last part of its path) must match one of the glob patterns.

    `*` is any text, `?` one character, `[abc]` and `[!abc]` one of a set. Letter case and the Unicode form (NFC or
    NFD) make no difference: senders on Windows write `REPORT.PDF`, those on macOS decompose `é`.
    """

    def __init__(self, option: Sequence[str]) -> None:
        super().__init__(option)
        if (
            isinstance(option, str)
            or not option
            or not all(isinstance(each, str) and each for each in option)
        ):
            raise ValueError("expected a list of patterns, such as ['*.pdf']")
        if any("/" in pattern for pattern in option):
            raise ValueError("a pattern is for an item's own name, without folders: it cannot contain /")
        self._patterns = [Glob(pattern) for pattern in option]

    def check_item(self, item: StagedItem) -> Iterable[str]:
        """A reason, if the name matches none of the patterns."""
        if not any(pattern.match(item.name) for pattern in self._patterns):
            whose = f"{escape(item.path)}: its name{invisible(item.name)}"
            yield f"{whose} matches none of the patterns {', '.join(self.option)}"
