"""The portal of an installation: alone or in the service, with accounts, tokens and sessions."""

from __future__ import annotations

import http.client
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

from benchmarks.slot import Slot

_PATIENCE_SECONDS = 120
_PASSWORD = "correct horse battery"


def with_portal(disk: Path, route: dict[str, Any]) -> tuple[Slot, int]:
    """An installation with a portal, and the portal's port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    return Slot(disk, route, portal={"listen": f"127.0.0.1:{port}"}), port


@contextmanager
def alone(slot: Slot, port: int) -> Iterator[int]:
    """The process id of `dropslot portal`, from when it answers."""
    with (slot.root / "portal.log").open("wb") as log:
        process = subprocess.Popen(slot.command("portal"), stdout=log, stderr=log, env=slot.environment)
    try:
        await_page(port)
        yield process.pid
    finally:
        process.terminate()
        process.wait(60)


def portal_below(service: int) -> int:
    """The process id of the portal that a service runs."""
    children = Path(f"/proc/{service}/task/{service}/children").read_text().split()
    [found] = [pid for pid in children if b"\0portal\0" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    return int(found)


def await_page(port: int) -> None:
    """Return once the portal answers."""
    end = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            with urlopen(f"http://127.0.0.1:{port}/account/login/", timeout=10):
                return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def account(slot: Slot, name: str, role: str) -> None:
    """Make an account that can sign in."""
    password = slot.root / "password"
    password.write_text(_PASSWORD)
    slot.run("adduser", name, "--role", role, "--password-file", str(password))


def token(slot: Slot, name: str) -> str:
    """A token of the account for uploads."""
    return slot.run("addtoken", name, "--scope", "upload", "--days", "1").strip()


def session(port: int, name: str) -> str:
    """The cookies of a signed-in account, as a header has them."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    client.request("GET", "/account/login/")
    answer = client.getresponse()
    page, cookie = answer.read().decode(), _cookies(answer)
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    if found is None:
        raise RuntimeError("the page of the sign-in has no form")
    form = urlencode({"csrfmiddlewaretoken": found[1], "login": name, "password": _PASSWORD})
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": cookie}
    client.request("POST", "/account/login/", form, headers)
    answer = client.getresponse()
    answer.read()
    if answer.status != 302:
        raise RuntimeError(f"the sign-in was answered with {answer.status}")
    return _cookies(answer)


def _cookies(answer: http.client.HTTPResponse) -> str:
    given = answer.headers.get_all("Set-Cookie") or []
    return "; ".join(each.partition(";")[0] for each in given)
