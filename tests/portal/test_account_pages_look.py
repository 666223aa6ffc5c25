"""The pages of accounts in a browser: nothing that axe finds serious, nothing that the console complains about."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from browsing import findings
from chromium import chromium
from portals import PASSWORD, Served

BEFORE = (
    "login/",
    "signup/",
    "password/reset/",
    "password/reset/done/",
    "password/reset/key/1-abc/",
    "inactive/",
    "3rdparty/login/cancelled/",
)
AFTER = (
    "my-account/",
    "tokens/",
    "users/",
    "users/new/",
    "users/1/",
    "users/1/deactivate/",
    "users/?q=zzz",
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


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_pages_can_be_used_by_everybody(served: Served, scheme: str, width: int) -> None:
    with served.product.config.open("a") as stream:
        stream.write("mail: {server: 'smtp://localhost:9', from: dropslot@lab.example}\n")
    served.account("adam", "administrator", "--email", "adam@lab.example")
    served.start()
    faults: list[str] = []
    # axe is put into the page as a script, which the pages' own policy would not let in.
    options = {"color_scheme": scheme, "viewport": {"width": width, "height": 800}, "bypass_csp": True}
    with chromium(**options) as tab:
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
