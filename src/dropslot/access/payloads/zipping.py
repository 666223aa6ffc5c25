"""Many deliveries as one zip, made while it is sent: nothing is compressed, so its size is known before."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from zipstream import ZipStream

from dropslot.access.payloads.fetched import Fetch
from dropslot.access.payloads.open_payload import NotHere, opened
from dropslot.access.payloads.payload_responses import SANDBOX, as_attachment, hashed, note_opened
from dropslot.access.payloads.portable_names import Names, top_folders
from dropslot.arrivals.models import Delivery
from dropslot.audit.kinds import Kind
from dropslot.core.names import escape

SUMS, LEFT_OUT = "SHA256SUMS", "NOT-INCLUDED.txt"
_AT_ONCE = 500


class NothingHere(Exception):
    """None of the deliveries can be given out by this machine."""


class _Plan:
    """What the zip will hold. For each file it keeps little more than its name: there may be 100,000."""

    def __init__(self) -> None:
        self.ids: list[int] = []
        self.paths: list[str] = []
        self._digests = bytearray()  # 32 bytes each
        self.sums_bytes = 0
        self.size_bytes = 0
        self.left_out: list[str] = []
        self._loaded: dict[int, Delivery] = {}

    def add(self, delivery: Delivery, path: str) -> None:
        self.ids.append(delivery.pk)
        self.paths.append(path)
        self._digests += bytes.fromhex(delivery.sha256)
        self.sums_bytes += len(_sum_line(delivery.sha256, path))
        self.size_bytes += delivery.size_bytes

    def delivery(self, number: int) -> Delivery:
        """The delivery of the file with this number; a few at a time are read from the database."""
        pk = self.ids[number]
        if pk not in self._loaded:
            self._loaded = _lean(Delivery.objects.all()).in_bulk(self.ids[number : number + _AT_ONCE])
        return self._loaded[pk]

    def sums(self) -> Iterator[bytes]:
        """The lines of SHA256SUMS."""
        for number, path in enumerate(self.paths):
            yield _sum_line(self._digests[32 * number : 32 * number + 32].hex(), path)


class Zipped(NamedTuple):
    """A zip that is to be sent."""

    stream: ZipStream
    size_bytes: int
    plan: _Plan


def answer(request: HttpRequest, deliveries: QuerySet[Delivery], name: str) -> HttpResponseBase:
    """The deliveries as a zip named `name`, with their SHA256SUMS; what this machine does not have is listed in it.
    Noted in the trail, once for each arrival; acknowledged for each file once the last byte is handed over. If a file
    is not as it was delivered, the answer breaks off, and what came is no valid zip. Raises NothingHere, OSError."""
    is_head = request.method == "HEAD"
    zipped = _zipped(request, _lean(deliveries).order_by("pk"), note=not is_head)
    response: HttpResponseBase = HttpResponse()
    if not is_head:
        response = StreamingHttpResponse(_sent(zipped, Fetch.of(request)))
    response["Content-Type"] = "application/zip"
    response["Content-Length"] = str(zipped.size_bytes)
    response["Content-Disposition"] = as_attachment(name)
    response["Content-Security-Policy"] = SANDBOX
    response["X-Content-Type-Options"] = "nosniff"
    return response


def _sent(zipped: Zipped, fetch: Fetch) -> Iterator[bytes]:
    yield from zipped.stream
    fetch.sent(zipped.plan.ids, zipped.plan.size_bytes)


def _zipped(request: HttpRequest, rows: QuerySet[Delivery], *, note: bool) -> Zipped:
    plan, stream = _Plan(), ZipStream(sized=True)
    tops = top_folders(rows.order_by().values_list("place_id", "place__url").distinct())
    names = Names((SUMS, LEFT_OUT))
    found = (row for row in rows.iterator(2000) if _is_there(plan, names, row))
    for _, several in groupby(found, key=lambda row: row.arrival_id):
        first, files = None, 0
        for row in several:
            first, files = first or row, files + 1
            number, path = len(plan.ids), names.free(f"{tops[row.place_id]}{row.stored_as}")
            plan.add(row, path)
            stream.add(_file(plan, number), path, size=row.size_bytes)
        if note and first:
            note_opened(request, Kind.DOWNLOADED, first, files=files)
    if not plan.ids:
        raise NothingHere
    _add_lists(stream, plan)
    return Zipped(stream, len(stream), plan)


def _is_there(plan: _Plan, names: Names, delivery: Delivery) -> bool:
    """An `unchanged` delivery is the same file once more."""
    if not names.is_new(delivery.place_id, delivery.stored_as):
        return False
    try:
        opened(delivery, "never").close()
    except NotHere as error:
        plan.left_out.append(f"{escape(delivery.stored_as)}: {error}\n")
        return False
    return True


def _add_lists(stream: ZipStream, plan: _Plan) -> None:
    stream.add(plan.sums(), SUMS, size=plan.sums_bytes)
    if plan.left_out:
        stream.add("".join(plan.left_out).encode("utf-8", "replace"), LEFT_OUT)


def _file(plan: _Plan, number: int) -> Iterator[bytes]:
    yield from hashed(opened(plan.delivery(number), "never"))


def _lean(rows: QuerySet[Delivery]) -> QuerySet[Delivery]:
    """Without the arrivals, which are rarely needed: reading them took half of the time."""
    return rows.select_related("place").only(
        "arrival_id",
        "item",
        "mtime_ns",
        "place__url",
        "sha256",
        "size_bytes",
        "source_item",
        "source_sha256",
        "stored_as",
        "version",
    )


def _sum_line(sha256: str, path: str) -> bytes:
    return f"{sha256}  {path}\n".encode()
