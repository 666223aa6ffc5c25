"""Each address of the API: what it answers, with the keys of the listings."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from django.db import DatabaseError
from django.test import Client

from callers import API, Caller, fill, token_of
from dropslot.access.visit_trail import trail
from dropslot.acknowledgments.listings import acknowledgments
from dropslot.acknowledgments.models import Acknowledgment
from dropslot.arrivals import candidates
from dropslot.arrivals.listings import queries
from dropslot.arrivals.listings.queries import Filter
from dropslot.arrivals.models import Arrival, Upload
from dropslot.audit import event_search
from dropslot.audit.models import Event, Receipt
from dropslot.running import daemon
from portals import Site

BOTH_DATABASES = True


@pytest.fixture
def filled(site: Site) -> Site:
    fill(site)
    return site


@pytest.fixture
def olga(filled: Site) -> Caller:
    """An operator's program, with every scope."""
    return Caller(filled, token_of("olga", "read", "operate", "upload"))


@pytest.fixture
def sam(filled: Site) -> Caller:
    """A sender's program."""
    return Caller(filled, token_of("sam", "upload"))


def _listed(caller: Caller, path: str, **query: Any) -> list[dict[str, Any]]:
    answer = caller.get(path, **query)
    assert answer.status_code == 200, answer.content
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def _problem(answer: Any, status: int) -> dict[str, Any]:
    """The error, which must have everything that an error has."""
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    assert found["status"] == status
    assert found["type"]
    assert found["title"]
    assert found["next_step"]
    return found


# Listings


def test_arrivals_have_the_keys_of_the_listing(olga: Caller) -> None:
    assert _listed(olga, "arrivals") == list(queries.arrivals(Filter()))[::-1]


def test_deliveries_have_the_keys_of_history_and_an_id(olga: Caller) -> None:
    rows = _listed(olga, "deliveries")
    assert [row.pop("id") for row in rows]
    assert rows == list(queries.history(Filter()))[::-1]


def test_events_have_the_keys_of_the_listing(olga: Caller) -> None:
    assert _listed(olga, "events", limit=500) == list(event_search.find())[::-1]


def test_acknowledgments_have_the_keys_of_the_listing(olga: Caller) -> None:
    assert _listed(olga, "acknowledgments") == list(acknowledgments(Filter()))[::-1]


@pytest.mark.sqlite_only
def test_the_watcher_has_the_keys_of_its_command(olga: Caller) -> None:
    config = olga.site.config
    inboxes = [one.as_json() for one in candidates.inboxes(config)]
    assert olga.get("watcher").json() == daemon.as_json(config, daemon.status(config)) | {"inboxes": inboxes}


@pytest.mark.parametrize("path", ["arrivals", "deliveries", "events", "uploads"])
def test_pages_have_each_row_once(olga: Caller, path: str) -> None:
    whole = _listed(olga, path, limit=500)
    found, cursor = [], ""
    while True:
        page = olga.get(path, limit=1, cursor=cursor).json()
        found += page["items"]
        cursor = page["next"]
        if cursor is None:
            break
    assert found == whole
    assert len(whole) > 1


def test_arrivals_are_filtered_as_the_listing_does(olga: Caller) -> None:
    expected: list[tuple[dict[str, str], set[str]]] = [
        ({"state": "failed"}, {"north-bad.exe"}),
        ({"route": "study"}, {"heart-1"}),
        ({"search": "NORTH-1"}, {"north-1.pdf"}),
        ({"since": "1h", "state": "done"}, {"north-1.pdf", "heart-1"}),
        ({"since": "2999-01-01"}, set()),
        ({"search": "a\x00b"}, set()),
        ({"route": "no-such"}, set()),
    ]
    for query, names in expected:
        assert {row["name"] for row in _listed(olga, "arrivals", **query)} == names


def test_a_file_is_found_by_its_sha256_in_any_case(olga: Caller) -> None:
    digest = hashlib.sha256(b"a").hexdigest()
    for written in (digest, digest.upper()):
        assert [row["item"] for row in _listed(olga, "deliveries", sha256=written)] == ["scan"]
    assert _listed(olga, "deliveries", sha256="0" * 64) == []


def test_deliveries_of_one_arrival_and_events_of_one_kind_are_found(olga: Caller) -> None:
    id = olga.site.arrival("heart-1").id
    assert {row["item"] for row in _listed(olga, "deliveries", arrival=id)} == {"scan", "notes/b"}
    assert {row["kind"] for row in _listed(olga, "events", kind="refused")} == {"refused"}
    assert {row["arrival"] for row in _listed(olga, "events", route="study")} == {id}


@pytest.mark.sqlite_only
def test_a_filter_that_cannot_be_read_is_named(olga: Caller) -> None:
    wrong: list[tuple[str, dict[str, str], str]] = [
        ("arrivals", {"limit": "501"}, "limit"),
        ("arrivals", {"limit": "many"}, "limit"),
        ("arrivals", {"state": "lost"}, "state"),
        ("arrivals", {"since": "yesterday"}, "since"),
        ("arrivals", {"stat": "failed"}, "stat"),
        ("arrivals", {"cursor": "x\x00"}, "cursor"),
        ("deliveries", {"cursor": "x"}, "cursor"),
        ("deliveries", {"sha256": "9f86"}, "sha256"),
        ("events", {"cursor": "1 OR 1"}, "cursor"),
        ("uploads", {"cursor": "x.1"}, "cursor"),
    ]
    for path, query, field in wrong:
        problem = _problem(olga.get(path, **query), 422)
        assert [fault["field"] for fault in problem["errors"]] == [field]


# One thing


@pytest.mark.sqlite_only
def test_an_arrival_says_where_it_is_and_what_was_delivered(olga: Caller) -> None:
    row = olga.site.arrival("heart-1")
    found = olga.get(f"arrivals/{row.id}").json()
    assert found["where"] == {"folder": "done", "path": row.archived_as}
    assert found["has_receipt"] is True
    assert {item["item"] for item in found["deliveries"]["items"]} == {"scan", "notes/b"}
    assert found["fields"] == {"study": "heart", "sent": "1"}


@pytest.mark.sqlite_only
def test_a_failed_arrival_says_why_and_where_it_lies(olga: Caller) -> None:
    row = olga.site.arrival("north-bad.exe")
    found = olga.get(f"arrivals/{row.id}").json()
    assert "none of the patterns" in found["reason"][0]
    assert found["where"]["folder"] == "failed"
    assert found["where"]["path"].endswith(f"failed/{row.id}/north-bad.exe")
    assert found["deliveries"] == {"items": [], "next": None}


@pytest.mark.sqlite_only
def test_a_delivery_is_found_by_its_number(olga: Caller) -> None:
    first = _listed(olga, "deliveries")[0]
    assert olga.get(f"deliveries/{first['id']}").json() == first
    _problem(olga.get(f"deliveries/{2**70}"), 404)


@pytest.mark.sqlite_only
def test_a_receipt_is_the_text_that_was_signed(olga: Caller) -> None:
    row = olga.site.arrival("heart-1")
    signed = Receipt.objects.get(arrival=row.id)
    expected = {
        "arrival": row.id,
        "receipt": json.loads(signed.body),
        "body": signed.body,
        "signature": signed.signature,
    }
    assert olga.get(f"receipts/{row.id}").json() == expected
    assert olga.get(f"arrivals/{row.id}/receipt").json() == expected


@pytest.mark.sqlite_only
def test_an_arrival_that_is_not_done_has_no_receipt_yet(olga: Caller) -> None:
    row = olga.site.arrival("north-bad.exe")
    assert "only an arrival that is done" in _problem(olga.get(f"receipts/{row.id}"), 404)["title"]


def test_an_id_that_is_not_there_is_a_404(olga: Caller) -> None:
    read = ("arrivals/{}", "arrivals/{}/events", "arrivals/{}/receipt", "receipts/{}", "deliveries/{}")
    for id in ("01KBE8QZ3M5V9T2R7XWC4N6PHA", "x", "%00", "..", "'; DROP TABLE", "é", "²", "-1", "1" * 99):
        for path in read:
            _problem(olga.get(path.format(id)), 404)
        for path in ("arrivals/{}/retry", "arrivals/{}/release"):
            _problem(olga.post(path.format(id)), 404)
        for path in ("arrivals/{}/dismiss", "acknowledgments/{}/undo"):
            _problem(olga.post(path.format(id), {"reason": "x"}), 404)


# What changes something


def test_a_retried_arrival_is_ready_and_is_an_event(olga: Caller) -> None:
    row = olga.site.arrival("north-bad.exe")
    answer = olga.post(f"arrivals/{row.id}/retry")
    assert answer.status_code == 200, answer.content
    assert answer.json()["name"] == "north-bad.exe"
    assert Arrival.objects.get(pk=row.pk).state == "ready"
    assert json.loads(Event.objects.get(kind="retry-asked", arrival=row.id).data)["by"] == "olga"
    found = olga.get(f"arrivals/{row.id}").json()
    assert found["where"]["folder"] == "failed"  # until a worker takes it


@pytest.mark.sqlite_only
def test_an_arrival_is_retried_under_another_name(olga: Caller) -> None:
    row = olga.site.arrival("north-bad.exe")
    assert olga.post(f"arrivals/{row.id}/retry", {"name": "north-2.pdf"}).json()["name"] == "north-2.pdf"
    olga.site.deliver()
    assert olga.get(f"arrivals/{row.id}").json()["state"] == "done"
    renamed = json.loads(Event.objects.get(kind="renamed").data)
    assert renamed == {"from": "north-bad.exe", "to": "north-2.pdf", "by": "olga"}


@pytest.mark.sqlite_only
def test_a_name_that_cannot_be_changes_nothing(olga: Caller) -> None:
    row = olga.site.arrival("north-bad.exe")
    for name in ("a/b", "..", "x\x00y", "nofolder", "\ud800"):
        problem = _problem(olga.post(f"arrivals/{row.id}/retry", {"name": name}), 422)
        assert [fault["field"] for fault in problem["errors"]] == ["name"]
    assert Arrival.objects.get(pk=row.pk).state == "failed"


@pytest.mark.sqlite_only
def test_a_held_arrival_is_sent_onward_once_and_is_an_event(olga: Caller, settings: Any) -> None:
    site = olga.site
    manual = site.config.routes["study"].model_copy(update={"release": "manual"})
    routes = {**site.config.routes, "study": manual}
    settings.DROPSLOT = site.config = site.config.model_copy(update={"routes": routes})
    site.drop("study", "heart-held", {"a": b"1"})
    site.deliver()
    row = site.arrival("heart-held")
    assert row.held_at is not None
    answer = olga.post(f"arrivals/{row.id}/release")
    assert (answer.status_code, answer.json()["held_at"]) == (200, None), answer.content
    assert json.loads(Event.objects.get(kind="released", arrival=row.id).data) == {"by": "olga"}
    assert _problem(olga.post(f"arrivals/{row.id}/release"), 409)["code"] == "not-held"
    site.deliver()
    assert site.arrival("heart-held").state == "done"


@pytest.mark.sqlite_only
def test_what_is_done_cannot_be_retried_or_dismissed(olga: Caller) -> None:
    row = olga.site.arrival("heart-1")
    assert _problem(olga.post(f"arrivals/{row.id}/retry"), 409)["code"] == "not-failed"
    assert _problem(olga.post(f"arrivals/{row.id}/dismiss", {"reason": "x"}), 409)["code"] == "not-failed"


@pytest.mark.sqlite_only
def test_a_dismissed_arrival_keeps_who_and_why(olga: Caller) -> None:
    row = olga.site.arrival("north-bad.exe")
    answer = olga.post(f"arrivals/{row.id}/dismiss", {"reason": " sent twice\x00 "})
    assert answer.status_code == 200, answer.content
    assert answer.json()["reason"][-1].endswith(r"by olga: sent twice\x00")
    assert json.loads(Event.objects.get(kind="dismissed").data) == {
        "reason": r"sent twice\x00",
        "by": "olga",
    }
    _problem(olga.post(f"arrivals/{row.id}/dismiss", {"reason": "again"}), 409)


@pytest.mark.sqlite_only
def test_a_dismissal_needs_a_reason(olga: Caller) -> None:
    row = olga.site.arrival("north-bad.exe")
    bodies: list[Any] = [None, {}, {"reason": "  "}, {"reason": "x" * 1001}, {"reason": 5}, []]
    for body in bodies:
        _problem(olga.post(f"arrivals/{row.id}/dismiss", body), 422)
    assert not Event.objects.filter(kind="dismissed").exists()


@pytest.mark.sqlite_only
def test_an_acknowledgment_is_undone_once(olga: Caller) -> None:
    row = Acknowledgment.objects.get()
    path = f"acknowledgments/{row.id}/undo"
    assert olga.post(path, {"reason": "the scanner of our own"}).json() == {"undone": [row.id]}
    row.refresh_from_db()
    assert (row.undone_by, row.undone_because) == ("olga", "the scanner of our own")
    assert _problem(olga.post(path, {"reason": "again"}), 409)["code"] == "not-acknowledged"


# The sender's second tick


def test_a_sender_reads_what_became_of_each_file(sam: Caller) -> None:
    row = sam.site.arrival("heart-1")
    rows = {file.pop("file"): file for file in _listed(sam, "uploads")}
    assert rows == {
        f"heart-1/{item}": {
            "size_bytes": 1,
            "sha256": hashlib.sha256(content).hexdigest(),
            "state": "delivered",
            "at": queries.iso(row.finished_at),
            "arrival": row.id,
            "reason": [],
        }
        for item, content in (("scan", b"a"), ("notes/b", b"b"))
    }
    assert sam.get(f"receipts/{row.id}").json()["receipt"]["outcomes"] == {"delivered": 2}


def test_each_state_of_a_sent_file_has_its_word(sam: Caller) -> None:
    site = sam.site
    site.drop("study", "heart-2", {"scan": b"a"})
    site.drop("study", "mistake", {"scan": b"c"})
    site.drop("study", "late-1", {"scan": b"d"})
    site.deliver("sam")
    Arrival.objects.filter(name="late-1").update(state="retrying", reason=["no answer"])
    Upload.objects.create(inbox=str(site.root / "study/inbox"), name="heart-3", inode=1, sender="sam")
    Upload.objects.create(inbox=str(site.root / "study/inbox"), name="lung-9", inode=2, sender="olga")
    found = {row["file"]: row["state"] for row in _listed(sam, "uploads")}
    assert found == {
        "heart-3": "waiting",
        "late-1": "processing",
        "mistake": "refused",
        "heart-2/scan": "delivered",
        "heart-1/notes/b": "delivered",
        "heart-1/scan": "delivered",
    }
    for state in set(found.values()):
        rows = _listed(sam, "uploads", state=state)
        assert {row["file"] for row in rows} == {file for file, is_in in found.items() if is_in == state}


@pytest.mark.sqlite_only
def test_what_was_sent_again_is_unchanged(filled: Site) -> None:
    filled.drop("results", "north-1.pdf", b"%PDF-1.4 n")
    filled.deliver("olga")
    olga = Caller(filled, token_of("olga", "upload"))
    assert [row["file"] for row in _listed(olga, "uploads", state="unchanged")] == ["north-1.pdf"]
    digest = hashlib.sha256(b"%PDF-1.4 n").hexdigest()
    assert [row["state"] for row in _listed(olga, "uploads", sha256=digest)] == ["unchanged", "delivered"]


def test_a_page_of_files_goes_on_inside_an_arrival(sam: Caller) -> None:
    sam.site.drop("study", "heart-2", {f"{number:02}": b"%d" % number for number in range(12)})
    sam.site.deliver("sam")
    found, cursor = [], ""
    while cursor is not None:
        page = sam.get("uploads", limit=5, cursor=cursor).json()
        assert len(page["items"]) <= 5
        found += [row["file"] for row in page["items"]]
        cursor = page["next"]
    assert found == [f"heart-2/{number:02}" for number in range(12)] + ["heart-1/notes/b", "heart-1/scan"]


# Who calls


@pytest.mark.sqlite_only
def test_a_program_learns_who_it_is(sam: Caller) -> None:
    found = sam.get("me").json()
    assert found["name"] == "sam"
    assert found["roles"] == [{"role": "sender", "route": None, "folder": None, "field": None, "value": None}]
    assert found["scopes"] == ["upload"]


@pytest.mark.sqlite_only
def test_routes_tell_a_sender_neither_paths_nor_secrets(sam: Caller) -> None:
    answer = sam.get("routes")
    assert [(row["key"], row["fields"]) for row in answer.json()["items"]] == [
        ("study", ["study", "sent"]),
        ("results", ["folder"]),
    ]
    assert str(sam.site.root) not in answer.content.decode()


@pytest.mark.sqlite_only
def test_a_sender_is_told_no_path_of_the_server(filled: Site) -> None:
    sam = Caller(filled, token_of("sam", "read"))
    found = sam.get(f"arrivals/{filled.arrival('heart-1').id}").json()
    assert found["where"] == {"folder": "done", "path": None}
    assert {row["archived_as"] for row in found["deliveries"]["items"]} == {None}
    watcher = sam.get("watcher").json()
    assert (watcher["pid"], watcher["pid_file"]) == (None, None)
    assert {row["inbox"] for row in watcher["routes"]} == {None}
    assert sam.get("health").json()["late"] is None


@pytest.mark.sqlite_only
def test_a_recipient_is_not_told_the_line_of_the_log(filled: Site) -> None:
    (row,) = _listed(Caller(filled, token_of("rita", "read")), "acknowledgments")
    assert (row["user"], row["address"], row["log"], row["line"]) == ("clinic12", None, None, None)


# Errors


@pytest.mark.sqlite_only
def test_what_is_not_there_is_a_problem(olga: Caller) -> None:
    _problem(olga.get("no/such"), 404)
    _problem(Client().get(API + "no/such"), 404)


@pytest.mark.sqlite_only
def test_another_method_is_a_problem_with_those_that_are_possible(olga: Caller) -> None:
    for method in ("PUT", "PATCH", "DELETE", "OPTIONS", "POST"):
        answer = olga.call(method, "arrivals")
        _problem(answer, 405)
        assert answer["Allow"] == "GET"


@pytest.mark.sqlite_only
def test_head_is_answered_like_get(olga: Caller) -> None:
    answer = olga.call("HEAD", "arrivals")
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.sqlite_only
def test_a_body_that_is_no_json_is_a_problem(olga: Caller) -> None:
    row = olga.site.arrival("north-bad.exe")
    for body in (b"{", b"\xff\xfe", b"[" * 100_000):
        answer = Client().post(
            f"{API}arrivals/{row.id}/dismiss",
            body,
            content_type="application/json",
            headers={"Authorization": f"Bearer {olga.token}"},
        )
        _problem(answer, 400)


@pytest.mark.sqlite_only
def test_a_body_that_is_too_large_is_a_problem(olga: Caller) -> None:
    row = olga.site.arrival("north-bad.exe")
    _problem(olga.post(f"arrivals/{row.id}/dismiss", {"reason": "x" * 3_000_000}), 413)


@pytest.mark.sqlite_only
def test_a_database_that_is_away_is_a_problem(olga: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> None:
        raise DatabaseError("the server closed the connection")

    monkeypatch.setattr("dropslot.arrivals.listings.cursor_pages.arrivals", away)
    answer = olga.get("arrivals")
    assert "database" in _problem(answer, 503)["title"]
    assert b"closed the connection" not in answer.content


@pytest.mark.sqlite_only
def test_a_fault_of_ours_is_a_problem_without_a_traceback(
    olga: Caller, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a secret")

    monkeypatch.setattr("dropslot.arrivals.listings.cursor_pages.arrivals", broken)
    answer = olga.get("arrivals")
    _problem(answer, 500)
    assert b"secret" not in answer.content
    assert "api_failed" in capsys.readouterr().out


@pytest.mark.sqlite_only
def test_what_one_account_sees_stays_in_no_cache(olga: Caller) -> None:
    assert olga.get("arrivals")["Cache-Control"] == "no-store"


@pytest.mark.sqlite_only
def test_a_refusal_is_an_event(filled: Site) -> None:
    row = filled.arrival("heart-1")
    sam = Caller(filled, token_of("sam", "read", "operate"))
    _problem(sam.post(f"arrivals/{row.id}/retry"), 403)
    trail().record()
    seen = json.loads(Event.objects.get(kind="access-refused").data)
    assert (seen["by"], seen["what"]) == ("sam", f"POST {API}arrivals/{row.id}/retry")
