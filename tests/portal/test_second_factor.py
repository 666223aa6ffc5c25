"""A second factor: set up, used, asked for by role. With real codes, and chromium's own passkeys."""

from __future__ import annotations

import base64
import hmac
import struct
import time
from hashlib import sha1

import pytest
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client
from playwright.sync_api import Browser

from chromium import Tab, opened
from dropslot.access import tokens
from dropslot.access.section import Portal
from portals import PASSWORD, Served, Site
from waiting import wait_until


def code_of(secret: str, at: float | None = None) -> str:
    """What an app shows (RFC 6238, with 30 seconds, SHA-1 and 6 digits)."""
    counter = int((time.time() if at is None else at) // 30)
    digest = hmac.digest(base64.b32decode(secret), struct.pack(">Q", counter), sha1)
    start = digest[-1] & 15
    return f"{(int.from_bytes(digest[start : start + 4]) & 0x7FFFFFFF) % 1_000_000:06}"


@pytest.fixture(autouse=True)
def _attempts_are_counted_anew() -> None:
    cache.clear()


@pytest.fixture
def demanding(site: Site) -> Site:
    """Auditors need a second factor."""
    object.__setattr__(site.config, "portal", Portal.model_validate({"second_factor": ["auditor"]}))
    return site


def _signed_in(name: str) -> Client:
    client = Client()
    client.post("/account/login/", {"login": name, "password": PASSWORD})
    return client


def test_the_code_of_this_test_is_that_of_the_standard() -> None:
    assert code_of(base64.b32encode(b"12345678901234567890").decode(), at=1111111109) == "081804"


def test_a_role_that_needs_one_is_led_to_it_before_any_other_page(demanding: Site) -> None:
    client = _signed_in("augusta")
    for path in ("/", "/tokens/", "/my-account/", "/account/password/change/"):
        assert client.get(path)["Location"] == "/account/2fa/", path
    page = client.get("/account/2fa/").content.decode()
    assert "Your role needs a second factor" in page
    assert (
        client.post("/tokens/", {"name": "x", "scopes": "read", "days": "1"})["Location"] == "/account/2fa/"
    )
    assert client.post("/account/logout/").status_code == 302
    assert client.get("/tokens/")["Location"].startswith("/account/login/")


def test_other_roles_are_not_asked(demanding: Site) -> None:
    assert _signed_in("olga").get("/tokens/").status_code == 200


def test_a_set_up_app_opens_the_pages_and_is_asked_for_at_the_next_sign_in(demanding: Site) -> None:
    client = _signed_in("augusta")
    page = client.get("/account/2fa/totp/activate/")
    secret = page.context["form"].secret
    assert client.post("/account/2fa/totp/activate/", {"code": "000000"}).status_code == 200
    assert client.post("/account/2fa/totp/activate/", {"code": code_of(secret)}).status_code == 302
    assert client.get("/tokens/").status_code == 200

    again = _signed_in("augusta")
    assert again.get("/tokens/")["Location"].startswith("/account/login/")  # half a sign-in is none
    again.post("/account/2fa/authenticate/", {"code": "000000"})
    assert again.get("/tokens/").status_code == 302
    assert again.post("/account/2fa/authenticate/", {"code": code_of(secret)}).status_code == 302
    assert again.get("/tokens/").status_code == 200


def test_a_phone_whose_clock_is_half_a_minute_off_may_sign_in_and_one_that_is_wrong_may_not(
    demanding: Site,
) -> None:
    client = _signed_in("augusta")
    secret = client.get("/account/2fa/totp/activate/").context["form"].secret
    at = time.time()
    for wrong in (at - 95, at + 95):
        assert client.post("/account/2fa/totp/activate/", {"code": code_of(secret, wrong)}).status_code == 200
    assert client.post("/account/2fa/totp/activate/", {"code": code_of(secret, at - 25)}).status_code == 302


def test_recovery_codes_alone_are_no_second_factor(demanding: Site) -> None:
    augusta = User.objects.get(username="augusta")
    Authenticator.objects.create(
        user=augusta, type=Authenticator.Type.RECOVERY_CODES, data={"seed": "x", "used_mask": 0}
    )
    client = demanding.client("augusta")
    assert client.get("/tokens/")["Location"] == "/account/2fa/"


def test_a_token_is_not_asked_for_a_second_factor(demanding: Site) -> None:
    new = tokens.make(User.objects.get(username="augusta"), ["read"], 1)
    answer = Client().get("/nothing/", HTTP_AUTHORIZATION=f"Bearer {new.text}")
    assert answer.status_code == 404  # of the address, and not led elsewhere


# In a real browser


@pytest.fixture
def demanding_served(served: Served) -> Served:
    portal = {
        "listen": f"127.0.0.1:{served.port}",
        "url": f"http://localhost:{served.port}",  # browsers have passkeys for names, not for numbers
        "second_factor": ["operator"],
    }
    text = served.product.config.read_text()
    before = text[text.index("portal:") :]
    served.product.config.write_text(text.replace(before, f"portal: {portal!r}\n"))
    served.account("olga", "operator")
    return served.start()


def _hows(served: Served, kind: str, key: str) -> list[str]:
    found = served.product.listing("events")
    return [event["data"][key] for event in found if event["kind"] == kind]


def test_an_operator_sets_up_an_app_in_the_browser(chromium: Browser, demanding_served: Served) -> None:
    url = f"http://localhost:{demanding_served.port}"
    with opened(chromium) as tab:
        page = tab.page
        tab.sign_in(url, "olga", PASSWORD)
        page.get_by_text("Your role needs a second factor").wait_for()
        page.get_by_role("link", name="Set up an app").click()
        secret = page.get_by_label("Or type this secret into the app").input_value()
        page.get_by_label("Authenticator code").fill(code_of(secret))
        page.get_by_role("button", name="Turn on").click()
        page.get_by_text("Codes", exact=True).wait_for()  # recovery codes, shown once the factor is there
        page.get_by_role("button", name="Sign out").click()
        tab.sign_in(url, "olga", PASSWORD)
        page.get_by_label("Code").fill("000000")
        page.get_by_role("button", name="Sign in", exact=True).click()
        page.get_by_text("Incorrect code").wait_for()
        page.get_by_label("Code").fill(code_of(secret))
        page.get_by_role("button", name="Sign in", exact=True).click()
        page.get_by_role("button", name="Sign out").wait_for()
        assert tab.complaints == []
    wait_until(
        lambda: _hows(demanding_served, "signed-in", "how") == ["password", "password + code of an app"],
        what="the events",
    )
    assert _hows(demanding_served, "sign-in-refused", "why") == ["wrong code of an app"]


def _with_authenticator(tab: Tab) -> None:
    """Give this browser an authenticator of its own, as a laptop with a fingerprint reader has one."""
    session = tab.page.context.new_cdp_session(tab.page)
    session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    session.send("WebAuthn.addVirtualAuthenticator", {"options": options})


def test_a_passkey_is_added_and_signs_in_without_a_password(
    chromium: Browser, demanding_served: Served
) -> None:
    url = f"http://localhost:{demanding_served.port}"
    with opened(chromium) as tab:
        page = tab.page
        _with_authenticator(tab)
        tab.sign_in(url, "olga", PASSWORD)
        page.get_by_role("link", name="Add a passkey").click()
        page.get_by_label("Name").fill("laptop")
        page.get_by_label("Passwordless").check()
        page.get_by_role("button", name="Add", exact=True).click()
        page.get_by_text("Codes", exact=True).wait_for()
        page.get_by_role("button", name="Sign out").click()
        page.get_by_role("button", name="Sign in with a passkey").click()
        page.get_by_role("button", name="Sign out").wait_for()
        assert tab.complaints == []
    wait_until(lambda: "passkey" in _hows(demanding_served, "signed-in", "how"), what="the sign-in's event")


def test_a_browser_without_a_passkey_says_so_in_words(chromium: Browser, demanding_served: Served) -> None:
    url = f"http://localhost:{demanding_served.port}"
    with opened(chromium) as tab:
        # As if its window was cancelled, which no test can press.
        tab.page.add_init_script("navigator.credentials.get = () => Promise.reject(new Error('cancelled'))")
        tab.page.goto(f"{url}/account/login/")
        tab.page.get_by_role("button", name="Sign in with a passkey").click()
        tab.page.get_by_text("The passkey did not work").wait_for()
