"""Each page as axe sees it: light at 1280 pixels and dark at 390, two first pages also the other way round; nothing to
scroll to the side; and how large the first page is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Response

from browsing import LOOKS, TWO_LOOKS, Faults, bounds, enter, findings_in_each_look, new_context
from databases import connected_to, sqlite_settings
from dicom.images import encoded, sample, series
from page_table import paths
from portals import Served, installed
from product import Product

pytestmark = pytest.mark.xdist_group("accessible")  # what they share is made once

FIRST_PAGE_BYTES = 200_000
ROLES = ("sender", "operator", "auditor", "recipient", "study-runner", "administrator")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Served]:
    """An installation with an account of each role, and arrivals that were delivered and that failed."""
    product = Product(tmp_path_factory.mktemp("accessible"))
    product.begin_with(sqlite_template)
    images = {
        "folders": str(product.root / "dicom"),
        "import": "dicom",
        "deliver": [{"to": str(product.studies)}],
    }
    served = installed(product, {"dicom": images})
    for role in ROLES:
        served.account(role, role, *bounds(role))
    product.drop("heart-1", {"scan.nii": b"a", "notes/b": b"b"}, "study")
    product.drop("north-1.pdf", b"%PDF-1.4 n", "results")
    product.drop("south-1.txt", b"south", "results")
    product.drop("bad", {"scan": b"c"}, "study")
    product.drop("ct", series(2, ImagesInAcquisition=2, SeriesDescription="thorax " * 9), "dicom")
    product.drop("report", {"sr.dcm": encoded(sample("test-SR.dcm"))}, "dicom")
    product.drain(status=None)
    yield served.start()
    product.close()


def _looks(browser: Browser, served: Served, role: str) -> Iterator[tuple[Page, Faults]]:
    context = new_context(browser, served.url)
    faults = Faults()
    faults.watch(context, served.url.removeprefix("http://"))
    page = context.new_page()
    if role:
        enter(page, role)
    yield page, faults
    context.close()


@pytest.mark.parametrize("role", ["", *ROLES])
def test_the_first_page_of_each_role(chromium: Browser, filled: Served, role: str) -> None:
    for page, faults in _looks(chromium, filled, role):
        page.goto("/")
        assert findings_in_each_look(page, LOOKS if role in ("", "operator") else TWO_LOOKS) == []
        assert faults.found == []


@pytest.mark.crash
def test_each_page_of_an_administrator(chromium: Browser, filled: Served, django_db_blocker: Any) -> None:
    for page, faults in _looks(chromium, filled, "administrator"):
        wrong, looked_at = [], set()
        for path in _paths(filled, django_db_blocker):
            seen = page.request.get(path)
            if not seen.ok or "attachment" in seen.headers.get("content-disposition", ""):
                continue
            text = seen.text()
            if "<html" in text and (elements := _elements(text)) not in looked_at:  # not a part of a page
                looked_at.add(elements)
                page.goto(path)
                wrong += findings_in_each_look(page)
                wrong += [f"{path}: {fault}" for fault in faults.unexpected]
                faults.found.clear()
        assert not wrong, "\n".join(wrong)


def _elements(text: str) -> tuple[str, ...]:
    """What is on a page but for its texts and values: the page of another account is no other page for axe."""
    values = r"""(?<!class)=("[^"]*"|'[^']*')"""
    return tuple(re.sub(values, "=", element) for element in re.findall(r"<[^/!][^>]*>", text))


def _paths(served: Served, blocker: Any) -> list[str]:
    with blocker.unblock(), connected_to(sqlite_settings(served.product.root / "var" / "dropslot.sqlite3")):
        return list(paths())


def test_the_first_page_is_small(chromium: Browser, filled: Served) -> None:
    context = new_context(chromium, filled.url)
    page = context.new_page()
    sizes: dict[str, int] = {}

    def count(answer: Response) -> None:
        sizes[answer.url] = (
            answer.request.sizes()["responseBodySize"] + answer.request.sizes()["responseHeadersSize"]
        )

    page.on("response", count)
    page.goto("/account/login/", wait_until="networkidle")
    assert sum(sizes.values()) <= FIRST_PAGE_BYTES, json.dumps(sizes)
    enter(page, "operator")
    page.wait_for_load_state("networkidle")
    assert sum(sizes.values()) <= FIRST_PAGE_BYTES, json.dumps(sizes)
    context.close()
