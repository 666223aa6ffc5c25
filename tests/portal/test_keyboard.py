"""The portal by keyboard: where the focus begins, where it is seen, and where it goes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from chromium import opened
from portals import PASSWORD, Served, lasting

# Of each element that Tab reaches: which, how wide its outline is, and the contrast of the outline with the page.
RINGS = """() => {
  const parts = (text) => text.match(/[\\d.]+/g).slice(0, 3).map(Number);
  const light = (colour) => parts(colour).map((part) => part / 255)
    .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
    .reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0.05);
  const style = getComputedStyle(document.activeElement), page = getComputedStyle(document.body);
  const both = [light(style.outlineColor), light(page.backgroundColor)].sort((one, other) => other - one);
  const width = style.outlineStyle === "solid" ? parseFloat(style.outlineWidth) : 0;
  return [document.activeElement.outerHTML.slice(0, 80), width, both[0] / both[1]];
}"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Served]:
    with lasting(tmp_path_factory.mktemp("keyboard"), sqlite_template) as served:
        served.account("sam", "sender")
        served.account("augusta", "auditor")
        yield served.start()


def _focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()"))


def test_people_can_type_at_once(chromium: Browser, lab: Served) -> None:
    with opened(chromium) as tab:
        tab.page.goto(f"{lab.url}/account/login/")
        assert _focused(tab.page) == "id_login"
        tab.sign_in(lab.url, "augusta", PASSWORD)
        tab.page.wait_for_url(f"{lab.url}/")
        assert _focused(tab.page) == "find"
        assert tab.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_focus_is_seen_everywhere(chromium: Browser, lab: Served, scheme: str) -> None:
    with opened(chromium, color_scheme=scheme) as tab:
        tab.sign_in(lab.url, "sam", PASSWORD)
        tab.page.wait_for_url(f"{lab.url}/")
        faint, seen = [], set()
        for path in ("", "tokens/", "history/"):
            tab.page.goto(f"{lab.url}/{path}")
            for _ in range(25):
                tab.page.keyboard.press("Tab")
                element, width, contrast = tab.page.evaluate(RINGS)
                seen.add(element.split(" ")[0].strip("<>"))
                if not element.startswith("<body") and (width < 2 or contrast < 3):
                    faint.append((path, element, width, contrast))
    assert faint == []
    assert {"a", "button", "summary", "input", "select"} <= seen


def test_the_menu_closes_when_it_is_left(chromium: Browser, lab: Served) -> None:
    with opened(chromium, viewport={"width": 1280, "height": 800}) as tab:
        tab.sign_in(lab.url, "augusta", PASSWORD)
        menu, name = tab.page.locator("details.more"), tab.page.locator("details.more > summary")
        name.press("Enter")
        menu.locator("a").first.focus()
        tab.page.keyboard.press("Escape")
        assert menu.get_attribute("open") is None and _focused(tab.page) == "More"
        name.press("Enter")
        menu.locator("a").last.focus()
        assert menu.get_attribute("open") is not None
        tab.page.keyboard.press("Tab")
        assert menu.get_attribute("open") is None
        name.press("Enter")
        tab.page.locator("main").click(position={"x": 5, "y": 5})
        assert menu.get_attribute("open") is None


def test_after_send_the_focus_is_at_the_progress(chromium: Browser, lab: Served, tmp_path: Path) -> None:
    file = tmp_path / "north-1.pdf"
    file.write_bytes(b"%PDF-1.4")
    with opened(chromium) as tab:
        page = tab.page
        tab.sign_in(lab.url, "sam", PASSWORD)
        page.goto(f"{lab.url}/upload/")
        page.get_by_label("Send to").select_option(label="results")
        page.locator("#upload-files").set_input_files(file)
        page.get_by_text("All uploaded").wait_for()
        page.locator("#upload-files").set_input_files(
            file
        )  # no watcher runs: the first one is still in the inbox
        page.get_by_role("button", name="Send nothing").press("Enter")
        assert _focused(page) == "Choose files"
        page.locator("#upload-files").set_input_files(file)
        page.get_by_role("button", name="Send 1 file").press("Enter")
        page.locator("#upload-state", has_text="Sending").wait_for()  # it waits for the first one
        assert _focused(page) == "upload-state"


def test_a_token_is_copied_or_else_selected(chromium: Browser, lab: Served) -> None:
    with opened(
        chromium, permissions=["clipboard-read", "clipboard-write"], viewport={"width": 390, "height": 800}
    ) as tab:
        page = tab.page
        tab.sign_in(lab.url, "sam", PASSWORD)
        page.wait_for_url(f"{lab.url}/")
        page.goto(f"{lab.url}/tokens/")
        page.locator("#id_name").fill("nightly")
        page.get_by_role("button", name="Make a token").press("Enter")
        token = page.locator("#token").inner_text()
        page.get_by_role("button", name="Copy").press("Enter")
        page.get_by_text("Copied.").wait_for()
        assert token.startswith("ds_") and page.evaluate("navigator.clipboard.readText()") == token
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        # As on a page by http from another machine.
        page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
        page.get_by_role("button", name="Copy").press("Enter")
        page.get_by_text("It is selected").wait_for()
        assert page.evaluate("String(getSelection())") == token
        assert tab.complaints == []
