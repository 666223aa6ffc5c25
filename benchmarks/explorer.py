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
from typing import Any

from benchmarks import dicom_images, serving
from benchmarks.dicom_import import orthanc, send_all
from benchmarks.report import Row, ratio
from benchmarks.slot import Slot

_STUDIES = 5_000
_EACH = 40  # requests of a page in one trial
_ASKED = 101  # the explorer asks for so many studies, to show 100
_MANY, _ONE = "antom^1", "tom^10777"  # parts of the names of all patients, and of one
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
# How many studies, or series of the one study, ours and theirs must show.
_SHOWN = {
    _FIRST: (50, _ASKED),
    _LAST: (50, _ASKED),
    _FREQUENT: (50, _ASKED),
    _RARE: (1, 1),
    _STUDY_PAGE: (1, 1),
}
Ask = Callable[[int], int]  # makes the request of this number, and counts what is shown
Pages = dict[str, Ask]
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


def _times(ours: Pages, theirs: Pages, trials: int) -> dict[str, Times]:
    """Seconds of the requests of each page; a trial has all pages."""
    found: dict[str, Times] = {page: [] for page in _SHOWN}
    for trial in range(trials):
        for page, times in found.items():
            times += _in_turns(ours[page], theirs[page], _SHOWN[page], trial * _EACH)
    return found


def _in_turns(ours: Ask, theirs: Ask, shown: tuple[int, int], first: int) -> Times:
    """Ours, theirs, ours, …; the first of each warms up."""
    ours(first), theirs(first)
    found = []
    for number in range(first, first + _EACH):
        begun = time.perf_counter()
        mine = ours(number)
        between = time.perf_counter()
        other = theirs(number)
        found.append((between - begun, time.perf_counter() - between))
        if (mine, other) != shown:
            raise RuntimeError(f"{mine} and {other} were shown, not {shown}")
    return found


def _rows(page: str, times: Times) -> list[Row]:
    ours, theirs = zip(*times, strict=True)
    return [
        ratio(f"{page}, {what} of {len(ours)} requests", of(ours), _PEER, of(theirs), None)
        for what, of in (("median", median), ("95th percentile", _p95))
    ]


def _p95(times: Sequence[float]) -> float:
    return quantiles(times, n=20)[-1]


def _portal(port: int) -> Pages:
    """The pages of the portal, as an operator."""
    get = _asker(port, {"Cookie": serving.session(port, "olga")})

    def page(query: str) -> str:
        return get(f"/studies/?{query}").decode()

    def shown(query: str) -> Ask:
        return lambda _: len(set(_STUDY.findall(page(query))))

    cursor, studies = "", _STUDY.findall(text := page(""))
    while following := _OLDER.search(text):
        cursor = f"cursor={following[1]}"
        studies += _STUDY.findall(text := page(cursor))
    return {
        _FIRST: shown(""),
        _LAST: shown(cursor),
        _FREQUENT: shown(f"search={_MANY.replace('^', '%5E')}"),
        _RARE: shown(f"search={_ONE.replace('^', '%5E')}"),
        _STUDY_PAGE: lambda number: len(
            set(_SERIES.findall(get(f"/studies/{studies[number * 7 % len(studies)]}/").decode()))
        ),
    }


def _explorer(port: int) -> Pages:
    """The calls of explorer.js for `find-studies`, `lookup` and `study`; its API can also tell the last studies."""
    get = _asker(port, {})
    studies = json.loads(get("/studies"))

    def listed(since: int) -> Ask:
        def ask(_: int) -> int:
            get("/system")
            return len(json.loads(get(f"/studies?expand&since={since}&limit={_ASKED}&full")))

        return ask

    def found(name: str) -> Ask:
        query = {"StudyDate": "", "PatientName": f"*{name}*"}
        asked = {"Level": "Study", "Expand": True, "Limit": _ASKED, "Query": query, "Full": True}
        return lambda _: len(json.loads(get("/tools/find", json.dumps(asked))))

    def study(number: int) -> int:
        one = f"/studies/{studies[number * 7 % len(studies)]}"
        get("/system")
        get(f"/patients/{json.loads(get(f'{one}?full'))['ParentPatient']}?full")
        series = json.loads(get(f"{one}/series?full"))
        get(f"{one}/attachments?full")
        return len(series)

    return {
        _FIRST: listed(0),
        _LAST: listed(len(studies) - _ASKED),
        _FREQUENT: found(_MANY),
        _RARE: found(_ONE),
        _STUDY_PAGE: study,
    }


def _asker(port: int, headers: dict[str, str]) -> Callable[..., bytes]:
    """Asks for an address, by POST if there is a body."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def ask(address: str, body: str | None = None) -> bytes:
        client.request("GET" if body is None else "POST", address, body, headers)
        answer = client.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{address} was answered with {answer.status}")
        return content

    return ask
