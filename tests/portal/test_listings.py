"""The pages of the listings: what each role sees, pages, filters, saved views, undoing."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from dropslot.access.models import SavedView
from dropslot.acknowledgments import unfetched
from dropslot.acknowledgments.models import Acknowledgment, LogReading
from dropslot.arrivals.listings.search import indexer
from dropslot.arrivals.models import Delivery
from dropslot.audit.models import Event
from dropslot.config import from_mapping
from portals import Site, routes

BOTH_DATABASES = True

PAGES = ("arrivals", "history", "pending", "unfetched", "acknowledgments", "log_readers", "trail")
NAMES = ("heart-1", "lung-1", "north-1.pdf", "south-1.pdf")


def acknowledge(delivery: Delivery, number: int = 1) -> Acknowledgment:
    at = datetime(2026, 5, 1, 12, tzinfo=UTC)
    row: Acknowledgment = Acknowledgment.objects.create(
        id=f"01KAAAAAAAAAAAAAAAAAAAAA{number:02}",
        delivery=delivery,
        user="clinic",
        address="10.0.0.1",
        at=at,
        evidence="whole",
        log="/var/log/access.log",
        line=b"GET /",
        recorded_at=at,
    )
    return row


@pytest.fixture
def filled(site: Site, settings: Any) -> Site:
    """Two studies of sam, two results of olga, of which one was fetched; one refused, one waiting."""
    given = routes(site.root)
    given["results"]["acknowledge"] = [
        {
            "log": str(site.root / "access.log"),
            "match": "/{folder}/{stored_name}",
            "users": {"clinic": "south"},
        }
    ]
    site.config = settings.DROPSLOT = from_mapping(
        {"data": str(site.root / "var"), "portal": {}, "routes": given}, site.root
    )
    site.drop("study", "heart-1", {"scan": b"a"})
    site.drop("study", "lung-1", {"scan": b"b"})
    site.deliver("sam")
    site.drop("results", "north-1.pdf")
    site.drop("results", "south-1.pdf")
    site.deliver("olga")
    site.drop("results", "refused-1.exe")
    site.deliver("sam")
    site.drop("results", "half.part")
    acknowledge(Delivery.objects.get(item="south-1.pdf"))
    LogReading.objects.create(
        id="01KAAAAAAAAAAAAAAAAAAAAAAA",
        route="results",
        log="/var/log/access.log",
        started_at=datetime(2026, 5, 1, tzinfo=UTC),
        error="The server did not answer",
    )
    return site


def text(client: Client, page: str, **query: str) -> str:
    """The table of a page."""
    answer = client.get(reverse(f"dropslot:{page}"), query)
    assert answer.status_code == 200, (page, answer.status_code)
    whole = answer.content.decode()
    return whole[whole.index("<h1") :]


SEEN: dict[str, dict[str, set[str] | None]] = {
    "olga": {
        "arrivals": {*NAMES, "refused-1.exe"},
        "history": set(NAMES),
        "pending": {"half.part"},
        "unfetched": {"north-1.pdf"},
        "acknowledgments": {"south-1.pdf"},
        "log_readers": {"did not answer"},
        "trail": {"refused"},
    },
    "sam": {
        "arrivals": {"heart-1", "lung-1", "refused-1.exe"},
        "history": {"heart-1", "lung-1"},
        "pending": set(),
        "unfetched": set(),
        "acknowledgments": set(),
        "log_readers": None,
        "trail": None,
    },
    "rita": {
        "arrivals": None,
        "history": {"north-1.pdf"},
        "pending": None,
        "unfetched": {"north-1.pdf"},
        "acknowledgments": set(),
        "log_readers": None,
        "trail": None,
    },
    "stella": {
        "arrivals": {"heart-1"},
        "history": {"heart-1"},
        "pending": set(),
        "unfetched": set(),
        "acknowledgments": set(),
        "log_readers": None,
        "trail": None,
    },
    "nobody": dict.fromkeys(PAGES),
}
SEEN |= {"augusta": SEEN["olga"], "adam": SEEN["olga"]}
_WORDS = (*NAMES, "refused-1.exe", "half.part", "did not answer")


@pytest.mark.parametrize("is_indexed", [False, True])
def test_each_role_sees_only_its_rows(filled: Site, is_indexed: bool) -> None:
    if is_indexed:
        take_all_in()
    for name, pages in SEEN.items():
        assert set(pages) == set(PAGES)
        for page, expected in pages.items():
            client = filled.client(name)
            if expected is None:
                assert client.get(reverse(f"dropslot:{page}")).status_code == 404, (name, page)
            elif page == "trail":
                assert "refused" in text(client, page)
            else:
                shown = text(client, page)
                assert {word for word in _WORDS if word in shown} == expected, (name, page)


def take_all_in() -> None:
    """The index has everything."""
    indexer.begin()
    unfetched.begin()
    while indexer.catch_up() or unfetched.catch_up():
        pass


@pytest.mark.sqlite_only
def test_nobody_is_sent_to_the_sign_in(site: Site) -> None:
    for page in PAGES:
        answer = site.client("").get(reverse(f"dropslot:{page}"))
        assert answer.status_code == 302
        assert "login" in answer["Location"]


@pytest.mark.parametrize("is_indexed", [False, True])
def test_older_pages_keep_the_filter_and_show_each_row_once(site: Site, is_indexed: bool) -> None:
    for number in range(120):
        site.drop("results", f"north-{number:03}.txt")
    site.drop("results", "south-1.txt")
    site.deliver()
    if is_indexed:
        take_all_in()
    client, found, address = site.client("olga"), [], f"{reverse('dropslot:arrivals')}?search=NORTH"
    while address:
        page = client.get(address).content.decode()
        found += re.findall(r"north-\d+\.txt(?=</bdi>)", page)
        older = re.search(r'rel="next" href="(\?[^"]*)"', page)
        address = f"{reverse('dropslot:arrivals')}{older[1].replace('&amp;', '&')}" if older else ""
    assert sorted(found) == [f"north-{number:03}.txt" for number in range(120)]


def test_a_cursor_that_no_page_gave_leads_to_the_newest(filled: Site) -> None:
    for page in PAGES:
        for cursor in ("x", "-1", "9" * 30, "\x00", "é"):
            assert text(filled.client("olga"), page, cursor=cursor)


@pytest.mark.parametrize(
    ("page", "query", "expected"),
    [
        ("arrivals", {"search": "EART"}, {"heart-1"}),
        ("arrivals", {"search": "sam"}, {"heart-1", "lung-1", "refused-1.exe"}),
        ("arrivals", {"state": "failed"}, {"refused-1.exe"}),
        ("arrivals", {"route": "study"}, {"heart-1", "lung-1"}),
        ("arrivals", {"sender": "olga"}, {"north-1.pdf", "south-1.pdf"}),
        ("arrivals", {"field": "study=lung"}, {"lung-1"}),
        ("arrivals", {"since": "2999-01-01"}, set()),
        ("arrivals", {"until": "2001-01-01"}, set()),
        ("arrivals", {"since": "2001-01-01", "until": "2999-01-01"}, {*NAMES, "refused-1.exe"}),
        ("history", {"search": "orth-1"}, {"north-1.pdf"}),
        ("history", {"search": "nothing like it"}, set()),
        ("history", {"field": "folder=south"}, {"south-1.pdf"}),
        ("unfetched", {"search": "south"}, set()),
        ("unfetched", {"search": "north"}, {"north-1.pdf"}),
    ],
)
def test_filters_and_searches(filled: Site, page: str, query: dict[str, str], expected: set[str]) -> None:
    plain = text(filled.client("olga"), page, **query)
    take_all_in()
    for shown in (plain, text(filled.client("olga"), page, **query)):
        table = shown[shown.index("</form>") :]
        assert {word for word in _WORDS if word in table} == expected


@pytest.mark.sqlite_only
def test_a_mistake_in_a_filter_says_what_to_write(filled: Site) -> None:
    shown = text(filled.client("olga"), "arrivals", since="yesterday", field="heart")
    assert "Write a day as 2026-03-01." in shown
    assert "study=heart" in shown


def test_a_search_for_a_sha256_finds_its_file(filled: Site) -> None:
    row = Delivery.objects.get(item="north-1.pdf")
    Delivery.objects.filter(pk=row.pk).update(sha256="0123abcd" * 8)
    take_all_in()
    for search in ("0", "0123", "0123ABCDE", "0123abcd" * 8):
        found = text(filled.client("olga"), "history", search=search)
        assert ("north-1.pdf" in found[found.index("</form>") :]) == (search != "0123ABCDE")


@pytest.mark.sqlite_only
def test_a_filter_is_saved_shown_and_removed(filled: Site) -> None:
    client = filled.client("olga")
    query = "search=a%26b&route=study&cursor=1&next=https://elsewhere.example"
    client.post(reverse("dropslot:save_view", args=["arrivals"]), {"name": "<b>mine</b>", "query": query})
    view = SavedView.objects.get()
    assert view.query == "search=a%26b&route=study"
    shown = text(client, "arrivals")
    assert 'href="?search=a%26b&amp;route=study"' in shown
    assert "&lt;b&gt;mine&lt;/b&gt;" in shown
    assert "mine" not in text(filled.client("adam"), "arrivals")
    assert filled.client("adam").post(reverse("dropslot:remove_view", args=[view.pk])).status_code == 404
    client.post(reverse("dropslot:remove_view", args=[view.pk]))
    assert not SavedView.objects.exists()


@pytest.mark.sqlite_only
def test_an_operator_undoes_an_acknowledgment_with_a_reason(filled: Site) -> None:
    row = Acknowledgment.objects.get()
    address, client = reverse("dropslot:undo_acknowledgment", args=[row.id]), filled.client("olga")
    assert address in text(client, "acknowledgments")
    assert client.post(address, {"reason": " "}).status_code == 422
    assert Acknowledgment.objects.get().undone_at is None
    client.post(address, {"reason": "the wrong clinic"})
    undone = Acknowledgment.objects.get()
    assert (undone.undone_because, undone.undone_by) == ("the wrong clinic", "olga")
    assert Event.objects.filter(kind="unacknowledged").count() == 1
    take_all_in()
    assert "south-1.pdf" in text(client, "unfetched")


@pytest.mark.parametrize("name", ["augusta", "sam", "rita", "stella", "nobody"])
@pytest.mark.sqlite_only
def test_others_cannot_undo_an_acknowledgment(filled: Site, name: str) -> None:
    address = reverse("dropslot:undo_acknowledgment", args=[Acknowledgment.objects.get().id])
    assert filled.client(name).get(address).status_code == 404
    assert filled.client(name).post(address, {"reason": "because"}).status_code == 404
    assert address not in (text(filled.client(name), "acknowledgments") if name != "nobody" else "")
    assert Acknowledgment.objects.get().undone_at is None


def test_what_was_fetched_since_the_index_saw_it_is_not_listed(filled: Site) -> None:
    take_all_in()
    assert "north-1.pdf" in text(filled.client("olga"), "unfetched")
    acknowledge(Delivery.objects.get(item="north-1.pdf"), 2)
    assert "north-1.pdf" not in text(filled.client("olga"), "unfetched")


@pytest.mark.parametrize(
    ("name", "sees"),
    [("olga", True), ("augusta", True), ("adam", True), ("sam", False), ("rita", False), ("stella", False)],
)
@pytest.mark.sqlite_only
def test_addresses_of_destinations_are_for_who_sees_the_route(filled: Site, name: str, sees: bool) -> None:
    page = filled.client(name).get("/history/").content.decode()
    assert ("Destination</th>" in page, str(filled.root) in page) == (sees, sees)
    exported = b"".join(filled.client(name).get("/export/history.json")).decode()
    rows = [json.loads(line) for line in exported.splitlines()]
    assert rows and all({"destination", "archived_as"} <= row.keys() for row in rows)
    assert {bool(row["destination"]) for row in rows} == {sees}
    assert (str(filled.root) in exported) == sees


@pytest.mark.sqlite_only
def test_a_role_for_another_route_shows_no_address(filled: Site) -> None:
    filled.account("rosa", "recipient", routes=("results",), folders=("north",))
    filled.account("rosa", "operator", routes=("study",))
    page = filled.client("rosa").get("/history/").content.decode()
    assert f"{filled.root}/studies" in page and f"{filled.root}/clinics" not in page
