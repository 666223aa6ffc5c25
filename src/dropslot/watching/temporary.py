"""Which names say that an upload is still going on."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from dropslot.core.patterns import Glob

if TYPE_CHECKING:
    from dropslot.config import Route

# `.tmp…` covers .tmp, .tmp123 and .tmpA; `.part` also ownCloud's NAME.ocTransferId123.part; a trailing `~`
# also the scanners' .pd~. Hidden names are those of rsync, of Nextcloud, and of everyone who hides what is
# not done.
_BY_DEFAULT = re.compile(r"\..*|.*~|.*\.(tmp[^.]*|part|filepart|crdownload)", re.IGNORECASE | re.DOTALL)


class TemporaryNames:
    """The default list, and glob patterns added; both in any case: Windows clients write `.TMP`.

    With `complete: settled` any name will do once it is quiet: then only the route's own patterns are temporary.
    """

    def __init__(self, patterns: Iterable[str] = (), *, usual: bool = True) -> None:
        self._added = [Glob(pattern) for pattern in patterns]
        self._usual = usual

    @classmethod
    def of(cls, route: Route) -> TemporaryNames:
        """Those of a route."""
        return cls(route.temporary, usual=route.complete != "settled")

    def match(self, name: str) -> bool:
        """Whether `name` (one path part) is temporary."""
        usual = self._usual and _BY_DEFAULT.fullmatch(name) is not None
        return usual or any(pattern.match(name) for pattern in self._added)
