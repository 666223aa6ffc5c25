"""The page of one arrival: its state, its way, its items and receipt, and what may be done."""

from __future__ import annotations

import html
import json
import re
from typing import Any

import pytest

from dropslot.access import visit_trail
from dropslot.arrivals.models import Arrival, Delivery
from dropslot.audit.chain import Entry, append
from dropslot.audit.kinds import Kind
from dropslot.audit.models import Event, Receipt
from dropslot.core.states import State
from dropslot.portal.words.event_words import in_words
from portal.hostile_names import NAMES
from portals import Site


def answer(site: Site, name: str, path: str) -> Any:
    return site.client(name).get(path)


def page(site: Site, name: str, path: str) -> str:
    found = answer(site, name, path)
    assert found.status_code == 200, path
    return html.unescape(found.content.decode())


@pytest.fixture
def done(site: Site) -> Arrival:
    site.drop("study", "heart-1", {"scan.txt": b"x" * 2000, "more/notes.txt": b"y"})
    site.deliver("sam")
    return site.arrival("heart-1")


@pytest.fixture
def refused(site: Site) -> Arrival:
    site.drop("results", "north-1.exe")
    site.deliver("sam")
    return site.arrival("north-1.exe")


@pytest.mark.parametrize(
    ("name", "sees"),
    [
        ("olga", True),
        ("augusta", True),
        ("adam", True),
        ("sam", True),
        ("stella", True),
        ("rita", False),
        ("nobody", False),
    ],
)
def test_who_may_see_an_arrival_sees_its_page_and_nobody_else(
    site: Site, done: Arrival, name: str, sees: bool
) -> None:
    for part in ("", "live/", "items/", "receipt.json", "receipt.sig"):
        assert answer(site, name, f"/arrivals/{done.id}/{part}").status_code == (200 if sees else 404), part


def test_an_id_that_does_not_exist_is_not_found(site: Site) -> None:
    assert answer(site, "olga", "/arrivals/01ARZ3NDEKTSV4RRFFQ69G5FAV/").status_code == 404
    assert answer(site, "olga", "/arrivals/nothing/").status_code == 404


def test_a_finished_arrival_shows_state_items_receipt_and_way(site: Site, done: Arrival) -> None:
    shown = page(site, "olga", f"/arrivals/{done.id}/")
    for text in (
        "Sent",
        "scan.txt",
        "more/notes.txt",
        "2.0 kB",
        "It was taken from the inbox",
        "Sent: 2 items delivered",
    ):
        assert text in shown, text
    assert Delivery.objects.filter(item="scan.txt").get().sha256 in shown
    assert done.archived_as in shown


def test_paths_of_the_service_are_for_operators_only(site: Site, done: Arrival) -> None:
    for name in ("sam", "stella", "augusta"):
        shown = page(site, name, f"/arrivals/{done.id}/")
        assert done.archived_as not in shown
        assert "kept in the archive" in shown


def test_a_sender_does_not_see_who_works_or_looks_there(site: Site, done: Arrival) -> None:
    append_event(
        Kind.VIEWED, done, {"by": "rita", "address": "192.0.2.9", "stored_as": "scan.txt", "version": 1}
    )
    assert "Looked at by rita" in page(site, "augusta", f"/arrivals/{done.id}/")
    assert "rita" not in page(site, "sam", f"/arrivals/{done.id}/")


def test_the_receipt_is_given_as_it_was_signed_and_that_is_an_event(site: Site, done: Arrival) -> None:
    receipt = Receipt.objects.get()
    body, signature = (answer(site, "sam", f"/arrivals/{done.id}/receipt.{kind}") for kind in ("json", "sig"))
    assert body.content.decode() == receipt.body
    assert signature.content.decode() == receipt.signature
    assert body["Content-Disposition"].startswith("attachment")
    visit_trail.trail().record()
    told = [json.loads(event.data) for event in Event.objects.filter(kind=Kind.EXPORTED).order_by("seq")]
    assert [(event["by"], event["what"]) for event in told] == [
        ("sam", "receipt (json)"),
        ("sam", "receipt (sig)"),
    ]


def test_a_refused_arrival_says_why_and_where_it_is(site: Site, refused: Arrival) -> None:
    shown = page(site, "olga", f"/arrivals/{refused.id}/")
    assert refused.reason[0] in shown
    assert str(site.root / "results" / "failed" / refused.id / "north-1.exe") in shown
    assert "nothing is there now" not in shown


def test_it_says_when_the_bytes_are_not_where_they_should_be(site: Site, refused: Arrival) -> None:
    (site.root / "results" / "failed" / refused.id / "north-1.exe").unlink()
    assert "nothing is there now" in page(site, "olga", f"/arrivals/{refused.id}/")


@pytest.mark.parametrize(
    ("name", "may"), [("olga", True), ("adam", True), ("augusta", False), ("sam", False)]
)
def test_only_operators_get_buttons(site: Site, refused: Arrival, name: str, may: bool) -> None:
    shown = page(site, name, f"/arrivals/{refused.id}/")
    assert ("Retry it" in shown) is may
    assert ("Dismiss it" in shown) is may


@pytest.mark.parametrize("state", list(State))
def test_every_state_has_a_word_and_an_unfinished_one_is_followed(
    site: Site, done: Arrival, state: State
) -> None:
    Arrival.objects.filter(pk=done.pk).update(state=state, reason=["some reason"])
    shown = page(site, "olga", f"/arrivals/{done.id}/")
    assert "Unknown" not in shown
    assert ("hx-get" in shown) is (state not in (State.DONE, State.FAILED))


def test_a_browser_that_follows_gets_news_only(site: Site, done: Arrival) -> None:
    Arrival.objects.filter(pk=done.pk).update(state=State.PROCESSING)
    [asked] = re.findall(r'hx-get="([^"]+)"', page(site, "olga", f"/arrivals/{done.id}/"))
    assert answer(site, "olga", asked).status_code == 204
    Arrival.objects.filter(pk=done.pk).update(state=State.DONE)
    assert "hx-get" not in page(site, "olga", asked)


def test_many_items_are_shown_by_pages(site: Site, done: Arrival) -> None:
    row = Delivery.objects.filter(item="scan.txt").get()
    values = {field.attname: getattr(row, field.attname) for field in Delivery._meta.fields}
    del values["id"]
    Delivery.objects.bulk_create(
        Delivery(**values | {"item": f"item-{n:06}", "stored_as": f"item-{n:06}"}) for n in range(250)
    )
    path, seen = f"/arrivals/{done.id}/", []
    while path:
        shown = page(site, "olga", path)
        seen += re.findall(
            r'class="name fw-semibold">([^<]+)</span>',
            shown.partition("The next items")[0].partition("Fetched</h2>")[0],
        )
        [*following] = re.findall(r'href="([^"]+)">The next items', shown)
        path = following[0] if following else ""
    assert sorted(seen) == sorted(["scan.txt", "more/notes.txt", *(f"item-{n:06}" for n in range(250))])


def test_many_events_are_shown_by_pages(site: Site, done: Arrival) -> None:
    for number in range(250):
        append_event(Kind.UPLOAD_AUDITED, done, {"by": f"auditor {number}", "note": ""})
    path, seen = f"/arrivals/{done.id}/", []
    while path:
        shown = page(site, "olga", path)
        seen += re.findall(r"auditor (\d+):", shown)
        [*following] = re.findall(r'href="([^"]+)">Older events', shown)
        path = following[0] if following else ""
    assert sorted(map(int, seen)) == list(range(250))


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_name_is_shown_and_never_obeyed(site: Site, done: Arrival, name: str) -> None:
    Arrival.objects.filter(pk=done.pk).update(
        name=name, sender=name[:150], fields={name: name}, reason=[name], location=name[:150]
    )
    Delivery.objects.filter(item="scan.txt").update(item=name, stored_as=name)
    append_event(Kind.RENAMED, done, {"from": name, "to": name, "by": name})
    for state in (State.DONE, State.FAILED, State.RETRYING):
        Arrival.objects.filter(pk=done.pk).update(state=state)
        for path in (
            f"/arrivals/{done.id}/",
            f"/arrivals/{done.id}/items/",
            "/",
            "/check/?show=all",
            "/find/?q=heart",
        ):
            raw = answer(site, "olga", path).content.decode()
            assert "<script>alert" not in raw
            assert "<img src=x" not in raw
            assert "<svg onload" not in raw
            assert " onmouseover='" not in raw
    assert name in html.unescape(answer(site, "olga", f"/arrivals/{done.id}/").content.decode())


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_of_event_has_words_even_with_data_that_is_not_as_expected(kind: Kind) -> None:
    for data in ({}, {"reason": None, "by": 3}, {"outcomes": [], "names": 1, "files": "x", "count": "y"}):
        assert in_words(kind, data).sentence


def test_a_file_that_was_set_aside_before_it_was_intact_again_is_named_with_its_place() -> None:
    files = [{"stored_as": "a", "set_aside": ".dropslot/damaged/X/a"}, {"stored_as": "b"}]
    words = in_words(Kind.INTACT_AGAIN, {"destination": "/studies", "count": 2, "files": files})
    assert words.lines[1:] == ("a (before, it was set aside as .dropslot/damaged/X/a)", "b")


def test_an_event_of_an_unknown_kind_is_shown_by_its_kind() -> None:
    assert in_words("some-new-kind", {}).sentence == "Some new kind"


def append_event(kind: Kind, row: Arrival, data: dict[str, Any]) -> None:
    from django.db import transaction

    with transaction.atomic():
        append([Entry(kind.value, row.id, data)])
