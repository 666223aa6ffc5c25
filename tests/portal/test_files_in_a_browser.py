"""A recipient's way to a file, and its proof, in a real browser; downloads from the real server."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

import pdfs
import tusing
from browsing import Faults, SignedIn, bounds, findings_in_each_look
from portals import PASSWORD, Served
from waiting import wait_until

REPORT = pdfs.pdf(["Viral load", "Specimen 066-12345678-1"], "second page")


def _deliver(served: Served, name: str, content: bytes) -> Path:
    (served.product.root / "results" / "inbox" / name).write_bytes(content)
    served.product.run("drain", "--now")
    return served.product.root / "clinics" / name.split("-")[0] / name


def _pictures(page: Page, name: str) -> None:
    """For people: DROPSLOT_PICTURES names a folder for them."""
    if folder := os.environ.get("DROPSLOT_PICTURES"):
        for colours in ("light", "dark"):
            page.emulate_media(color_scheme=colours)
            for width in (1280, 390):
                page.set_viewport_size({"width": width, "height": 900})
                page.screenshot(path=f"{folder}/{name}-{colours}-{width}.png", full_page=True)


def test_a_recipient_opens_and_downloads_a_result(
    signed_in: SignedIn, served: Served, tmp_path: Path, faults: Faults
) -> None:
    _deliver(served, "north-1.pdf", REPORT)
    _deliver(served, "north-note.txt", b"A note.\n<script>alert(1)</script>\n")
    page = signed_in("recipient", name="rita")
    page.goto("/deliveries/")
    assert findings_in_each_look(page) == []
    _pictures(page, "files")
    page.get_by_role("link", name="north-1.pdf", exact=True).click()
    page.get_by_alt_text("Page 1 of 2").wait_for()
    assert findings_in_each_look(page) == []
    _pictures(page, "file")
    page.get_by_role("link", name="Next page").click()
    page.get_by_alt_text("Page 2 of 2").wait_for()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download,").click()
    assert Path(download.value.path()).read_bytes() == REPORT
    assert download.value.suggested_filename == "north-1.pdf"
    page.goto("/deliveries/")
    page.get_by_text("by rita").wait_for()  # acknowledged
    page.get_by_role("link", name="north-note.txt", exact=True).click()
    page.get_by_text("<script>alert(1)</script>").wait_for()
    assert findings_in_each_look(page) == []
    page.goto("/deliveries/")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download all").click()
    with zipfile.ZipFile(download.value.path()) as found:
        assert found.testzip() is None and len(found.namelist()) == 3
    page.get_by_label("Search").or_(page.locator("#search")).first.fill("note")
    page.keyboard.press("Enter")
    page.wait_for_url("**search=note**")
    assert page.get_by_role("link", name="north-1.pdf", exact=True).count() == 0


def test_a_proof_prints_on_one_sheet(
    signed_in: SignedIn, served: Served, tmp_path: Path, faults: Faults
) -> None:
    """Also with the longest name, and as many versions and fetches as are shown."""
    name = f"north-{'long name ' * 20}.pdf"
    for version in range(7):
        _deliver(served, name, f"version {version}".encode())
    page = signed_in("recipient", name="rita")
    for _ in range(2):
        page.request.get("/deliveries/7/file")
    page.goto("/deliveries/7/proof")
    assert findings_in_each_look(page) == []
    _pictures(page, "proof")
    page.emulate_media(media="print", color_scheme="light")
    printed = page.pdf(prefer_css_page_size=True, print_background=False)
    assert _pages(printed, tmp_path) == 1
    with page.expect_download() as download:
        page.emulate_media(media="screen")
        page.get_by_role("link", name="Download the bundle").click()
    with zipfile.ZipFile(download.value.path()) as bundle:
        assert "check_bundle.py" in bundle.namelist()


def _pages(content: bytes, folder: Path) -> int:
    import pypdfium2

    (folder / "printed.pdf").write_bytes(content)
    if pictures := os.environ.get("DROPSLOT_PICTURES"):
        (Path(pictures) / "printed.pdf").write_bytes(content)
    document = pypdfium2.PdfDocument(folder / "printed.pdf")
    try:
        return len(document)
    finally:
        document.close()


@pytest.fixture
def cookies(served: Served) -> str:
    """Of a recipient who has signed in, without a browser."""
    served.account("rita", "recipient", *bounds("recipient"))
    return tusing.signed_in(served.start().url, "rita", PASSWORD)["Cookie"]


def _get(served: Served, cookies: str, path: str, **headers: str) -> tuple[http.client.HTTPConnection, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)
    connection.request("GET", path, headers={"Cookie": cookies} | headers)
    return connection, connection.getresponse()


def _acknowledged(served: Served) -> list[dict[str, Any]]:
    lines = served.product.run("acknowledgments", "--json").stdout.splitlines()
    return [json.loads(line) for line in lines]


def test_a_large_file_comes_whole_and_is_acknowledged_at_its_end(served: Served, cookies: str) -> None:
    content = os.urandom(1 << 20) * 96
    _deliver(served, "north-large.pdf", content)
    connection, response = _get(served, cookies, "/deliveries/1/file")
    response.read(1 << 20)
    connection.close()  # the client goes away
    assert _acknowledged(served) == []
    connection, response = _get(served, cookies, "/deliveries/1/file")
    assert hashlib.sha256(response.read()).digest() == hashlib.sha256(content).digest()
    connection.close()
    wait_until(lambda: len(_acknowledged(served)) == 1, deadline_seconds=60, what="the acknowledgment")
    (row,) = _acknowledged(served)
    assert (row["user"], row["evidence"], row["log"]) == ("rita", "whole", "portal")
    connection, response = _get(served, cookies, "/deliveries/1/file", Range="bytes=5-9")
    assert (response.status, response.read()) == (206, content[5:10])
    connection.close()


def test_altered_bytes_do_not_arrive_whole(served: Served, cookies: str) -> None:
    """Nothing but its bytes shows that the file was altered: the answer breaks off before its end."""
    content = os.urandom(1 << 20) * 96
    stored = _deliver(served, "north-large.pdf", content)
    (served.product.root / "results" / "done" / "north-large.pdf").unlink()
    seen = stored.stat()
    stored.chmod(0o600)
    with stored.open("r+b") as file:
        file.seek(1000)
        file.write(b"altered")
    os.utime(stored, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    connection, response = _get(served, cookies, "/deliveries/1/file")
    assert response.status == 200
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        response.read()
    connection.close()
    assert _acknowledged(served) == []
    found = served.product.run("events", "--json").stdout
    wait_until(
        lambda: '"kind": "altered"' in found or "altered" in served.product.run("events", "--json").stdout,
        deadline_seconds=60,
        what="the event",
    )
