"""What the portal adds to the service at rest, and its first page in a browser of the same machine."""

from __future__ import annotations

import os
import shutil
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Response, sync_playwright

from benchmarks.memory import Peak
from benchmarks.report import Row
from benchmarks.serving import await_page, portal_below, with_portal
from benchmarks.slot import RESULTS

_AT_REST_LIMIT_MB = 90
_BYTES_LIMIT_KB = 200
_INTERACTIVE_LIMIT_SECONDS = 0.5


def measure(scratch: Path, trials: int) -> list[Row]:
    """Three rows: the portal at rest, and of its first page the bytes and the time."""
    with _served(scratch / "portal") as (url, pid), _browser() as browser:
        loads = [_load(browser, url) for _ in range(trials)]
        rest = Peak()
        rest.look(pid)
    size, seconds = loads[0][0] / 1000, statistics.median(taken for _, taken in loads)
    return [
        Row("portal at rest, in the service", rest.text, "", "", rest.pss, _AT_REST_LIMIT_MB, "MB"),
        Row("first page, transferred", f"{size:.0f} kB", "", "", size, _BYTES_LIMIT_KB, "kB"),
        Row("first page, can be used", f"{seconds:.2f} s", "", "", seconds, _INTERACTIVE_LIMIT_SECONDS, "s"),
    ]


def _load(browser: Browser, url: str) -> tuple[int, float]:
    """Bytes and seconds until its scripts have run, with nothing in the browser's cache."""
    context = browser.new_context()
    page = context.new_page()
    sizes: list[int] = []

    def count(answer: Response) -> None:
        found = answer.request.sizes()
        sizes.append(found["responseBodySize"] + found["responseHeadersSize"])

    page.on("response", count)
    page.goto(url, wait_until="networkidle")
    taken = page.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd") / 1000
    context.close()
    return sum(sizes), taken


@contextmanager
def _browser() -> Iterator[Browser]:
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=sandbox)
        yield browser
        browser.close()


@contextmanager
def _served(folder: Path) -> Iterator[tuple[str, int]]:
    """Address and process id of a portal that answers, in a service."""
    slot, port = with_portal(folder, RESULTS)
    slot.prepare()
    with slot.running() as service:
        await_page(port)
        yield f"http://127.0.0.1:{port}/account/login/", portal_below(service.pid)
