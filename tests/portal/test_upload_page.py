"""The upload page in a real browser, over a portal, watcher and workers that really run."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, StorageState, expect

from chromium import PATIENCE_MS, opened
from lanes import examples
from portals import PASSWORD, Served, lasting
from waiting import wait_until


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Served]:
    """One for all: each test sends names of its own."""
    with lasting(tmp_path_factory.mktemp("uploads"), sqlite_template) as served:
        served.account("sam", "sender")
        yield served.start("run")


@pytest.fixture(scope="module")
def cookies(chromium: Browser, running: Served) -> StorageState:
    """Of sam, who has signed in."""
    with opened(chromium) as tab:
        tab.sign_in(running.url, "sam", PASSWORD)
        tab.page.wait_for_url(f"{running.url}/")
        return tab.page.context.storage_state()


@pytest.fixture
def sign_in(chromium: Browser, running: Served, cookies: StorageState) -> Iterator[Callable[[], Page]]:
    """A window of sam's, with the upload page."""
    contexts = []

    def new_window() -> Page:
        context = chromium.new_context(storage_state=cookies)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.goto(f"{running.url}/upload/")
        return page

    yield new_window
    for context in contexts:
        context.close()


def _choose_route(page: Page, route: str) -> None:
    page.get_by_label("Send to").select_option(label=route)


def _state_is(page: Page, text: str) -> None:
    expect(page.locator("#upload-state")).to_have_text(text)


def _done(served: Served, name: str) -> dict[str, Any] | None:
    found = [row for row in served.product.arrivals() if row["name"] == name and row["state"] == "done"]
    return found[0] if found else None


def _drop(page: Page, files: dict[str, bytes]) -> None:
    """Drop single files, as from a file manager."""
    given = [[name, list(data)] for name, data in files.items()]
    page.evaluate(
        """(files) => {
            const transfer = new DataTransfer();
            for (const [name, bytes] of files) transfer.items.add(new File([new Uint8Array(bytes)], name));
            const zone = document.getElementById("drop-zone");
            zone.dispatchEvent(new DragEvent("drop", {dataTransfer: transfer, bubbles: true, cancelable: true}));
        }""",
        given,
    )


def test_dropped_files_are_delivered(running: Served, sign_in: Callable[[], Page]) -> None:
    before = {row["name"] for row in running.product.arrivals()}
    page = sign_in()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    _choose_route(page, "results")
    _drop(page, {"north-1.pdf": b"one", "south-2.pdf": b"two"})
    _state_is(page, "All uploaded")
    wait_until(lambda: _done(running, "south-2.pdf"), deadline_seconds=60)
    wait_until(lambda: _done(running, "north-1.pdf"), deadline_seconds=60)
    assert (running.product.root / "clinics" / "north" / "north-1.pdf").read_bytes() == b"one"
    done = _done(running, "north-1.pdf")
    assert done is not None
    assert done["sender"] == "sam"
    names = {row["name"] for row in running.product.arrivals()}
    assert names - before == {"north-1.pdf", "south-2.pdf"}  # nothing of the portal's own was taken for one
    assert faults == []


def test_what_would_be_refused_is_said_before_the_rest_is_sent(
    running: Served, sign_in: Callable[[], Page]
) -> None:
    page = sign_in()
    _choose_route(page, "results")
    _drop(page, {"north.pdf": b"one", "<img src=x onerror=alert(1)>-1.pdf": b"x", "south-3.pdf": b"two"})
    review = page.locator("#upload-review")
    expect(review).to_contain_text("2 entries would be refused")
    expect(review).to_contain_text("does not match")
    assert page.locator("#upload-review img").count() == 0
    assert not any(running.product.folder("inbox", "results").iterdir())
    review.get_by_role("button", name="Send the other file").click()
    _state_is(page, "All uploaded")
    wait_until(lambda: _done(running, "south-3.pdf"), deadline_seconds=60)


def test_a_folder_where_files_are_taken_has_one_reason(
    running: Served, sign_in: Callable[[], Page], tmp_path: Path
) -> None:
    page = sign_in()
    _choose_route(page, "results")
    folder = tmp_path / "heart-9"
    folder.mkdir()
    for number in range(5):
        (folder / f"{number}.jpg").write_bytes(b"x")
    page.locator("#upload-folder").set_input_files(folder)
    review = page.locator("#upload-review")
    expect(review.locator("li li")).to_have_text(["results takes single files, not folders"])
    expect(review).to_contain_text("What to do: Choose the files in it")
    assert page.get_by_label("Send under the name").count() == 0
    _choose_route(page, "study")
    _drop(page, {"north-1.pdf": b"x"})
    expect(review.locator("li li")).to_have_text(["study takes folders, not single files"])
    assert page.get_by_label("Send under the name").count() == 0


def test_a_refused_name_is_corrected_on_the_page(running: Served, sign_in: Callable[[], Page]) -> None:
    page = sign_in()
    _choose_route(page, "results")
    _drop(page, {"north.pdf": b"one"})
    page.get_by_label("Send under the name").fill("north-7.pdf")
    page.get_by_role("button", name="Check again").click()
    _state_is(page, "All uploaded")
    wait_until(lambda: _done(running, "north-7.pdf"), deadline_seconds=60)


def test_a_name_sent_before_warns_with_its_date(running: Served, sign_in: Callable[[], Page]) -> None:
    page = sign_in()
    _choose_route(page, "results")
    _drop(page, {"north-4.pdf": b"one"})
    _state_is(page, "All uploaded")
    wait_until(lambda: _done(running, "north-4.pdf"), deadline_seconds=60)
    _drop(page, {"north-4.pdf": b"other"})
    review = page.locator("#upload-review")
    expect(review).to_contain_text("was sent before")
    assert review.locator("time").get_attribute("datetime")
    review.get_by_role("button", name="Send 1 file").click()
    wait_until(lambda: _versions(running) == 2, deadline_seconds=60, what="the second version")


def _versions(served: Served) -> int:
    return len(list((served.product.root / "clinics" / "north").glob("north-4*.pdf")))


def _folder(root: Path, files: int) -> Path:
    for number in range(files):
        path = root / f"series {number % 20}" / f"image {number}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"%d" % number)
    return root


@pytest.mark.deep
def test_a_folder_of_many_files_keeps_its_structure(
    running: Served, sign_in: Callable[[], Page], tmp_path: Path
) -> None:
    files = examples(150, 10_000)
    page = sign_in()
    _choose_route(page, "study")
    page.locator("#upload-folder").set_input_files(_folder(tmp_path / "heart-9", files))
    # 10,000 in the crash lane, and much else beside them: 20 a second were seen.
    expect(page.locator("#upload-state")).to_have_text("All uploaded", timeout=1_800_000)
    wait_until(lambda: _done(running, "heart-9"), deadline_seconds=900)
    delivered = running.product.root / "studies" / "heart" / "9"
    assert sum(1 for path in delivered.rglob("*.dcm")) == files
    assert (delivered / "series 3" / "image 143.dcm").read_bytes() == b"143"


def _drag(page: Page, path: Path) -> None:
    """Drag something of the disk from a file manager into the drop zone."""
    box = page.locator("#upload-area").bounding_box()
    assert box is not None
    place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
    session = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, "data": data, **place})


def test_a_dragged_folder_keeps_its_structure_and_its_empty_folders(
    running: Served, sign_in: Callable[[], Page], tmp_path: Path
) -> None:
    folder = _folder(tmp_path / "heart-5", 110)  # a reader gives 100 at a time
    (folder / "nothing" / "here").mkdir(parents=True)
    (folder / ".DS_Store").write_bytes(b"of a file manager")
    page = sign_in()
    _choose_route(page, "study")
    _drag(page, folder)
    _state_is(page, "All uploaded")
    wait_until(lambda: _done(running, "heart-5"), deadline_seconds=60)
    delivered = running.product.root / "studies" / "heart" / "5"
    assert sum(1 for path in delivered.rglob("*.dcm")) == 110
    assert (delivered / "series 4" / "image 104.dcm").read_bytes() == b"104"
    assert (delivered / "nothing" / "here").is_dir()


@pytest.mark.crash
def test_an_upload_goes_on_after_the_portal_was_killed_and_the_page_closed(
    running: Served, sign_in: Callable[[], Page], tmp_path: Path
) -> None:
    large = tmp_path / "north-large.pdf"
    block = os.urandom(1_000_000)
    with large.open("wb") as stream:
        for _ in range(300):
            stream.write(block)
    page = sign_in()
    _choose_route(page, "results")
    slow = page.context.new_cdp_session(page)
    slow.send("Network.enable")
    slow.send(
        "Network.emulateNetworkConditions",
        {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 30_000_000},
    )
    page.locator("#upload-files").set_input_files(large)
    inbox = running.product.folder("inbox", "results")
    wait_until(lambda: _received(inbox) > 70_000_000, deadline_seconds=60, what="a third of the file")
    _kill(running)
    expect(page.locator("#upload-note")).to_contain_text("tried again")
    kept = page.context.storage_state()
    page.context.close()
    before = _received(inbox)
    assert before > 64_000_000
    running.start("run")
    again = page.context.browser
    assert again is not None
    context = again.new_context(storage_state=kept)
    page = context.new_page()
    sent: list[int] = []
    page.on("request", lambda request: sent.append(int(request.headers.get("upload-offset", "-1"))))
    page.goto(f"{running.url}/upload/")
    _choose_route(page, "results")
    page.locator("#upload-files").set_input_files(large)
    _state_is(page, "All uploaded")
    wait_until(lambda: _done(running, "north-large.pdf"), deadline_seconds=60)
    assert (running.product.root / "clinics" / "north" / "north-large.pdf").read_bytes() == large.read_bytes()
    assert min(offset for offset in sent if offset >= 0) > 64_000_000
    context.close()


def _received(inbox: Path) -> int:
    return sum(path.stat().st_size for path in inbox.glob(".dropslot-upload-*/data/*"))


def _kill(served: Served) -> None:
    """All of its processes at once, as by a power failure."""
    assert served.process is not None
    os.killpg(served.process.pid, signal.SIGKILL)
    served.process.wait()


def test_a_paused_upload_is_resumed_and_a_cancelled_one_leaves_nothing(
    running: Served, sign_in: Callable[[], Page], tmp_path: Path
) -> None:
    large = tmp_path / "north-large.pdf"
    with large.open("wb") as stream:
        stream.truncate(400_000_000)
    page = sign_in()
    page.on("dialog", lambda dialog: dialog.accept())
    _choose_route(page, "results")
    slow = page.context.new_cdp_session(page)
    limits = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 20_000_000}
    slow.send("Network.enable")
    slow.send("Network.emulateNetworkConditions", limits)
    inbox = running.product.folder("inbox", "results")
    page.locator("#upload-files").set_input_files(large)
    wait_until(lambda: _received(inbox) > 1_000_000, deadline_seconds=60)
    page.get_by_role("button", name="Pause").click()
    _state_is(page, "Paused")
    page.get_by_role("button", name="Resume").click()
    _state_is(page, "Sending")
    page.get_by_role("button", name="Cancel").click()
    _state_is(page, "Cancelled. Nothing more is sent.")
    shown = page.locator("#drop-zone")
    expect(shown.locator("tbody tr")).to_have_text(re.compile("north-large.pdf.*Cancelled$"))
    assert shown.locator(".table-danger").count() == 0
    for absent in ("Try again", " of ", "was not uploaded"):
        assert absent not in page.locator("#upload-progress").inner_text()
    wait_until(lambda: not list(inbox.glob(".dropslot-upload-*")), deadline_seconds=60)
    assert page.evaluate("Object.keys(localStorage).length") == 0
