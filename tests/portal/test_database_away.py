"""The portal while its database is away, and after it has come back."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection, connections
from django.test import Client

from dropslot.access import visit_trail
from portals import Site

BOTH_DATABASES = True


@contextmanager
def away() -> Iterator[None]:
    """Whoever connects fails, and who was connected is cut off."""
    settings = connections.settings["default"]
    changed = (
        {"NAME": "/nonexistent/x.sqlite3"}
        if settings["ENGINE"].endswith("sqlite3")
        else {"PORT": 1, "HOST": "127.0.0.1"}
    )
    before = {key: settings[key] for key in changed}
    _renew(settings, changed)
    try:
        yield
    finally:
        _renew(settings, before)


def _renew(settings: dict[str, Any], values: dict[str, Any]) -> None:
    connection.close()
    settings.update(values)
    connection.settings_dict.update(values)


@pytest.fixture
def client(site: Site) -> Client:
    client = site.client("olga")
    client.raise_request_exception = False
    assert client.get("/").status_code == 200
    return client


@pytest.mark.parametrize("path", ["/", "/my-account/", "/deliveries/1/file", "/no-such-page"])
def test_a_page_says_so_and_comes_back_by_itself(client: Client, path: str) -> None:
    before = client.get(path).status_code
    with away():
        answer = client.get(path)
        if path != "/no-such-page":
            assert answer.status_code == 503
            assert "The database does not answer" in answer.content.decode()
            assert answer["Retry-After"]
    assert client.get(path).status_code == before


def test_the_api_says_so_as_a_problem(client: Client) -> None:
    with away():
        answer = client.get("/api/v1/arrivals")
    assert (answer.status_code, answer["Content-Type"]) == (503, "application/problem+json")
    assert client.get("/api/v1/arrivals").status_code == 200


def test_who_is_not_signed_in_is_led_to_the_sign_in_which_says_so(site: Site) -> None:
    with away():
        assert site.client("").get("/").status_code == 302
        assert site.client("").get("/account/login/").status_code == 503
    assert site.client("").get("/account/login/").status_code == 200


def test_a_sign_in_says_so_too(site: Site) -> None:
    nobody = Client(raise_request_exception=False)
    with away():
        answer = nobody.post("/account/login/", {"login": "olga", "password": "x"})
    assert answer.status_code == 503


def test_a_full_disk_shows_no_page_that_nobody_could_prove(
    site: Site, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.drop("results", "north-1.pdf")
    site.deliver()
    kept = visit_trail.trail()
    full = os.open("/dev/full", os.O_WRONLY)
    monkeypatch.setattr(kept, "_stream", full)
    answer = client.get(f"/deliveries/{_delivery(site)}/file")
    monkeypatch.setattr(kept, "_stream", -1)
    os.close(full)
    assert answer.status_code == 503
    assert "disk" in answer.content.decode()


def _delivery(site: Site) -> int:
    from dropslot.arrivals.models import Delivery

    return Delivery.objects.get().pk
