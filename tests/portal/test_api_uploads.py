"""A sending program: it uploads with its token, and learns what became of each file."""

from __future__ import annotations

import hashlib
from typing import Any

from django.test import Client

from callers import Caller, token_of
from dropslot.access.roles import Scope
from dropslot.api.description import described, operations
from portals import Site
from tusing import TUS, Tus

BOTH_DATABASES = True

PDF = b"%PDF-1.4 x"


def _tus(token: str) -> Tus:
    return Tus(Client(headers={"Authorization": f"Bearer {token}"}, enforce_csrf_checks=True))


def test_a_program_uploads_and_shows_the_second_tick(site: Site) -> None:
    token = token_of("sam", "upload")
    sam, tus = Caller(site, token), _tus(token)
    assert tus.put(PDF, route="results", filename="north-9.pdf").status_code == 201
    (row,) = sam.get("uploads").json()["items"]
    assert (row["file"], row["state"], row["arrival"]) == ("north-9.pdf", "waiting", None)
    site.deliver()
    (row,) = sam.get("uploads", sha256=hashlib.sha256(PDF).hexdigest()).json()["items"]
    assert (row["file"], row["state"]) == ("north-9.pdf", "delivered")
    receipt = sam.get(f"receipts/{row['arrival']}").json()["receipt"]
    assert (receipt["sender"], receipt["outcomes"]) == ("sam", {"delivered": 1})


def _status(answer: Any) -> int:
    if answer.status_code >= 400:
        assert answer["Content-Type"] == "application/problem+json"
        assert answer.json()["next_step"]
    return int(answer.status_code)


def test_an_upload_needs_the_scope_and_the_role(site: Site) -> None:
    facts = {"route": "results", "filename": "north-9.pdf"}
    for scope in Scope:
        expected = 201 if scope is Scope.UPLOAD else 403
        assert _status(_tus(token_of("sam", scope)).put(PDF, **facts)) == expected
    for name in ("augusta", "rita", "stella", "nobody"):
        assert _status(_tus(token_of(name, "upload")).put(PDF, **facts)) == 403
    for token in ("x", token_of("sam", "upload", days=-1)):
        answer = _tus(token).put(PDF, **facts)
        assert _status(answer) == 401
        assert answer["WWW-Authenticate"].startswith("Bearer")


def test_the_upload_of_another_account_is_not_there(site: Site) -> None:
    first = _tus(token_of("sam", "upload")).create(10, {"route": "results", "filename": "north-9.pdf"})
    for token in (token_of("olga", "upload"), token_of("adam", "upload")):
        assert _tus(token).send("HEAD", first["Location"]).status_code == 404
    assert _tus(token_of("sam", "upload")).offset(first["Location"]) == 0


def test_the_calls_of_tus_are_described_and_each_is_tested_here(site: Site) -> None:
    described_calls = {
        (path.removeprefix(TUS), method.upper())
        for path, method, operation in operations(described("/api/v1/"))
        if "/tus/" in path and operation["security"][0] == {"Bearer": ["upload"]}
    }
    upload = "{ticket}/{part}"
    assert described_calls == {("", "POST"), *((upload, method) for method in ("HEAD", "PATCH", "DELETE"))}
    for path, method in described_calls:
        address = f"{TUS}{path.format(ticket='1', part='1')}"
        facts = {"upload_length": "1", "upload_offset": "0"}
        assert Tus(Client()).send(method, address, b"x", **facts).status_code == 401
        for scope in (Scope.READ, Scope.OPERATE):
            assert _tus(token_of("sam", scope)).send(method, address, b"x", **facts).status_code == 403
        if "{" in path:
            assert _tus(token_of("sam", "upload")).send(method, address, b"x", **facts).status_code == 404


def test_an_unknown_address_below_tus_is_a_problem(site: Site) -> None:
    assert _status(Client().get(f"{TUS}no/such/thing/at/all")) == 404
