"""The addresses of the portal's pages, and the status that each role gets.

A row gives the status for each of WHO, in this order. What is not to be seen is 404, like what does not exist. A page
of one thing has a row for a thing that some see, and a row for a thing of other people.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from dropslot.access.models import Grant, SavedView
from dropslot.arrivals.models import Arrival, Delivery
from dropslot.dicom.models import Instance, Patient, Series, Study

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


@dataclass(frozen=True)
class Of:
    """The address of one arrival, delivery or account; the first two are given by the arrival's name."""

    kind: str
    name: str
    more: tuple[tuple[str, Any], ...] = ()

    def __call__(self) -> dict[str, Any]:
        key, found, by = _KINDS[self.kind]
        return {key: found().get(**{by: self.name}).pk, **dict(self.more)}

    def every(self) -> Iterator[dict[str, Any]]:
        """The same for each that is there."""
        key, found, _ = _KINDS[self.kind]
        for pk in found().values_list("pk", flat=True):
            yield {key: pk, **dict(self.more)}


_KINDS: dict[str, tuple[str, Callable[[], QuerySet[Any]], str]] = {
    "arrival": ("pk", Arrival.objects.all, "name"),
    "delivery": ("pk", Delivery.objects.all, "arrival__name"),
    "account": ("id", User.objects.all, "username"),
    "patient": ("pk", Patient.objects.all, "studies__series__arrival__name"),
    "study": ("pk", Study.objects.all, "series__arrival__name"),
    "series": ("pk", Series.objects.all, "arrival__name"),
    "instance": ("pk", Instance.objects.all, "arrival__name"),
}


def arrival(name: str, **more: Any) -> Arguments:
    return Of("arrival", name, tuple(more.items()))


def delivery(name: str) -> Arguments:
    return Of("delivery", name)


def account(name: str, **more: Any) -> Arguments:
    return Of("account", name, tuple(more.items()))


def images(kind: str, name: str) -> Arguments:
    """The patient, study, series or instance that came with the arrival of this name."""
    return Of(kind, name)


def given(**arguments: Any) -> Arguments:
    return lambda: arguments


@dataclass(frozen=True)
class OfGrant:
    """The address of the one role of an account."""

    name: str

    def __call__(self) -> dict[str, Any]:
        grant = Grant.objects.get(user__username=self.name)
        return {"id": grant.user_id, "grant": grant.pk}

    def every(self) -> Iterator[dict[str, Any]]:
        """The same for each that is there."""
        for user, grant in Grant.objects.values_list("user", "pk"):
            yield {"id": user, "grant": grant}


def grant_of(name: str) -> Arguments:
    return OfGrant(name)


def _view_of_olga() -> dict[str, Any]:
    return {
        "pk": SavedView.objects.create(user=User.objects.get(username="olga"), page="history", name="x").pk
    }


# fmt: off
TABLE: dict[str, tuple[Row, ...]] = {
    #                                    ""  none sam olga augu rita stel adam
    "home":                 (Row("302 200 200 200 200 200 200 200"),),
    "upload":               (Row("302 200 200 200 200 200 200 200"),),
    "account":              (Row("302 200 200 200 200 200 200 200"),),
    "health":               (Row("503 503 503 503 503 503 503 503"),),  # no watcher runs here
    "tokens":               (Row("302 200 200 200 200 200 200 200"),),
    "notifications":        (Row("302 200 200 200 200 200 200 200"),
                             Row("302 302 302 302 302 302 302 302", post={"how": "nothing", "where": "mail"})),
    "test-notification":    (Row("302 302 302 302 302 302 302 302", post={}),),
    "revoke-token":         (Row("302 404 404 404 404 404 404 404", given(id="01M8K000000000000000000000")),
                             Row("302 404 404 404 404 404 404 404", given(id="01M8K000000000000000000000"), {})),
    # Accounts: an administrator's alone
    "users":                (Row("302 403 403 403 403 403 403 200"),),
    "new-user":             (Row("302 403 403 403 403 403 403 200"),),
    "user":                 (Row("302 403 403 403 403 403 403 200", account("sam")),),
    "add-role":             (Row("302 403 403 403 403 403 403 302", account("sam"), {"role": "auditor"}),),
    "remove-role":          (Row("302 403 403 403 403 403 403 200", grant_of("sam")),
                             Row("302 403 403 403 403 403 403 302", grant_of("sam"), {})),
    "user-link":            (Row("302 403 403 403 403 403 403 200", account("sam"), {}),),
    "change-user":          (Row("302 403 403 403 403 403 403 200", account("sam", what="deactivate")),
                             Row("302 403 403 403 403 403 403 405", account("sam", what="sign-out")),
                             Row("302 403 403 403 403 403 403 302", account("sam", what="deactivate"), {})),
    "user-address":         (Row("302 403 403 403 403 403 403 302", account("sam"), {"email": "sam@lab.example"}),),
    "own-address":          (Row("302 302 302 302 302 302 302 302", post={"email": "me@lab.example"}),),
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
    "reports":              (Row("302 200 200 200 200 200 200 200"),
                             Row("302 404 404 404 404 404 404 404", query="month=x")),
    "report_file":          (Row("302 200 200 200 200 200 200 200", lambda: {"month": "2026-01", "form": "csv"}),
                             Row("302 404 404 404 404 404 404 404", lambda: {"month": "2026-01", "form": "exe"})),
    "verify":               (Row("302 404 404 200 200 404 404 200"),),
    "verify_start":         (Row("302 404 404 302 302 404 404 302", post={"what": "trail"}),),
    "verify_run":           (Row("302 404 404 404 404 404 404 404", lambda: {"pk": "01ARZ3NDEKTSV4RRFFQ69G5FAV"}),),
    "verify_stop":          (Row("302 404 404 404 404 404 404 404", lambda: {"pk": "01ARZ3NDEKTSV4RRFFQ69G5FAV"},
                                 post={}),),
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
    "hold":                 (Row("302 404 404 302 404 404 404 302", arrival("bad"), {"reason": "x"}),),
    "hold_release":         (Row("302 404 404 302 404 404 404 302", arrival("bad"), {"reason": "x"}),),
    "release":              (Row("302 404 404 302 404 404 404 302", arrival("bad"), {}),),
    "release_selected":     (Row("302 404 404 302 404 404 404 302", dict, {"id": "x"}),),
    "retry_selected":       (Row("302 404 404 200 404 404 404 200", dict, {"id": "x"}),),
    "retry_reason":         (Row("302 404 404 200 404 404 404 200", dict, {"reason": "x"}),),
    "retried_live":         (Row("302 404 404 200 404 404 404 200"),),
    "home_part":            (Row("302 404 404 200 404 404 404 200", given(name="operator")),
                             Row("302 404 200 404 404 404 404 404", given(name="sender"))),
    # Technicians' check, folder table, routes
    "check":                (Row("302 404 404 200 200 404 404 200"),),
    "flag_audited":         (Row("302 404 404 302 302 404 404 302", dict, {}),),
    "folders":              (Row("302 404 404 200 200 404 404 200"),),
    "folders_preview":      (Row("302 404 404 404 404 404 404 404", dict, {"table": "x"}),),
    "folders_load":         (Row("302 404 404 404 404 404 404 404", dict, {"table": "x"}),),
    "routes":               (Row("302 404 404 200 200 404 404 200"),),
    "space":                (Row("302 404 404 200 200 404 200 200"),),
    # Images
    "patients":             (Row("302 404 200 200 200 200 200 200"),),
    "studies":              (Row("302 404 200 200 200 200 200 200"),),
    "series":               (Row("302 404 200 200 200 200 200 200", query="search=Doe"),),
    "patient":              (Row("302 404 200 200 200 404 200 200", images("patient", "heart-1")),
                             Row("302 404 404 200 200 200 404 200", images("patient", "north-1.pdf"))),
    "study":                (Row("302 404 200 200 200 404 200 200", images("study", "heart-1")),
                             Row("302 404 404 200 200 404 404 200", images("study", "lung-1"))),
    "one_series":           (Row("302 404 200 200 200 404 200 200", images("series", "heart-1")),
                             Row("302 404 404 200 200 200 404 200", images("series", "north-1.pdf"))),
    "image":                (Row("302 404 200 200 200 404 200 200", images("instance", "heart-1")),
                             Row("302 404 404 200 200 200 404 200", images("instance", "north-1.pdf")),
                             Row("302 404 404 200 200 404 404 200", images("instance", "lung-1"))),
    # A sender sees what arrived, and opens nothing of it.
    "preview":              (Row("302 404 404 200 200 404 200 200", images("instance", "heart-1")),
                             Row("302 404 404 200 200 200 404 200", images("instance", "north-1.pdf"))),
    "image_header":         (Row("302 404 404 200 200 404 200 200", images("instance", "heart-1")),
                             Row("302 404 404 200 200 404 404 200", images("instance", "lung-1"))),
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


def pages() -> Iterator[tuple[str, Row]]:
    """The rows that are asked for by GET."""
    there = set(addresses())
    yield from (
        (name, row) for name, rows in TABLE.items() if name in there for row in rows if row.post is None
    )


def paths() -> Iterator[str]:
    """The address of each page that is asked for by GET, once; of pages of one thing, for each that is there."""
    yield from dict.fromkeys(_paths())


def _paths() -> Iterator[str]:
    for name, row in pages():
        every = row.arguments.every() if isinstance(row.arguments, Of | OfGrant) else [row.arguments()]
        yield from (reverse(f"dropslot:{name}", kwargs=arguments) for arguments in every)
