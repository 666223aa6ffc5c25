"""Signing in and out, and those who try to get in otherwise."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from dropslot.access import visit_trail, withdrawing
from dropslot.access.section import Portal
from dropslot.audit.models import Event
from portals import PASSWORD, Site

LOGIN = "/account/login/"


@pytest.fixture(autouse=True)
def _attempts_are_counted_anew() -> None:
    cache.clear()


def _sign_in(name: str, password: str = PASSWORD, client: Client | None = None, **more: Any) -> Client:
    client = client or Client(**more)
    client.post(LOGIN, {"login": name, "password": password})
    return client


def _is_in(client: Client) -> bool:
    return bool(client.get("/my-account/").status_code == 200)


def _events(kind: str) -> list[dict[str, Any]]:
    visit_trail.trail().record()
    return [json.loads(data) for data in Event.objects.filter(kind=kind).values_list("data", flat=True)]


def test_a_password_signs_in_and_is_an_event(site: Site) -> None:
    assert _is_in(_sign_in("sam"))
    event = _events("signed-in")[-1]
    assert (event["by"], event["how"], event["address"]) == ("sam", "password", "127.0.0.1")


def test_refusals_are_events_without_what_was_typed(site: Site) -> None:
    assert not _is_in(_sign_in("SAM", "wrong"))
    assert not _is_in(_sign_in("my secret password", "wrong"))
    withdrawing.deactivate(User.objects.get(username="rita"))
    assert not _is_in(_sign_in("rita"))
    found = {(event["name"], event["why"]) for event in _events("sign-in-refused")}
    assert found == {
        ("sam", "wrong password"),
        ("", "no such account"),
        ("rita", "the account is deactivated"),
    }


def test_a_wrong_name_and_a_wrong_password_get_the_same_answer(site: Site) -> None:
    def answer(name: str) -> str:
        page = Client().post(LOGIN, {"login": name, "password": "wrong"}).content.decode()
        assert "The name or the password is wrong." in page
        return re.sub(r'value="[^"]*"|"X-CSRFToken": "[^"]*"', "", page)

    assert answer("sam") == answer("unknown")


def test_attempts_are_limited(site: Site) -> None:
    for _ in range(5):
        _sign_in("sam", "wrong")
    client = Client()
    answer = client.post(LOGIN, {"login": "sam", "password": PASSWORD})
    assert "Too many" in answer.content.decode()
    assert not _is_in(client)
    assert _events("sign-in-refused")[-1]["why"] == "too many attempts"


def test_a_session_of_before_the_sign_in_is_not_taken_over(site: Site) -> None:
    client = Client()
    client.get(LOGIN)
    before = {name: cookie.value for name, cookie in client.cookies.items()}
    _sign_in("sam", client=client)
    other = Client()
    for name, value in before.items():
        other.cookies[name] = value
    assert _is_in(client) and not _is_in(other)


def _copy_of(client: Client) -> Client:
    copy = Client()
    copy.cookies.load({name: cookie.value for name, cookie in client.cookies.items()})
    return copy


def test_signing_out_ends_copies_of_the_session(site: Site) -> None:
    client = _sign_in("sam")
    copy, elsewhere = _copy_of(client), _sign_in("sam")
    client.post("/account/logout/")
    assert not _is_in(client) and not _is_in(copy) and not _is_in(elsewhere)
    assert _is_in(_sign_in("sam"))


def test_a_changed_password_ends_the_other_sessions(site: Site) -> None:
    client, elsewhere = _sign_in("sam"), _sign_in("sam")
    new = {
        "oldpassword": PASSWORD,
        "password1": "another horse battery",
        "password2": "another horse battery",
    }
    client.post("/account/password/change/", new)
    assert _is_in(client) and not _is_in(elsewhere)
    assert _events("rights-changed")[-1]["what"] == "password changed"


def test_a_deactivated_account_is_signed_out_and_stays_so(site: Site) -> None:
    client = _sign_in("sam")
    sam = User.objects.get(username="sam")
    withdrawing.deactivate(sam)
    assert not _is_in(client)
    withdrawing.activate(sam)
    assert not _is_in(_copy_of(client))


def test_a_role_that_is_taken_away_is_gone_on_the_next_page(site: Site) -> None:
    client = _sign_in("adam")
    assert client.get("/users/").status_code == 200
    site.account("ada", "administrator")
    withdrawing.take_away(list(User.objects.get(username="adam").dropslot_grants.all()))
    assert client.get("/users/").status_code == 403
    assert _events("access-refused")[-1]["what"] == "GET /users/"


@pytest.mark.parametrize(
    "target",
    ["//evil.example/", "https://evil.example/", "/\\evil.example", "javascript:alert(1)", "http:evil"],
)
@pytest.mark.parametrize("page", [LOGIN, "/account/logout/"])
def test_no_page_leads_to_another_site(site: Site, page: str, target: str) -> None:
    client = Client() if page == LOGIN else _sign_in("sam")
    answer = client.post(page, {"login": "sam", "password": PASSWORD, "next": target})
    assert answer.status_code == 302
    assert answer["Location"] in ("/", LOGIN)


def test_a_page_of_this_site_is_reached_after_the_sign_in(site: Site) -> None:
    first = Client().get("/tokens/")
    assert first["Location"] == f"{LOGIN}?next=/tokens/"
    answer = Client().post(LOGIN, {"login": "sam", "password": PASSWORD, "next": "/tokens/"})
    assert answer["Location"] == "/tokens/"


@pytest.mark.parametrize("host", ["evil.example", "testserver.evil.example", "127.0.0.1:1@evil.example"])
def test_another_host_is_not_answered(site: Site, host: str) -> None:
    assert Client().get(LOGIN, HTTP_HOST=host).status_code == 400


def _addresses(resolver: URLResolver, prefix: str = "") -> list[str]:
    found = []
    for entry in resolver.url_patterns:
        address = prefix + str(entry.pattern).lstrip("^").replace("\\Z", "")
        if isinstance(entry, URLPattern):
            found.append(address)
        elif not address.startswith(("admin/", "api/")):
            found += _addresses(entry, address)
    return found


def test_every_post_needs_the_token_against_forgery(site: Site) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.get(username="adam"), "django.contrib.auth.backends.ModelBackend")
    known = {
        "id": "1",
        "grant": "1",
        "what": "deactivate",
        "pk": "1",
        "provider_id": "x",
        "uidb36": "1",
        "key": "k",
    }
    for address in _addresses(get_resolver()):
        path = "/" + _filled(address, known)
        if "(?P" in path:  # an address of allauth that is a pattern; its pages have forms like the others
            continue
        status = client.post(path).status_code
        assert status in (403, 404, 405), (path, status)


def _filled(address: str, known: dict[str, str]) -> str:
    for name, value in known.items():
        for kind in ("<int:{}>", "<str:{}>", "<path:{}>", "<slug:{}>", "<{}>"):
            address = address.replace(kind.format(name), value)
    return address.rstrip("$")


@pytest.mark.parametrize(
    "path",
    [
        "email/",
        "confirm-email/",
        "confirm-email/abc/",
        "password/set/",
        "3rdparty/signup/",
        "login/code/confirm/",
    ],
)
def test_what_an_administrator_is_responsible_for_is_closed(site: Site, path: str) -> None:
    assert _sign_in("sam").get(f"/account/{path}").status_code == 404


def test_nobody_signs_up(site: Site) -> None:
    form = {"username": "ines", "password1": PASSWORD, "password2": PASSWORD, "email": "ines@lab.example"}
    for answer in (Client().get("/account/signup/"), Client().post("/account/signup/", form)):
        assert "Accounts are made by an administrator" in answer.content.decode()
    assert not User.objects.filter(username="ines").exists()
    assert "sign up" not in Client().get(LOGIN).content.decode().lower()


def test_a_lost_password_tells_nothing_about_accounts(site: Site) -> None:
    assert "Ask an administrator" in Client().get("/account/password/reset/").content.decode()
    assert Client().post("/account/password/reset/", {"email": "sam@lab.example"}).status_code == 405


def test_a_link_of_another_account_is_refused(site: Site) -> None:
    from dropslot.access import one_time_links

    sam, adam = User.objects.get(username="sam"), User.objects.get(username="adam")
    key = one_time_links.link(sam, site.config).rpartition("/key/")[2].partition("-")[2]
    from allauth.account.utils import user_pk_to_url_str

    answer = Client().get(f"/account/password/reset/key/{user_pk_to_url_str(adam)}-{key}", follow=True)
    assert "This link does not work any more" in answer.content.decode()


def test_a_live_part_of_an_ended_session_leads_the_whole_page_to_the_sign_in(site: Site) -> None:
    page = {"HTTP_HX_REQUEST": "true", "HTTP_HX_CURRENT_URL": "http://testserver/users/?q=x"}
    answer = Client().get("/tokens/", **page)  # type: ignore[arg-type]
    assert answer.status_code == 200
    assert answer["HX-Redirect"] == "/account/login/?next=%2Fusers%2F%3Fq%3Dx"


def test_limits_count_the_address_that_the_server_in_front_has_added(site: Site) -> None:
    object.__setattr__(site.config, "portal", Portal.model_validate({"proxies": 1}))
    client = Client()
    for number in range(12):  # the sender's own part of the header changes nothing
        forwarded = f"10.0.0.{number}, 203.0.113.9"
        form = {"login": f"unknown{number}", "password": "wrong"}
        answer = client.post(LOGIN, form, HTTP_X_FORWARDED_FOR=forwarded)
    assert "Too many" in answer.content.decode()
    assert {event["address"] for event in _events("sign-in-refused")} == {"203.0.113.9"}


def test_pages_of_accounts_stay_in_no_cache(site: Site) -> None:
    client = _sign_in("adam")
    for path in ("/my-account/", "/tokens/", "/users/", "/account/2fa/"):
        assert "no-store" in client.get(path)["Cache-Control"]
