"""Names that mean that an upload is in progress: one list for the inbox and for the contents of folders."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

from dropslot.core.file_names.litter import Litter
from dropslot.core.file_names.unfinished import is_unfinished
from dropslot.core.names import RECEIVING, UPLOADING
from dropslot.core.patterns import Glob

if TYPE_CHECKING:
    from dropslot.config import Route

# In an inbox these are enough, since nothing stays there. Inside a folder they may be data. `.tmp…` covers .tmp,
# .tmp123 and .tmpA; a trailing `~` also the scanners' .pd~.
_IN_THE_INBOX = re.compile(r"\..*|.*~|.*\.tmp[^.]*", re.IGNORECASE | re.DOTALL)


class Inside(NamedTuple):
    """Questions about one name inside of an arrival. Litter is never unfinished."""

    is_unfinished: Callable[[str], bool]
    is_litter: Callable[[str], bool]


class TemporaryNames:
    """The list, and the patterns of a route: those that begin with `!` remove names, the others add names. Patterns
    match in any letter case: Windows clients write `.TMP`. With `complete: settled` any quiet name in the inbox is
    complete: there only the route's own patterns are temporary.
    """

    def __init__(self, patterns: Iterable[str] = (), *, usual: bool = True) -> None:
        patterns = list(patterns)
        self._added = [Glob(one) for one in patterns if not one.startswith("!")]
        self._left_out = [Glob(one[1:]) for one in patterns if one.startswith("!")]
        self._usual = usual

    @classmethod
    def of(cls, route: Route) -> TemporaryNames:
        """Those of a route."""
        return cls(route.temporary, usual=route.complete != "settled")

    def match(self, name: str) -> bool:
        """Whether `name`, an entry of the inbox, is temporary. No pattern of a route makes complete what
        dropslot itself is receiving."""
        return name.startswith((UPLOADING, RECEIVING)) or self._decide(
            name, self._usual and (_IN_THE_INBOX.fullmatch(name) is not None or is_unfinished(name))
        )

    def match_inside(self, name: str) -> bool:
        """Whether `name`, a file or folder inside of an arrival, says that the arrival is unfinished."""
        return self._decide(name, is_unfinished(name))

    @property
    def asked_inside(self) -> Callable[[str], bool]:
        """`match_inside` as a fast function: it is called for 100,000 names."""
        return self.match_inside if self._added or self._left_out else is_unfinished

    def inside(self, litter: Litter) -> Inside:
        """The questions about names inside an arrival, where `litter` is ignored."""
        ask = self.asked_inside
        return Inside(lambda name: ask(name) and not litter.match(name), litter.match)

    def _decide(self, name: str, usual: bool) -> bool:
        if self._added and not usual:
            usual = any(pattern.match(name) for pattern in self._added)
        return usual and not any(pattern.match(name) for pattern in self._left_out)
