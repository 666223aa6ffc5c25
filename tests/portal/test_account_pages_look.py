"""The pages of accounts in a browser: nothing that axe finds serious, nothing that the console complains about."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from browsing import findings
from chromium import opened
from portals import PASSWORD, Served, lasting

BEFORE = (
    "login/",
    "signup/",
    "password/reset/",
    "password/reset/done/",
    "password/reset/key/1-abc/",
    "inactive/",
    "3rdparty/login/cancelled/",
)
# What `test_accessible` looks at is left out.
AFTER = (
    "users/?q=zzz",
    "notifications/",
    "account/2fa/",
    "account/2fa/totp/activate/",
    "account/2fa/webauthn/",
    "account/2fa/webauthn/add/",
    "account/password/change/",
    "account/logout/",
    "account/reauthenticate/",
)


def _faults(page: Page) -> list[str]:
    return [f"{page.url}: {finding}" for finding in findings(page)]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Served]:
    with lasting(tmp_path_factory.mktemp("accounts"), sqlite_template) as made:
        with made.product.config.open("a") as stream:
            stream.write("mail: {server: 'smtp://localhost:9', from: dropslot@lab.example}\n")
        made.account("adam", "administrator", "--email", "adam@lab.example")
        yield made.start()


@pytest.mark.crash
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_pages_can_be_used_by_everybody(chromium: Browser, served: Served, scheme: str, width: int) -> None:
    faults: list[str] = []
    # axe is put into the page as a script, which the pages' own policy would not let in.
    options = {"color_scheme": scheme, "viewport": {"width": width, "height": 800}, "bypass_csp": True}
    with opened(chromium, **options) as tab:
        for path in BEFORE:
            tab.page.goto(f"{served.url}/account/{path}")
            faults += _faults(tab.page) + _too_wide(tab.page)
        tab.sign_in(served.url, "adam", "wrong")
        tab.page.get_by_role("alert").wait_for()
        faults += _faults(tab.page)
        tab.sign_in(served.url, "adam", PASSWORD)
        tab.page.wait_for_url(f"{served.url}/")
        for path in AFTER:
            tab.page.goto(f"{served.url}/{path}")
            faults += _faults(tab.page) + _too_wide(tab.page)
    assert faults == [] and tab.complaints == []


def _too_wide(page: Page) -> list[str]:
    is_too_wide = page.evaluate("document.documentElement.scrollWidth > innerWidth")
    return [f"{page.url}: wider than the window"] if is_too_wide else []
