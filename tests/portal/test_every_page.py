"""Each address of the portal, asked for by each role. An address without a row fails.

A row gives the status for each of WHO, in this order. What is not to be seen is 404, like what does not exist. A page
of one thing has a row for a thing that some see, and a row for a thing of other people.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from dropslot.access.models import Grant, SavedView
from dropslot.arrivals.models import Arrival, Delivery
from portals import Site

WHO = ("", "nobody", "sam", "olga", "augusta", "rita", "stella", "adam")
# nobody signed in, an account without a role, sender, operator, auditor, recipient, study runner, administrator

Arguments = Callable[[], dict[str, Any]]


@dataclass(frozen=True)
class Row:
    """`arguments` are of the address; with `post` (a form's fields) it is a POST."""

    statuses: str
    arguments: Arguments = dict
    post: dict[str, Any] | None = None
    query: str = ""


def arrival(name: str, **more: Any) -> Arguments:
    return lambda: {"pk": Arrival.objects.get(name=name).pk, **more}


def delivery(name: str) -> Arguments:
    return lambda: {"pk": Delivery.objects.get(arrival__name=name).pk}


def account(name: str, **more: Any) -> Arguments:
    return lambda: {"id": User.objects.get(username=name).pk, **more}


def given(**arguments: Any) -> Arguments:
    return lambda: arguments


def grant_of(name: str) -> Arguments:
    return lambda: {
        "id": User.objects.get(username=name).pk,
        "grant": Grant.objects.get(user__username=name).pk,
    }


def _view_of_olga() -> dict[str, Any]:
    return {
        "pk": SavedView.objects.create(user=User.objects.get(username="olga"), page="history", name="x").pk
    }


# fmt: off
TABLE: dict[str, tuple[Row, ...]] = {
    #                                    ""  none sam olga augu rita stel adam
    "home":                 (Row("302 200 200 200 200 200 200 200"),),
    "account":              (Row("302 200 200 200 200 200 200 200"),),
    "health":               (Row("503 503 503 503 503 503 503 503"),),  # no watcher runs here
    "tokens":               (Row("302 200 200 200 200 200 200 200"),),
    "revoke-token":         (Row("302 404 404 404 404 404 404 404", given(id="01M8K000000000000000000000"), {}),),
    # Accounts: an administrator's alone
    "users":                (Row("302 403 403 403 403 403 403 200"),),
    "new-user":             (Row("302 403 403 403 403 403 403 200"),),
    "user":                 (Row("302 403 403 403 403 403 403 200", account("sam")),),
    "add-role":             (Row("302 403 403 403 403 403 403 302", account("sam"), {"role": "auditor"}),),
    "remove-role":          (Row("302 403 403 403 403 403 403 302", grant_of("sam"), {}),),
    "user-link":            (Row("302 403 403 403 403 403 403 200", account("sam"), {}),),
    "change-user":          (Row("302 403 403 403 403 403 403 302", account("sam", what="deactivate"), {}),),
    # What was delivered
    "archive":              (Row("302 200 200 200 200 200 200 200"),),
    "open":                 (Row("302 404 404 200 200 200 404 200", delivery("north-1.pdf")),
                             Row("302 404 404 200 200 404 404 200", delivery("south-1.txt"))),
    "look":                 (Row("302 404 404 200 200 404 404 200", delivery("south-1.txt")),),
    "picture":              (Row("302 404 404 404 404 404 404 404", delivery("south-1.txt")),),
    "download":             (Row("302 404 404 200 200 200 404 200", delivery("north-1.pdf")),
                             Row("302 404 404 200 200 404 404 200", delivery("south-1.txt"))),
    "download_zip":         (Row("302 404 404 200 200 404 200 200", query="id=1"),),
    "proof":                (Row("302 404 404 200 200 200 404 200", delivery("north-1.pdf")),),
    "proof_bundle":         (Row("302 404 404 200 200 200 404 200", delivery("north-1.pdf")),),
    "known":                (Row("302 200 200 200 200 200 200 200"),),
    "arrival_proof":        (Row("302 404 200 200 200 404 200 200", arrival("heart-1")),
                             Row("302 404 404 200 200 404 404 200", arrival("lung-1"))),
    "arrival_proof_bundle": (Row("302 404 200 200 200 404 200 200", arrival("heart-1")),
                             Row("302 404 404 200 200 404 404 200", arrival("lung-1"))),
    # One arrival
    "find":                 (Row("302 200 200 200 200 200 200 200", query="q=heart-1"),),
    "arrival":              (Row("302 404 200 200 200 404 200 200", arrival("heart-1")),
                             Row("302 404 404 200 200 404 404 200", arrival("lung-1"))),
    "arrival_live":         (Row("302 404 404 200 200 404 404 200", arrival("lung-1")),),
    "arrival_items":        (Row("302 404 404 200 200 404 404 200", arrival("lung-1")),),
    "arrival_receipt":      (Row("302 404 404 200 200 404 404 200", arrival("lung-1", kind="json")),),
    "retry":                (Row("302 404 404 302 404 404 404 302", arrival("bad"), {}),),
    "dismiss":              (Row("302 404 404 302 404 404 404 302", arrival("bad"), {"reason": "x"}),),
    "retry_selected":       (Row("302 404 404 200 404 404 404 200", dict, {"id": "x"}),),
    "retry_reason":         (Row("302 404 404 200 404 404 404 200", dict, {"reason": "x"}),),
    "home_part":            (Row("302 404 404 200 404 404 404 200", given(name="failed")),),
    # Technicians' check, folder table, routes
    "check":                (Row("302 404 404 200 200 404 404 200"),),
    "flag_audited":         (Row("302 404 404 302 302 404 404 302", dict, {}),),
    "folders":              (Row("302 404 404 200 200 404 404 200"),),
    "folders_preview":      (Row("302 404 404 404 404 404 404 404", dict, {"table": "x"}),),
    "folders_load":         (Row("302 404 404 404 404 404 404 404", dict, {"table": "x"}),),
    "routes":               (Row("302 404 404 200 200 404 404 200"),),
    # Listings
    "arrivals":             (Row("302 404 200 200 200 404 200 200"),),
    "history":              (Row("302 404 200 200 200 200 200 200"),),
    "pending":              (Row("302 404 200 200 200 404 200 200"),),
    "unfetched":            (Row("302 404 200 200 200 200 200 200"),),
    "acknowledgments":      (Row("302 404 200 200 200 200 200 200"),),
    "undo_acknowledgment":  (Row("302 404 404 404 404 404 404 404", given(pk="01M8K000000000000000000000")),),
    "log_readers":          (Row("302 404 404 200 200 404 404 200"),),
    "trail":                (Row("302 404 404 200 200 404 404 200"),),
    "export":               (Row("302 404 200 200 200 200 200 200", given(name="history", form="csv")),
                             Row("302 404 404 200 200 404 404 200", given(name="trail", form="json"))),
    "save_view":            (Row("302 404 302 302 302 302 302 302", given(page="history"), {"name": "x"}),),
    "remove_view":          (Row("302 404 404 302 404 404 404 404", _view_of_olga, {}),),
}
# fmt: on


def addresses(resolver: URLResolver | None = None) -> Iterator[str]:
    """The names of the portal's own pages."""
    resolver = resolver or get_resolver()
    for one in resolver.url_patterns:
        if isinstance(one, URLResolver):
            if one.namespace in (None, "dropslot"):
                yield from addresses(one)
        elif isinstance(one, URLPattern) and one.name and one.lookup_str.startswith(_OWN):
            yield one.name


_OWN = ("dropslot.portal.pages.", "dropslot.api.health.")


def test_each_address_has_a_row() -> None:
    assert sorted(set(addresses()) - TABLE.keys()) == []


@pytest.fixture
def filled(site: Site) -> Site:
    site.drop("study", "heart-1", {"scan": b"a"})
    site.deliver("sam")
    site.drop("study", "lung-1", {"scan": b"b"})
    site.drop("results", "north-1.pdf", b"%PDF-1.4 n")
    site.drop("results", "south-1.txt", b"south")
    site.drop("study", "bad", {"scan": b"c"})
    site.deliver("olga")
    return site


def _status(site: Site, who: str, name: str, row: Row) -> int:
    """What was changed is undone, so that each finds the same."""
    client = site.client(who)
    with transaction.atomic():
        path = reverse(f"dropslot:{name}", kwargs=row.arguments())
        answer = client.get(f"{path}?{row.query}") if row.post is None else client.post(path, row.post)
        if answer.streaming:
            b"".join(answer)  # type: ignore[arg-type]
        transaction.set_rollback(True)
    return answer.status_code


def _statuses(site: Site) -> Iterator[tuple[str, str, str]]:
    """Address, what is expected, what was found."""
    there = set(addresses())
    for name, rows in ((name, rows) for name, rows in TABLE.items() if name in there):
        for number, row in enumerate(rows):
            found = " ".join(str(_status(site, who, name, row)) for who in WHO)
            yield f"{name} {number}", row.statuses, found


def test_each_address_answers_each_role_as_the_table_says(filled: Site) -> None:
    wrong = [
        f"{name}: {found}, expected {wanted}" for name, wanted, found in _statuses(filled) if found != wanted
    ]
    assert not wrong, "\n".join(wrong)


def test_an_address_that_only_takes_forms_shows_nothing(filled: Site) -> None:
    for name, rows in TABLE.items():
        if rows[0].post is not None and name in set(addresses()):
            path = reverse(f"dropslot:{name}", kwargs=rows[0].arguments())
            assert filled.client("adam").get(path).status_code in (302, 405), name
