"""What the portal adds to the service at rest, and its first page in a browser of the same machine."""

from __future__ import annotations

import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

from playwright.sync_api import Browser, Response, sync_playwright

from benchmarks.memory import Peak
from benchmarks.report import Row

_AT_REST_LIMIT_MB = 90
_BYTES_LIMIT_KB = 200
_INTERACTIVE_LIMIT_SECONDS = 0.5
_PATIENCE_SECONDS = 120
_CONFIG = """
data: ./var
portal: {{listen: 127.0.0.1:{port}}}
routes: {{study: {{folders: ./study, deliver: [{{to: ./studies}}]}}}}
"""


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
    """Address and process id of a portal that answers."""
    for name in ("studies", "study/inbox", "study/processing", "study/done", "study/failed"):
        (folder / name).mkdir(parents=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "config.yaml").write_text(_CONFIG.format(port=port))
    command = [sys.executable, "-m", "dropslot", "run", "-c", str(folder / "config.yaml")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        _await(f"http://127.0.0.1:{port}/account/login/")
        yield f"http://127.0.0.1:{port}/account/login/", _portal_below(process.pid)
    finally:
        process.terminate()
        process.wait()


def _portal_below(service: int) -> int:
    children = Path(f"/proc/{service}/task/{service}/children").read_text().split()
    [found] = [pid for pid in children if b"\0portal\0" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    return int(found)


def _await(url: str) -> None:
    end = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            with urlopen(url, timeout=10):
                return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
