"""One tab of a module's browser (`browsing.chromium`), with everything that its console complains about."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Page, expect

PATIENCE_MS = 60_000  # a busy machine is slow
expect.set_options(timeout=PATIENCE_MS)  # 5 s by itself


@dataclass
class Tab:
    """One page of a browser; `complaints` are errors of its console, a broken content security policy among them."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    def sign_in(self, url: str, name: str, password: str) -> None:
        """By the form of the sign-in page."""
        self.page.goto(f"{url}/account/login/")
        self.page.get_by_label("Username").fill(name)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Sign in", exact=True).click()


@contextmanager
def opened(browser: Browser, **options: Any) -> Iterator[Tab]:
    """A tab without a history and with cookies of its own; `options` are playwright's of a context."""
    with browser.new_context(**options) as context:
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        tab = Tab(page)
        page.on("console", lambda message: _note(tab, message))
        page.on("pageerror", lambda error: tab.complaints.append(str(error)))
        yield tab


def _note(tab: Tab, message: ConsoleMessage) -> None:
    if message.type == "error":
        tab.complaints.append(message.text)
