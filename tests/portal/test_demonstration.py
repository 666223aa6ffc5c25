"""What `make run` starts, and the pictures of the documentation, which are taken of it: `make pictures` puts them into
docs/images."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests
from playwright.sync_api import Browser, Page, StorageState, ViewportSize, expect

from browsing import NARROW, WIDE, enter
from documents import REPOSITORY
from people import program
from waiting import wait_until

pytestmark = pytest.mark.xdist_group("demonstration")  # two at once would choose the same port
_ACCOUNTS = ("technician", "clinic12", "operator", "auditor", "heart", "administrator")
_IMAGES = "The archive has 8 images; the patient's name, Sample^CT, is in 0 of them."
IMAGES = REPOSITORY / "docs" / "images"
# Where a demonstration lies, and on which ports, is different each time.
_REPLACE = """([folder, host]) => {
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const node = walk.currentNode;
    node.data = node.data.replaceAll(folder, "/srv/dropslot")
      .replace(/\\/tmp\\/\\S*/g, "/srv/dropslot/…")
      .replace(/\\w+@127\\.0\\.0\\.1:\\d+/g, "edc@edc.example.org").replaceAll(host, "drop.lab.example");
  }
}"""


class Picture(NamedTuple):
    """Whose page it is, its address, what must be seen on it, and how large and in which colours."""

    account: str
    address: str
    shows: str
    size: tuple[int, int] = (WIDE[0], 800)
    scheme: Any = "light"
    opens: tuple[str, ...] = ()  # links that are followed first, one after the other


PICTURES = {
    "portal-sender": Picture("technician", "/", "Refused: please look"),
    "portal-sender-narrow": Picture("technician", "/", "Refused: please look", NARROW, "dark"),
    "portal-recipient": Picture("clinic12", "/", "as a zip"),
    "portal-operator": Picture("operator", "/", "Retry"),
    "portal-study-runner": Picture("heart", "/", "up to"),
    "portal-report": Picture("operator", "/reports/", "By study and clinic", (WIDE[0], 1000)),
    "portal-auditor": Picture("auditor", "/", "Newest events"),
    "portal-proof": Picture(
        "auditor", "/find/?q=066", "What was proved", (WIDE[0], 1000), opens=("Proof of",)
    ),
    "portal-series": Picture("operator", "/series/?modality=CT", "all are there", opens=("…",)),
    "portal-image": Picture("operator", "/series/?modality=CT", "Soft tissue", opens=("…", "…")),
    "portal-users": Picture("administrator", "/users/", "recipient"),
}


class Demonstration(NamedTuple):
    """One that runs."""

    folder: Path
    url: str
    password: str


def demonstration(folder: Path, log: Path) -> subprocess.Popen[str]:
    command = [sys.executable, str(REPOSITORY / "scripts" / "demo"), str(folder)]
    environment = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "NO_COLOR": "1", **program().environment}
    with log.open("w") as stream:
        return subprocess.Popen(
            command, env=environment, cwd=folder.parent, stdout=stream, stderr=stream, text=True
        )


def address_and_password(log: Path) -> tuple[str, str]:
    """What a demonstration prints once it is there."""
    found = wait_until(
        lambda: re.search(r"The portal: (\S+) +password of each account: (\S+)", log.read_text()),
        deadline_seconds=120,
        what="the link",
    )
    assert found
    return found[1], found[2]


def wait_for_images(log: Path) -> None:
    """Until the study that a demonstration sends has reached its archive."""
    wait_until(lambda: _IMAGES in log.read_text(), deadline_seconds=120, what="the images in the archive")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demonstration]:
    """One for the tests of this module, whose study has reached its archive."""
    folder = tmp_path_factory.mktemp("demonstration") / "demo"
    log = folder.with_name("log")
    process = demonstration(folder, log)
    try:
        found = Demonstration(folder, *address_and_password(log))
        wait_for_images(log)
        yield found
    finally:
        process.terminate()
        process.wait(60)
    assert "✓✓ eprime/" in log.read_text()  # what the PC sent came back with its receipt
    assert "nothing is lost" in log.read_text()


@pytest.fixture(scope="module")
def cookies() -> dict[str, StorageState]:
    """Of each account that has signed in."""
    return {}


@pytest.fixture
def window(
    chromium: Browser, demo: Demonstration, cookies: dict[str, StorageState]
) -> Iterator[Callable[[Picture], Page]]:
    contexts = []

    def opened(picture: Picture) -> Page:
        viewport: ViewportSize = {"width": picture.size[0], "height": picture.size[1]}
        context = chromium.new_context(
            base_url=demo.url,
            viewport=viewport,
            color_scheme=picture.scheme,
            locale="en-GB",
            timezone_id="UTC",
            storage_state=cookies.get(picture.account),
        )
        contexts.append(context)
        page = context.new_page()
        if picture.account not in cookies:
            enter(page, picture.account, demo.password)
            cookies[picture.account] = context.storage_state()
        page.goto(picture.address)
        return page

    yield opened
    for context in contexts:
        context.close()


@pytest.mark.parametrize("listen", ["0.0.0.0:8070", "192.0.2.1:8070", "'[::]:8070'", "lab.example:8070"])
def test_it_refuses_a_portal_that_other_machines_can_reach(listen: str, tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    folder.mkdir()
    (folder / "config.yaml").write_text(f"data: ./var\nportal: {{listen: {listen}}}\nroutes: {{}}\n")
    demo = demonstration(folder, tmp_path / "log")
    assert demo.wait(60) == 1
    assert "Nothing was started" in (tmp_path / "log").read_text()
    assert not (folder / "password").exists()


@pytest.mark.crash
def test_each_account_signs_in_and_a_study_is_sent_on_without_its_name(demo: Demonstration) -> None:
    assert demo.url.startswith("http://127.0.0.1:")
    assert [name for name in _ACCOUNTS if not signs_in(demo.url, name, demo.password)] == []


def signs_in(url: str, name: str, password: str) -> bool:
    session = requests.Session()
    session.trust_env = False
    form = session.get(f"{url}/account/login/", timeout=30).text
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form)
    assert token, form
    data = {"csrfmiddlewaretoken": token[1], "login": name, "password": password}
    answer = session.post(f"{url}/account/login/", data=data, timeout=30, allow_redirects=False)
    return answer.status_code == 302


@pytest.mark.crash
@pytest.mark.parametrize("name", PICTURES)
def test_each_picture_can_be_taken_and_is_in_the_documentation(
    window: Callable[[Picture], Page], demo: Demonstration, tmp_path: Path, name: str
) -> None:
    picture, host = PICTURES[name], demo.url.partition("//")[2]
    page = window(picture)
    for link in picture.opens:
        with page.expect_navigation():
            page.get_by_role("link", name=link).first.click()
    expect(page.get_by_text(picture.shows).first).to_be_visible(timeout=60_000)
    page.evaluate(_REPLACE, [str(demo.folder), host])
    taken = Path(os.environ.get("PICTURES", tmp_path)) / f"{name}.png"
    page.screenshot(path=taken)
    assert "/tmp/" not in page.inner_text("body")
    assert (IMAGES / taken.name).read_bytes().startswith(b"\x89PNG")
    assert any(f"images/{taken.name}" in text for text in _documents())


def _documents() -> list[str]:
    pages = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
    return [page.read_text("utf-8") for page in pages]
