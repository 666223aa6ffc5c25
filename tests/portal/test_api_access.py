"""Who may call what: every operation of the API with every role, on what the role sees and on what it does not.

The table has a row for every operation, or the test of the table fails. Each row says what the answer is for an object
that the account sees, and for one that it does not: these must be the same as for one that does not exist.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from callers import API, Caller, fill, token_of
from dicom.images import image
from dropslot.access.models import Token
from dropslot.access.roles import Scope
from dropslot.access.visit_trail import trail
from dropslot.acknowledgments.models import Acknowledgment
from dropslot.api.authentication import WrongTokens
from dropslot.api.description import described, operations
from dropslot.arrivals.models import Arrival, Delivery
from dropslot.audit.models import Event
from dropslot.dicom.models import Instance
from portals import PASSWORD, Site

ROLES = ("olga", "augusta", "adam", "sam", "rita", "stella", "nobody", "oskar")
NOT_THERE = "01KBE8QZ3M5V9T2R7XWC4N6PHA"

_HEART, _NORTH, _BAD = "heart-1", "north-1.pdf", "north-bad.exe"
_ALL = {_HEART, _NORTH, _BAD}
# The arrivals that each account sees; oskar is operator of the route `results` alone, rita a recipient of `north`.
SEES = {
    "olga": _ALL,
    "augusta": _ALL,
    "adam": _ALL,
    "sam": {_HEART},
    "rita": set[str](),
    "stella": {_HEART},
    "nobody": set[str](),
    "oskar": {_NORTH, _BAD},
}
SEES_DELIVERIES = {name: seen - {_BAD} for name, seen in SEES.items()} | {"rita": {_NORTH}}
OPERATES = {"olga": _ALL, "adam": _ALL, "oskar": {_NORTH, _BAD}}


def _names(rows: list[dict[str, Any]]) -> set[str]:
    return {row["name"] for row in rows}


def _of_arrivals(rows: list[dict[str, Any]]) -> set[str]:
    ids = {row["arrival"] for row in rows} - {""}
    return set(Arrival.objects.filter(id__in=ids).values_list("name", flat=True))


def _of_patients(rows: list[dict[str, Any]]) -> set[str]:
    return {row["patient_id"].removeprefix("P-") for row in rows}


# What a listing shows to an account, by the names of the arrivals that its rows are about.
LISTINGS: dict[str, tuple[Callable[[list[dict[str, Any]]], set[str]], dict[str, set[str]]]] = {
    "/arrivals": (_names, SEES),
    "/deliveries": (_names, SEES_DELIVERIES),
    "/dicom/patients": (_of_patients, SEES_DELIVERIES | {"sam": {_HEART}}),
    "/dicom/studies": (_of_patients, SEES_DELIVERIES | {"sam": {_HEART}}),
    "/dicom/series": (_of_patients, SEES_DELIVERIES | {"sam": {_HEART}}),
    "/dicom/instances": (_of_arrivals, SEES_DELIVERIES | {"sam": {_HEART}}),
    "/events": (_of_arrivals, SEES),
    "/acknowledgments": (_of_arrivals, {name: seen & {_NORTH} for name, seen in SEES_DELIVERIES.items()}),
    "/uploads": (
        _of_arrivals,
        {name: set[str]() for name in ROLES} | {"olga": {_NORTH, _BAD}, "sam": {_HEART}},
    ),
    "/routes": (
        lambda rows: {row["key"] for row in rows},
        {name: {"study", "results"} for name in ROLES}
        | {"nobody": set(), "rita": {"results"}, "oskar": {"results"}},
    ),
}
# One object, by the name of its arrival: who reads it, and the status for those who do.
OBJECTS: dict[str, tuple[dict[str, set[str]], str, int]] = {
    "/arrivals/{id}": (SEES, "arrival", 200),
    "/arrivals/{id}/events": (SEES, "arrival", 200),
    "/arrivals/{id}/receipt": (SEES, "arrival", 200),
    "/receipts/{arrival}": (SEES, "arrival", 200),
    "/receipts": (SEES, "name", 200),
    "/deliveries/{id}": (SEES_DELIVERIES, "delivery", 200),
    # The other arrival's file is no image, and a sender opens nothing.
    "/dicom/instances/{id}/header": (
        {name: {_HEART} if name in ("olga", "augusta", "adam", "stella") else set() for name in ROLES},
        "instance",
        200,
    ),
}
# What changes something: the object, its arrival, the body, and who may see it. Who sees it and may not: 403.
CHANGES: dict[str, tuple[str, str, dict[str, set[str]]]] = {
    "/arrivals/{id}/retry": (_BAD, "arrival", SEES),
    "/arrivals/{id}/release": (_BAD, "arrival", SEES),
    "/arrivals/{id}/dismiss": (_BAD, "arrival", SEES),
    "/acknowledgments/{id}/undo": (_NORTH, "acknowledgment", SEES_DELIVERIES),
}
FOR_ALL = {"/me", "/watcher", "/health", "/receipts/allowed_signers"}
# Shows the originals of de-identified values; test_reidentify.py has its own role.
REIDENTIFY = "/reidentify"
# The scopes that a token may have for each operation; all others need `read`, and what changes something `operate`.
MORE_SCOPES = {
    "/me": set(Scope),
    "/uploads": {Scope.READ, Scope.UPLOAD},
    "/routes": {Scope.READ, Scope.UPLOAD},
    "/receipts/{arrival}": {Scope.READ, Scope.UPLOAD},
    "/receipts": {Scope.READ, Scope.UPLOAD},
    "/receipts/allowed_signers": {Scope.READ, Scope.UPLOAD},
    "/arrivals/{id}/receipt": {Scope.READ, Scope.UPLOAD},
}


def _operations() -> list[tuple[str, str]]:
    """All but those of tus and STOW-RS, whose tables are in test_api_uploads.py and test_stow.py."""
    found = [(path, method) for path, method, _ in operations(described(""))]
    return [(path, method) for path, method in found if not path.startswith(("/tus/", "/dicomweb/"))]


def test_the_description_names_the_scopes() -> None:
    for path, method, operation in operations(described("")):
        if path.startswith(("/tus/", "/dicomweb/")):
            continue
        ways = [way["Bearer"] for way in operation["security"] if "Bearer" in way]
        assert {scope for way in ways for scope in way} == _scopes(path, method)


def _scopes(path: str, method: str) -> set[Scope]:
    if path == REIDENTIFY:
        return {Scope.REIDENTIFY}
    return {Scope.OPERATE} if method == "post" else MORE_SCOPES.get(path, {Scope.READ})


@pytest.fixture
def filled(site: Site) -> Site:
    site.account("oskar", "operator", routes=("results",))
    fill(site, image())
    return site


def _id(kind: str, name: str) -> str:
    if kind == "name":
        return name
    if kind == "arrival":
        return Arrival.objects.get(name=name).id
    delivery = Delivery.objects.filter(arrival__name=name).first()
    if kind == "instance":
        found = Instance.objects.filter(arrival__name=name).order_by("pk").first()
        return str(found.pk if found else 2**40)
    if kind == "delivery":
        return str(delivery.pk if delivery else 2**40)
    return Acknowledgment.objects.get().id


def _call(caller: Caller, path: str, method: str, id: str = "") -> Any:
    address = API.rstrip("/") + path.replace("{id}", id).replace("{arrival}", id)
    if path == "/receipts":
        address += f"?name={id}"
    takes_a_reason = method == "post" and not path.endswith(("/retry", "/release"))
    return caller.call(method.upper(), address, {"reason": "x"} if takes_a_reason else None)


def test_every_operation_has_a_row() -> None:
    table = {*LISTINGS, *OBJECTS, *CHANGES, *FOR_ALL, REIDENTIFY}
    assert table == {path for path, _ in _operations()}
    assert {path for path, method in _operations() if method == "post"} == {*CHANGES, REIDENTIFY}
    assert set(SEES) == set(ROLES)


@pytest.mark.parametrize("name", ROLES)
def test_a_role_reads_what_it_sees_and_nothing_else(filled: Site, name: str) -> None:
    caller = Caller(filled, token_of(name, "read", "upload"))
    for path, (about, seen) in LISTINGS.items():
        answer = _call(caller, path, "get")
        assert (path, answer.status_code) == (path, 200)
        assert (path, about(answer.json()["items"])) == (path, seen[name])
    for path, (seen, kind, status) in OBJECTS.items():
        for arrival in _ALL:
            expected = status if arrival in seen[name] and not _lacks(path, arrival) else 404
            answer = _call(caller, path, "get", _id(kind, arrival))
            assert (path, arrival, answer.status_code) == (path, arrival, expected)
    for path in FOR_ALL:
        assert (path, _call(caller, path, "get").status_code) == (path, 200)


def _lacks(path: str, arrival: str) -> bool:
    """A refused arrival has a receipt for its sender alone."""
    return arrival == _BAD and "receipt" in path and path != "/receipts"


def _make_bad_again(*, is_held: bool) -> None:
    """The refused arrival as it was; or held, for what only a held one can become."""
    state, held_at = ("ready", timezone.now()) if is_held else ("failed", None)
    Arrival.objects.filter(name=_BAD).update(state=state, held_at=held_at, evidence={})


@pytest.mark.parametrize("name", ROLES)
def test_a_role_changes_what_it_operates_and_nothing_else(filled: Site, name: str) -> None:
    caller = Caller(filled, token_of(name, "operate"))
    for path, (arrival, kind, seen) in CHANGES.items():
        _make_bad_again(is_held=path.endswith("/release"))
        allowed = arrival in OPERATES.get(name, set())
        expected = 200 if allowed else 403 if arrival in seen[name] else 404
        events = Event.objects.count()
        answer = _call(caller, path, "post", _id(kind, arrival))
        assert (path, answer.status_code) == (path, expected)
        assert (Event.objects.count() > events) == allowed


@pytest.mark.parametrize("name", ROLES)
def test_what_may_not_be_seen_looks_like_what_is_not_there(filled: Site, name: str) -> None:
    caller = Caller(filled, token_of(name, "read", "operate"))
    for path, method in _operations():
        if "{" not in path:
            continue
        missing = "1234567" if path.startswith(("/deliveries", "/dicom")) else NOT_THERE
        nothing = _call(caller, path, method, missing)
        assert nothing.status_code == 404
        seen, kind = (OBJECTS[path][0], OBJECTS[path][1]) if path in OBJECTS else (SEES_DELIVERIES, "")
        if kind and not seen[name]:
            hidden = _call(caller, path, method, _id(kind, _HEART))
            assert hidden.content == nothing.content


def test_a_token_needs_a_scope_of_the_operation(filled: Site) -> None:
    callers = {scope: Caller(filled, token_of("adam", scope)) for scope in Scope}
    for path, method in _operations():
        _make_bad_again(is_held=path.endswith("/release"))
        kind = "delivery" if path.startswith("/deliveries") else "arrival"
        kind = "instance" if path.startswith("/dicom") else "name" if path == "/receipts" else kind
        kind, arrival = (CHANGES[path][1], CHANGES[path][0]) if path in CHANGES else (kind, _HEART)
        for scope in Scope:
            answer = _call(callers[scope], path, method, _id(kind, arrival))
            expected = 200 if scope in _scopes(path, method) else 403
            if path == REIDENTIFY and expected == 200:
                expected = 422  # the body has no values; an administrator's right is in test_reidentify.py
            assert (path, scope, answer.status_code) == (path, scope, expected)


def test_nobody_calls_anything(filled: Site) -> None:
    for path, method in _operations():
        answer = _call(Caller(filled), path, method, NOT_THERE)
        assert (path, answer.status_code) == (path, 401)
        assert answer["WWW-Authenticate"].startswith("Bearer")
        assert answer["Content-Type"] == "application/problem+json"
        assert "Authorization: Bearer" in answer.json()["next_step"]


# Tokens


def _expired(site: Site) -> str:
    return token_of("olga", "read", days=-0.0001)


def _revoked(site: Site) -> str:
    return token_of("olga", "read", revoked_at=timezone.now())


def _of_an_account_that_was_ended(site: Site) -> str:
    token = token_of("sam", "read")
    User.objects.filter(username="sam").update(is_active=False)
    return token


def _digest(site: Site) -> str:
    token_of("olga", "read")
    return Token.objects.latest("made_at").digest


def _cut(site: Site) -> str:
    return token_of("olga", "read")[:-1]


WRONG: list[Callable[[Site], str]] = [
    _expired,
    _revoked,
    _of_an_account_that_was_ended,
    _digest,
    _cut,
    lambda _: "x",
    lambda _: " ",
    lambda _: "é\x7f" * 5000,
]


def test_a_token_that_is_not_valid_opens_nothing(filled: Site) -> None:
    for make in WRONG:
        answer = Caller(filled, make(filled)).get("arrivals")
        assert (make, answer.status_code) == (make, 401)
        assert answer["WWW-Authenticate"].startswith("Bearer")


def test_another_header_opens_nothing_even_in_a_browser(filled: Site) -> None:
    for header in ("Bearer", "Basic b2xnYTpv", "bearer  ", "Token x", "Bearer x y"):
        answer = filled.client("olga").get(f"{API}arrivals", headers={"Authorization": header})
        assert (header, answer.status_code) == (header, 401)


def test_a_token_never_allows_more_than_its_account_may(filled: Site) -> None:
    token = token_of("sam", "read", "operate")
    User.objects.get(username="sam").dropslot_grants.all().delete()
    assert Caller(filled, token).get("arrivals").json()["items"] == []


def test_guesses_of_tokens_are_slowed_down_and_one_is_an_event(filled: Site) -> None:
    good = Caller(filled, token_of("olga", "read"))
    for _ in range(WrongTokens.AT_MOST):
        assert Caller(filled, "guess").get("arrivals").status_code == 401
    answer = Caller(filled, "guess").get("arrivals")
    assert answer.status_code == 429
    assert 0 < int(answer["Retry-After"]) <= WrongTokens.SECONDS + 1
    assert good.get("arrivals").status_code == 429  # a guess that is right is not told either
    trail().record()
    assert Event.objects.filter(kind="sign-in-refused").count() == 1


def test_wrong_tokens_of_many_addresses_take_no_more_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WrongTokens, "ADDRESSES", 3)
    wrong = WrongTokens()
    for number in range(10):
        wrong.count(f"10.0.0.{number}")
    assert [wrong.count(f"10.0.0.{number}") for number in (9, 8, 7, 0)] == [2, 2, 2, 1]


def test_after_a_minute_wrong_tokens_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("dropslot.api.authentication.time.monotonic", lambda: now)
    wrong = WrongTokens()
    for _ in range(WrongTokens.AT_MOST):
        wrong.count("10.0.0.1")
    now += WrongTokens.SECONDS
    wrong.require_few("10.0.0.1")
    assert wrong.count("10.0.0.1") == 1


# Browsers


def test_a_browser_that_is_signed_in_reads_without_a_token(filled: Site) -> None:
    answer = filled.client("sam").get(f"{API}arrivals")
    assert _names(answer.json()["items"]) == {_HEART}


@pytest.fixture
def browser(filled: Site) -> Client:
    """olga's, which checks CSRF as a real one meets it."""
    client = Client(enforce_csrf_checks=True)
    client.login(username="olga", password=PASSWORD)
    return client


def test_another_site_cannot_change_anything_through_a_browser(filled: Site, browser: Client) -> None:
    path = f"{API}arrivals/{_id('arrival', _BAD)}/dismiss"
    for headers in ({}, {"X-CSRFToken": "x" * 32}):
        answer = browser.post(path, {"reason": "x"}, content_type="application/json", headers=headers)
        assert answer.status_code == 403
        assert "X-CSRFToken" in answer.json()["title"]
    assert not Event.objects.filter(kind="dismissed").exists()


def test_the_portals_own_page_changes_things_with_its_csrf_token(filled: Site, browser: Client) -> None:
    browser.get(f"{API}docs")
    token = browser.cookies["dropslot_csrf"].value
    answer = browser.post(
        f"{API}arrivals/{_id('arrival', _BAD)}/dismiss",
        {"reason": "x"},
        content_type="application/json",
        headers={"X-CSRFToken": token},
    )
    assert answer.status_code == 200, answer.content
    assert json.loads(Event.objects.get(kind="dismissed").data)["by"] == "olga"


def test_a_form_of_another_site_with_a_token_of_nobody_changes_nothing(filled: Site, browser: Client) -> None:
    answer = browser.post(f"{API}arrivals/{_id('arrival', _BAD)}/retry", {"csrfmiddlewaretoken": "x" * 32})
    assert answer.status_code == 403
    assert Arrival.objects.get(name=_BAD).state == "failed"
