"""The fixtures of browser tests see what they must see."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from browsing import Faults, SignedIn, findings, findings_in_each_look
from portals import Served, lasting


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Served]:
    with lasting(tmp_path_factory.mktemp("browsing"), sqlite_template) as made:
        yield made


def test_an_account_signs_in_and_out(signed_in: SignedIn) -> None:
    page = signed_in("operator")
    assert page.url.endswith("/")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/account/login/**")


def test_the_sign_in_page_is_accessible(page: Page) -> None:
    page.goto("/account/login/")
    assert findings_in_each_look(page) == []


def test_what_harms_a_page_is_noticed(page: Page, faults: Faults) -> None:
    page.goto("/account/login/")
    page.evaluate(
        "document.body.insertAdjacentHTML('beforeend', '<p style=\"color: red\">x</p><img src=\"http://other.example/x\">')"
    )
    page.evaluate("setTimeout(function () { missing(); }, 0)")
    page.wait_for_function(
        "document.images.length > 0 && document.images[document.images.length - 1].complete"
    )
    page.goto("/no-such-page")
    found = "\n".join(faults.found)
    assert all(sign in found for sign in ("Content Security Policy", "other.example", "missing", "404"))
    faults.expects("")


def test_an_inaccessible_page_is_noticed(page: Page) -> None:
    page.goto("/account/login/")
    page.evaluate(
        "document.querySelector('label').remove(); document.documentElement.removeAttribute('lang')"
    )
    assert any("lang" in finding for finding in findings(page))
