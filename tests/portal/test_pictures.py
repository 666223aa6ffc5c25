"""The pictures of the documentation are taken of the demonstration: `make pictures` puts them into docs/images."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from browsing import NARROW, WIDE, enter
from documents import REPOSITORY
from portal.test_demonstration import address_and_password, demonstration, wait_for_images

pytestmark = pytest.mark.xdist_group("demonstration")  # two at once would choose the same port
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


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demonstration]:
    folder = tmp_path_factory.mktemp("pictures") / "demo"
    log = folder.with_name("log")
    process = demonstration(folder, log)
    try:
        found = Demonstration(folder, *address_and_password(log))
        wait_for_images(log)
        yield found
    finally:
        process.terminate()
        process.wait(60)


@pytest.fixture
def window(chromium: Browser, demo: Demonstration) -> Iterator[Callable[[Picture], Page]]:
    contexts = []

    def opened(picture: Picture) -> Page:
        viewport: ViewportSize = {"width": picture.size[0], "height": picture.size[1]}
        context = chromium.new_context(
            base_url=demo.url,
            viewport=viewport,
            color_scheme=picture.scheme,
            locale="en-GB",
            timezone_id="UTC",
        )
        contexts.append(context)
        page = context.new_page()
        enter(page, picture.account, demo.password)
        page.goto(picture.address)
        return page

    yield opened
    for context in contexts:
        context.close()


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
