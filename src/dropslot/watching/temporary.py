"""Which names say that an upload is still going on."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import translate

# `.tmp…` covers .tmp, .tmp123 and .tmpA; `.part` also ownCloud's NAME.ocTransferId123.part; a trailing `~`
# also the scanners' .pd~. Hidden names are those of rsync, of Nextcloud, and of everyone who hides what is
# not done.
_BY_DEFAULT = re.compile(r"\..*|.*~|.*\.(tmp[^.]*|part|filepart|crdownload)", re.IGNORECASE | re.DOTALL)


class TemporaryNames:
    """The default list, and glob patterns added; both in any case: Windows clients write `.TMP`."""

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        self._added = [glob(pattern) for pattern in patterns]

    def match(self, name: str) -> bool:
        """Whether `name` (one path part) is temporary."""
        return bool(_BY_DEFAULT.fullmatch(name)) or any(pattern.match(name) for pattern in self._added)


def glob(pattern: str) -> re.Pattern[str]:
    """A shell pattern as a compiled expression of the whole name, in any case."""
    return re.compile(translate(pattern), re.IGNORECASE)
