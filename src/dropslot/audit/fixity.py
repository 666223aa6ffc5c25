"""Fixity: whether every stored file still has the bytes that were delivered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256

from dropslot.audit.report import Fault, Report
from dropslot.core.errors import DestinationUnready, DropslotError

# A server that does not answer is not asked again for each of 100,000 files.
_ASKED = 3
_NOT_ASKED = (
    "it was not read, because its destination did not answer for the files before it: it is not verified"
)


@dataclass(slots=True)
class FixityReport(Report):
    """`checked` counts files that were looked for, `size_bytes` what was read of them; `acknowledged` the deliveries to
    destinations that cannot be read back, of which nobody can say more."""

    size_bytes: int = 0
    acknowledged: int = 0


def check(
    rows: Iterable[tuple[str, str, str]],
    read: Callable[[str, str], Iterator[bytes]],
    told: Callable[[Fault], None] | None = None,
    report: FixityReport | None = None,
) -> FixityReport:
    """Read every (url, stored_as, sha256) through `read(url, stored_as)` and compare, a chunk at a time.

    `read` raises FileNotFoundError for a file that is gone. A file that cannot be read is a fault too: it is not
    proved to be OK. `told` gets each fault at once. Errors in `rows` itself pass through. `report` is filled while it
    goes on, for who watches it from another thread.
    """
    report = report or FixityReport(told=told)
    away: Counter[str] = Counter()  # destination -> number of consecutive files for which it did not answer
    for url, stored_as, expected in rows:
        report.checked += 1
        what = _NOT_ASKED if away[url] >= _ASKED else _fault(report, away, read, url, stored_as, expected)
        if what:
            report.fault(f"{url.rstrip('/')}/{stored_as}", what)
    return report


def _fault(
    report: FixityReport,
    away: Counter[str],
    read: Callable[[str, str], Iterator[bytes]],
    url: str,
    stored_as: str,
    expected: str,
) -> str:
    hasher = sha256()
    try:
        for chunk in read(url, stored_as):
            hasher.update(chunk)
            report.size_bytes += len(chunk)
    except FileNotFoundError:
        return "it is gone"
    except DestinationUnready as error:
        away[url] += 1
        return f"it could not be read, so it is not verified: {error.what}"
    except (OSError, DropslotError) as error:
        return f"it could not be read, so it is not verified: {error}"
    away[url] = 0
    found = hasher.hexdigest()
    return "" if found == expected else f"it was changed: delivered with SHA-256 {expected}, now {found}"
