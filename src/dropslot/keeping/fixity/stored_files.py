"""The stored files, and what is found of all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from django.db.models import QuerySet

from dropslot.arrivals.models import Delivery
from dropslot.config import current
from dropslot.core.errors import DropslotError
from dropslot.core.states import Outcome, State
from dropslot.destinations import for_url
from dropslot.keeping.fixity import elsewhere_stored
from dropslot.keeping.fixity.digest_reader import Reader
from dropslot.keeping.fixity.fixity_report import FixityReport, Seen, StoredFile

PAGE_FILES = 2000
PAGE_BYTES = 1 << 30
Note = Callable[[Sequence[Seen]], object]


def stored() -> QuerySet[Delivery]:
    """What is looked for: each stored file once."""
    return Delivery.objects.filter(outcome=Outcome.DELIVERED, arrival__state=State.DONE)


def page_after(
    after: int, most_bytes: int = PAGE_BYTES, *, last: int | None = None, most_files: int = PAGE_FILES
) -> list[StoredFile]:
    """The next stored files in the order of their ids, up to this one and to so many bytes; at least one if there is
    any."""
    rows = stored().filter(id__gt=after).order_by("id")
    if last is not None:
        rows = rows.filter(id__lte=last)
    fields = ("id", "arrival_id", "place__url", "stored_as", "sha256", "size_bytes")
    found: list[StoredFile] = []
    size = 0
    for row in rows.values_list(*fields)[:most_files]:
        found.append(StoredFile(*row))
        size += found[-1].size_bytes
        if size >= most_bytes:
            break
    return found


def check_all(report: FixityReport | None = None, note: Note = len) -> FixityReport:
    """Read every file that a finished arrival delivered, once each; what cannot be read back is counted apart. `report`
    is filled while it goes on; `note` gets what was found, a page at a time."""
    report = report or FixityReport()

    def counted(size_bytes: int) -> None:
        report.size_bytes += size_bytes

    readable = Readable()
    with Reader(counted=counted) as reader:
        for page in _pages():
            files = [one for one in page if readable(one.url)]
            report.acknowledged += len(page) - len(files)
            found = elsewhere_stored.of_this_one(current(), list(reader.look(files)))
            for seen in found:
                report.add(seen)
            note(found)
    return report


class Readable:
    """Whether the files of a destination can be read back at all."""

    def __init__(self) -> None:
        self._known: dict[str, bool] = {}

    def __call__(self, url: str) -> bool:
        if url not in self._known:
            self._known[url] = self._can_be_read(url)
        return self._known[url]

    @staticmethod
    def _can_be_read(url: str) -> bool:
        try:
            return for_url(url).can_be_read
        except DropslotError:
            return True  # reading it says what is wrong


def _pages() -> Iterator[list[StoredFile]]:
    """By pages: SQLite could not empty its write-ahead log during a read of several hours."""
    after = 0
    while page := page_after(after):
        yield page
        after = page[-1].id
