"""What 50 people who look at the operators' first page cost: the portal's processor time, and the rate of deliveries
beside it.

Each browser is a program that asks as the page does: for the page, then every four seconds for its changing part.
"""

from __future__ import annotations

import http.client
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import inotify_simple

from benchmarks import serving
from benchmarks.disks import fresh_disk
from benchmarks.rate import ARRIVALS, files, seconds_for_all, warm_up
from benchmarks.report import Row
from benchmarks.slot import RESULTS

_BROWSERS = 50
_SECONDS = 4.0  # between two looks of one page
_LOOK_SECONDS = 30
_CORES_LIMIT, _LOSS_LIMIT_PERCENT = 0.5, 5
_LIVE = re.compile(r'hx-get="(/home/operator/[^"]*)"')


def measure(scratch: Path, trials: int) -> list[Row]:
    """Two rows: cores, and the loss of rate in percent."""
    cores, alone, beside = [], [], []
    for _ in range(trials):
        alone.append(_rate(scratch, 0)[0])
        rate, used = _rate(scratch, _BROWSERS)
        beside.append(rate)
        cores.append(used)
    loss = 100 * (1 - median(beside) / median(alone))
    used, what = median(cores), f"{_BROWSERS} browsers on the operators' first page"
    return [
        Row(f"{what}, the portal's processor", f"{used:.2f} cores", "", "", used, _CORES_LIMIT, "cores"),
        Row(
            f"one-file arrivals beside {_BROWSERS} browsers",
            f"{median(beside):.0f}/s",
            "without browsers",
            f"{median(alone):.0f}/s",
            loss,
            _LOSS_LIMIT_PERCENT,
            "% fewer",
        ),
    ]


def _rate(scratch: Path, browsers: int) -> tuple[float, float]:
    """Arrivals a second, and the cores that the portal uses while nothing arrives."""
    with fresh_disk(scratch, payload_bytes=ARRIVALS * 4096, files=ARRIVALS * 4) as disk:
        slot, port = serving.with_portal(disk, RESULTS | {"grace": 0})
        slot.prepare()
        serving.account(slot, "olga", "operator")
        outgoing = files(disk / "outgoing", ARRIVALS)
        with slot.running() as service, inotify_simple.INotify() as inotify:
            inotify.add_watch(slot.done, inotify_simple.flags.MOVED_TO)
            serving.await_page(port)
            warm_up(slot, inotify)
            with _looked_at(port, browsers):
                used = _cores(serving.portal_below(service.pid)) if browsers else 0.0
                return ARRIVALS / seconds_for_all(slot, outgoing, inotify), used


@contextmanager
def _looked_at(port: int, browsers: int) -> Iterator[None]:
    """While so many look at the page."""
    cookie = serving.session(port, "olga") if browsers else ""
    ended = threading.Event()
    threads = [
        threading.Thread(target=_look, args=(port, cookie, number * _SECONDS / browsers, ended))
        for number in range(browsers)
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def _look(port: int, cookie: str, first: float, ended: threading.Event) -> None:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    address = ""
    ended.wait(first)
    while not ended.wait(_SECONDS if address else 0):
        headers = {"Cookie": cookie} | ({"HX-Request": "true"} if address else {})
        client.request("GET", address or "/", headers=headers)
        answer = client.getresponse()
        text = answer.read().decode()
        if answer.status not in (200, 204):
            raise RuntimeError(f"the page was answered with {answer.status}")
        if answer.status == 200:
            found = _LIVE.search(text)
            if found is None:
                raise RuntimeError("the page does not ask for news")
            address = found[1].replace("&amp;", "&")


def _cores(pid: int) -> float:
    before = _processor_seconds(pid)
    time.sleep(_LOOK_SECONDS)
    return (_processor_seconds(pid) - before) / _LOOK_SECONDS


def _processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
