"""Each address of the API: what it answers, with the keys of the listings."""

from __future__ import annotations

import pytest

from callers import Caller, token_of
from dropslot.arrivals.listings import queries
from portals import Site


@pytest.fixture
def filled(site: Site) -> Site:
    site.drop("study", "heart-1", {"scan": b"a", "notes/b": b"b"})
    site.deliver("sam")
    site.drop("results", "north-1.pdf", b"%PDF-1.4 n")
    site.drop("results", "bad-1.exe", b"x")
    site.deliver("olga")
    return site


@pytest.fixture
def olga(filled: Site) -> Caller:
    return Caller(filled, token_of("olga", "read", "operate", "upload"))


def test_arrivals_have_the_keys_of_the_listing(olga: Caller) -> None:
    rows = list(queries.arrivals(queries.Filter()))
    assert olga.get("arrivals").json() == {"items": rows[::-1], "next": None}


def test_x(olga: Caller) -> None:
    for p in (
        "me",
        "routes",
        "watcher",
        "health",
        "uploads",
        "events",
        "acknowledgments",
        "deliveries",
        "openapi.json",
        "docs",
    ):
        r = olga.get(p)
        print(p, r.status_code, r.content.decode()[:1500])
    assert 0
