"""Tokens of programs: made, shown once, verified, revoked."""

from __future__ import annotations

import json
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.test import RequestFactory
from django.utils import timezone

from dropslot.access import tokens, withdrawing
from dropslot.access.models import Token
from dropslot.access.roles import Scope
from dropslot.audit.models import Event
from portals import Site

BOTH_DATABASES = True


def _user(name: str) -> User:
    return User.objects.get(username=name)


def _request(text: str) -> HttpRequest:
    return RequestFactory().get("/api/v1/arrivals", HTTP_AUTHORIZATION=text)


def _rights(of: str) -> list[str]:
    events = Event.objects.filter(kind="rights-changed")
    return [
        data["what"] for data in map(json.loads, events.values_list("data", flat=True)) if data["of"] == of
    ]


def test_a_token_gives_the_access_of_its_account(site: Site) -> None:
    new = tokens.make(_user("olga"), ["read"], 30, "nightly copy")
    request = _request(f"Bearer {new.text}")
    access = tokens.authenticate(request)
    assert access is not None and access.name == "olga"
    assert request.token == new.token  # type: ignore[attr-defined]
    assert tokens.allows(request, Scope.READ) and not tokens.allows(request, Scope.OPERATE)


@pytest.mark.sqlite_only
def test_only_the_digest_is_kept(site: Site) -> None:
    new = tokens.make(_user("olga"), ["read", "upload"], 1)
    row = Token.objects.values().get()
    assert row["digest"] == sha256(new.text.encode()).hexdigest()
    assert new.text not in str(row)
    assert new.text.startswith("ds_") and len(new.text) == 3 + 43  # 256 bits


@pytest.mark.sqlite_only
def test_a_request_without_a_bearer_has_no_token(site: Site) -> None:
    assert tokens.authenticate(_request("Basic b2xnYTpwYXNz")) is None
    assert tokens.authenticate(RequestFactory().get("/")) is None


@pytest.mark.parametrize("text", ["", "ds_", "ds_wrong", "x" * 100_000, "ds_\u20ac", "ds_a\x00b"])
def test_a_forged_token_is_refused(site: Site, text: str) -> None:
    with pytest.raises(tokens.UnknownToken):
        tokens.authenticate(_request(f"Bearer {text}"))


@pytest.mark.sqlite_only
def test_an_expired_token_is_refused(site: Site) -> None:
    new = tokens.make(_user("olga"), ["read"], 1)
    Token.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(tokens.ExpiredToken):
        tokens.authenticate(_request(f"Bearer {new.text}"))


@pytest.mark.sqlite_only
def test_a_revoked_token_is_refused(site: Site) -> None:
    new = tokens.make(_user("olga"), ["read"], 1)
    assert tokens.revoke(new.token)
    assert not tokens.revoke(new.token)
    with pytest.raises(tokens.RevokedToken):
        tokens.authenticate(_request(f"Bearer {new.text}"))


@pytest.mark.sqlite_only
def test_a_deactivated_accounts_token_is_refused(site: Site) -> None:
    new = tokens.make(_user("olga"), ["read"], 1)
    withdrawing.deactivate(_user("olga"))
    with pytest.raises(tokens.UnknownToken):
        tokens.authenticate(_request(f"Bearer {new.text}"))


@pytest.mark.parametrize(("scopes", "days"), [([], 1), (["all"], 1), (["read"], 0), (["read"], 99_999)])
@pytest.mark.sqlite_only
def test_a_token_that_cannot_be_is_not_made(site: Site, scopes: list[str], days: int) -> None:
    with pytest.raises(tokens.BadToken):
        tokens.make(_user("olga"), scopes, days)
    assert not Token.objects.exists()


@pytest.mark.parametrize(
    ("name", "scope"), [("rita", "upload"), ("rita", "operate"), ("sam", "operate"), ("nobody", "upload")]
)
@pytest.mark.sqlite_only
def test_a_scope_that_no_role_can_use_is_refused(site: Site, name: str, scope: str) -> None:
    with pytest.raises(tokens.BadToken, match=f"No role of {name} can use the scope {scope}") as refused:
        tokens.make(_user(name), ["read", scope], 1)
    assert "first give the account one of the roles" in str(refused.value)
    assert not Token.objects.exists()


def test_the_day_of_use_is_written_once_a_day(site: Site, django_assert_num_queries: Any) -> None:
    new = tokens.make(_user("olga"), ["read"], 1)
    tokens.authenticate(_request(f"Bearer {new.text}"))
    assert Token.objects.get().used_on == timezone.now().date()
    with django_assert_num_queries(2):  # the token with its account, and the roles
        tokens.authenticate(_request(f"Bearer {new.text}"))


@pytest.mark.sqlite_only
def test_making_and_revoking_are_events(site: Site) -> None:
    new = tokens.make(_user("sam"), ["upload"], 7)
    tokens.revoke(new.token)
    assert _rights("sam")[-2:] == [
        f"token {new.token.id} made: upload, until {new.token.expires_at:%Y-%m-%d}",
        f"token {new.token.id} revoked",
    ]
    assert new.text not in "".join(Event.objects.values_list("data", flat=True))
