"""Signing in through a provider of OpenID Connect that runs as a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser

from chromium import opened
from portals import PASSWORD, Served
from ports import free_port
from waiting import wait_until


@pytest.fixture
def provider() -> Iterator[str]:
    """The address of a provider that asks who one is, and vouches for it."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "oidc_provider_mock",
        "--port",
        str(port),
        "--user",
        "hana",
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: _answers(url), what="the provider's answer")
        yield url
    finally:
        process.terminate()
        process.wait()


def _answers(url: str) -> bool:
    try:
        with urlopen(f"{url}/.well-known/openid-configuration", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.fixture
def connected(served: Served, provider: str, monkeypatch: pytest.MonkeyPatch) -> Served:
    """A portal whose sign-in page offers the provider."""
    openid = [{"name": "City Hospital", "server": provider, "client_id": "dropslot", "secret": "CITY_SECRET"}]
    text = served.product.config.read_text()
    portal = {"listen": f"127.0.0.1:{served.port}", "openid": openid}
    served.product.config.write_text(text[: text.index("portal:")] + f"portal: {portal!r}\n")
    monkeypatch.setenv("CITY_SECRET", "a secret of the client")
    return served


def test_without_the_secret_the_portal_says_what_is_missing(
    connected: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CITY_SECRET")
    ended = connected.product.run("portal", status=1)
    assert "the environment has no CITY_SECRET" in ended.stderr


def test_a_provider_signs_somebody_in_who_has_no_role_yet(chromium: Browser, connected: Served) -> None:
    connected.account("adam", "administrator")
    connected.start()
    with opened(chromium) as tab:
        page = tab.page
        page.goto(f"{connected.url}/account/login/")
        page.get_by_role("button", name="City Hospital").click()
        page.locator("input[name=sub]").first.fill("hana@hospital.example")
        page.get_by_role("button", name="Authorize").click()
        page.wait_for_url(f"{connected.url}/")
        tab.complaints.clear()  # of the provider's page, which wants a style from another host
        page.goto(f"{connected.url}/my-account/")
        page.get_by_text("You have no role yet").wait_for()
        assert tab.complaints == []
    listed = {user["name"]: user["roles"] for user in connected.product.listing("users")}
    assert listed.pop("adam") == ["administrator, all routes"]
    assert list(listed.values()) == [[]]
    wait_until(lambda: "openid:city-hospital" in _hows(connected), what="the event")
    changes = [
        event["data"] for event in connected.product.listing("events") if event["kind"] == "rights-changed"
    ]
    assert "account made, without a role, by openid:city-hospital" in [data["what"] for data in changes]


def _refusals(served: Served) -> list[str]:
    events = served.product.listing("events")
    return [event["data"]["why"] for event in events if event["kind"] == "sign-in-refused"]


def _hows(served: Served) -> list[str]:
    return [
        event["data"]["how"] for event in served.product.listing("events") if event["kind"] == "signed-in"
    ]


def test_a_provider_that_refuses_signs_nobody_in(chromium: Browser, connected: Served) -> None:
    connected.start()
    with opened(chromium) as tab:
        page = tab.page
        page.goto(f"{connected.url}/account/login/")
        page.get_by_role("button", name="City Hospital").click()
        page.get_by_role("button", name="Deny").click()
        page.get_by_text("The provider did not sign you in").wait_for()
    wait_until(lambda: _refusals(connected) == ["openid:city-hospital did not vouch"], what="the event")


def test_an_existing_account_is_not_taken_over_by_its_name(chromium: Browser, connected: Served) -> None:
    connected.account("hana", "administrator")
    connected.start()
    with opened(chromium) as tab:
        page = tab.page
        page.goto(f"{connected.url}/account/login/")
        page.get_by_role("button", name="City Hospital").click()
        page.locator("input[name=sub]").first.fill("hana")
        page.get_by_role("button", name="Authorize").click()
        page.wait_for_url(f"{connected.url}/")
        page.goto(f"{connected.url}/my-account/")
        page.get_by_text("You have no role yet").wait_for()
        tab.page.get_by_role("button", name="Sign out", exact=True).click()
        tab.sign_in(connected.url, "hana", PASSWORD)
        page.get_by_role("button", name="Sign out").wait_for()
