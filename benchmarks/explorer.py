"""Pages of the portal beside those of Orthanc's own explorer, with the same studies of one small image each.

Both are asked over loopback, by one connection each that is kept, in turns. A page of the portal is one request. A page
of the explorer is the calls that its explorer.js makes, one after the other as it does.
"""

from __future__ import annotations

import http.client
import json
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median, quantiles
from typing import Any, NamedTuple
from urllib.parse import urlencode

from benchmarks import dicom_images, serving
from benchmarks.dicom_import import orthanc, send_all
from benchmarks.report import Row, ratio
from benchmarks.slot import Slot

_STUDIES = 5_000
_EACH = 40  # requests of a page in one trial
_ASKED = 101  # the explorer asks for so many studies, to show 100
_PEER = "Orthanc's explorer"
_ROUTE: dict[str, Any] = {
    "takes": "directories",
    "import": "dicom",
    "grace": 0,
    "deliver": [{"to": "./studies/{PatientID}/{StudyInstanceUID}/{SeriesInstanceUID}"}],
}
_STUDY, _SERIES = re.compile(r'href="/studies/(\d+)/"'), re.compile(r'href="/series/(\d+)/"')
_OLDER = re.compile(r'rel="next" href="\?cursor=(\w+)"')
_FIRST, _LAST = "studies, first page", "studies, last page"
_FREQUENT, _RARE = "search by part of a name that all have", "search by part of one patient's name"
_STUDY_PAGE = "one study"
_SEARCHES = {_FREQUENT: "antom^1", _RARE: "tom^10777"}
# How many studies, or series of the one study, ours and theirs must show.
_SHOWN = {
    _FIRST: (50, _ASKED),
    _LAST: (50, _ASKED),
    _FREQUENT: (50, _ASKED),
    _RARE: (1, 1),
    _STUDY_PAGE: (1, 1),
}
Ask = Callable[[int], int]  # makes the request of this number, and counts what is shown
Times = list[tuple[float, float]]  # ours and theirs


def measure(scratch: Path, trials: int) -> list[Row]:
    """Two rows for each page: the median, and the 95th percentile."""
    folder = scratch / "explorer"
    slot, port = serving.with_portal(folder, _ROUTE)
    slot.prepare()
    serving.account(slot, "olga", "operator")
    with orthanc(folder / "orthanc") as orthanc_port:
        _fill(slot, orthanc_port, folder / "outgoing")
        with serving.alone(slot, port):
            times = _times(_portal(port), _explorer(orthanc_port), trials)
    return [row for page in _SHOWN for row in _rows(page, times[page])]


def _fill(slot: Slot, orthanc_port: int, outgoing: Path) -> None:
    """Orthanc gets the studies first; then the same folders are dropped, and imported as all are."""
    for number in range(_STUDIES):
        dicom_images.write_tiny_study(outgoing / f"study{number:04}", number)
    begun = time.perf_counter()
    send_all(orthanc_port, sorted(outgoing.rglob("*.dcm")))
    sent = time.perf_counter()
    for study in sorted(outgoing.iterdir()):
        study.rename(slot.inbox / study.name)
    slot.drain()
    print(f"  filled in {time.perf_counter() - sent:.0f} s, Orthanc in {sent - begun:.0f} s", flush=True)
    done = sum(arrival["state"] == "done" for arrival in slot.arrivals())
    if done != _STUDIES:
        raise RuntimeError(f"{done} of {_STUDIES} studies were imported")


class _Server:
    """A connection that is kept, and how many seconds were waited for answers."""

    def __init__(self, port: int, headers: dict[str, str]) -> None:
        self.seconds = 0.0
        self._client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._headers = headers

    def get(self, address: str, body: str | None = None) -> str:
        """The whole answer; asks by POST if there is a body."""
        begun = time.perf_counter()
        self._client.request("GET" if body is None else "POST", address, body, self._headers)
        answer = self._client.getresponse()
        content = answer.read()
        self.seconds += time.perf_counter() - begun
        if answer.status != 200:
            raise RuntimeError(f"{address} was answered with {answer.status}")
        return content.decode()


class _Side(NamedTuple):
    server: _Server
    pages: dict[str, Ask]

    def timed(self, page: str, number: int, shown: int) -> float:
        """Seconds of one page's requests, which must show so much."""
        before = self.server.seconds
        found = self.pages[page](number)
        if found != shown:
            raise RuntimeError(f"{page}: {found} were shown, not {shown}")
        return self.server.seconds - before


def _times(ours: _Side, theirs: _Side, trials: int) -> dict[str, Times]:
    """Seconds of each page, ours and theirs in turns; a trial has all pages. The first request of each warms up."""
    found: dict[str, Times] = {page: [] for page in _SHOWN}
    for trial in range(trials):
        for page, (mine, other) in _SHOWN.items():
            pairs = [
                (ours.timed(page, number, mine), theirs.timed(page, number, other))
                for number in range(trial * _EACH, (trial + 1) * _EACH + 1)
            ]
            found[page] += pairs[1:]
    return found


def _rows(page: str, times: Times) -> list[Row]:
    ours, theirs = zip(*times, strict=True)
    return [
        ratio(f"{page}, {what} of {len(ours)} requests", of(ours), _PEER, of(theirs), None)
        for what, of in (("median", median), ("95th percentile", _p95))
    ]


def _p95(times: Sequence[float]) -> float:
    return quantiles(times, n=20)[-1]


def _portal(port: int) -> _Side:
    """The pages of the portal, as an operator."""
    server = _Server(port, {"Cookie": serving.session(port, "olga")})
    query, studies = "", _STUDY.findall(text := server.get("/studies/"))
    while following := _OLDER.search(text):
        query = f"cursor={following[1]}"
        studies += _STUDY.findall(text := server.get(f"/studies/?{query}"))

    def listed(query: str) -> Ask:
        return lambda _: len(set(_STUDY.findall(server.get(f"/studies/?{query}"))))

    def study(number: int) -> int:
        return len(set(_SERIES.findall(server.get(f"/studies/{studies[number * 7 % len(studies)]}/"))))

    pages = {_FIRST: listed(""), _LAST: listed(query), _STUDY_PAGE: study}
    pages |= {page: listed(urlencode({"search": name})) for page, name in _SEARCHES.items()}
    return _Side(server, pages)


def _explorer(port: int) -> _Side:
    """The calls of explorer.js for `find-studies`, `lookup` and `study`; its API can also tell the last studies."""
    server = _Server(port, {})
    studies = json.loads(server.get("/studies"))

    def listed(since: int) -> Ask:
        def ask(_: int) -> int:
            server.get("/system")
            return len(json.loads(server.get(f"/studies?expand&since={since}&limit={_ASKED}&full")))

        return ask

    def found(name: str) -> Ask:
        query = {"StudyDate": "", "PatientName": f"*{name}*"}
        asked = {"Level": "Study", "Expand": True, "Limit": _ASKED, "Query": query, "Full": True}
        return lambda _: len(json.loads(server.get("/tools/find", json.dumps(asked))))

    def study(number: int) -> int:
        one = f"/studies/{studies[number * 7 % len(studies)]}"
        server.get("/system")
        server.get(f"/patients/{json.loads(server.get(f'{one}?full'))['ParentPatient']}?full")
        series = json.loads(server.get(f"{one}/series?full"))
        server.get(f"{one}/attachments?full")
        return len(series)

    pages = {_FIRST: listed(0), _LAST: listed(len(studies) - _ASKED), _STUDY_PAGE: study}
    pages |= {page: found(name) for page, name in _SEARCHES.items()}
    return _Side(server, pages)
