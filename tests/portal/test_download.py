"""A download has the bytes that were delivered, or does not end; a recipient's acknowledges."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse

from dropslot.access.payloads import open_payload, proving
from dropslot.access.payloads.payload_responses import NotAsDelivered
from dropslot.acknowledgments.models import Acknowledgment, PartialFetch
from dropslot.arrivals.models import Arrival, Delivery
from dropslot.config import from_mapping
from payloads import body, delivery_of, events
from portals import Site, routes
from stores import BUCKET, ObjectStore

CONTENT = b"result " * 1000


@pytest.fixture
def filled(site: Site) -> Site:
    site.drop("results", "north-1.pdf", CONTENT)
    site.drop("results", "south-1.pdf", b"of others")
    site.deliver("sam")
    return site


def _url(item: str) -> str:
    return reverse("dropslot:download", args=[delivery_of(item).pk])


def _stored(site: Site, item: str) -> Path:
    return site.root / "clinics" / item.split("-")[0] / item


def test_a_recipient_gets_the_file_as_a_download(filled: Site) -> None:
    response = filled.client("rita").get(_url("north-1.pdf"))
    assert response.status_code == 200
    assert body(response) == CONTENT
    assert response["Content-Length"] == str(len(CONTENT))
    assert response["Content-Disposition"] == 'attachment; filename="north-1.pdf"'
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    assert response["ETag"] == f'"{delivery_of("north-1.pdf").sha256}"'
    assert response["Cache-Control"] == "no-store"
    (event,) = events("downloaded")
    assert (event["by"], event["stored_as"]) == ("rita", "north-1.pdf")


@pytest.mark.parametrize("name", ["sam", "nobody", "stella"])
def test_who_may_not_open_it_finds_nothing(filled: Site, name: str) -> None:
    assert filled.client(name).get(_url("north-1.pdf")).status_code == 404
    assert events("downloaded") == []


def test_another_folder_s_file_is_not_found(filled: Site) -> None:
    assert filled.client("rita").get(_url("south-1.pdf")).status_code == 404
    assert filled.client("rita").get(reverse("dropslot:download", args=[10**17])).status_code == 404


def test_nobody_is_asked_to_sign_in(filled: Site) -> None:
    assert filled.client("").get(_url("north-1.pdf")).status_code == 302


def test_a_recipient_s_whole_fetch_is_acknowledged_once(filled: Site) -> None:
    for _ in range(2):
        body(filled.client("rita").get(_url("north-1.pdf")))
    row = Acknowledgment.objects.get()
    assert (row.delivery.item, row.user, row.evidence, row.log) == ("north-1.pdf", "rita", "whole", "portal")
    assert b" rita GET " in bytes(row.line) and bytes(row.line).endswith(f" 200 {len(CONTENT)}".encode())
    assert [event["acknowledgment"] for event in events("acknowledged")] == [row.id]


@pytest.mark.parametrize("name", ["olga", "augusta", "adam"])
def test_only_a_recipient_acknowledges(filled: Site, name: str) -> None:
    assert body(filled.client(name).get(_url("north-1.pdf"))) == CONTENT
    assert not Acknowledgment.objects.exists()
    assert not events("accessed")


def test_a_fetch_that_breaks_off_is_not_acknowledged(filled: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proving, "BLOCK_BYTES", 1000)
    response = filled.client("rita").get(_url("north-1.pdf"))
    assert next(iter(response.streaming_content)) == CONTENT[:1000]  # type: ignore[attr-defined]
    response.close()
    assert not Acknowledgment.objects.exists()


def test_head_has_the_headers_and_counts_for_nothing(filled: Site) -> None:
    response = filled.client("rita").head(_url("north-1.pdf"))
    assert (response.status_code, body(response), response["Content-Length"]) == (200, b"", str(len(CONTENT)))
    assert not Acknowledgment.objects.exists() and not events("downloaded")


@pytest.mark.parametrize(
    ("header", "first", "after"),
    [
        ("bytes=0-9", 0, 10),
        ("bytes=6990-", 6990, 7000),
        ("bytes=-5", 6995, 7000),
        ("bytes=10-99999", 10, 7000),
    ],
)
def test_a_range_is_sent(filled: Site, header: str, first: int, after: int) -> None:
    response = filled.client("rita").get(_url("north-1.pdf"), headers={"Range": header})
    assert response.status_code == 206
    assert body(response) == CONTENT[first:after]
    assert response["Content-Range"] == f"bytes {first}-{after - 1}/7000"
    assert not Acknowledgment.objects.exists()
    assert [event["part"] for event in events("downloaded")] == [f"{first}-{after - 1}/7000"]


@pytest.mark.parametrize(
    "header", ["bytes=0-1,5-6", "bytes=5-1", "items=1-2", "bytes=-", "bytes=x-y", "bytes"]
)
def test_a_range_that_makes_no_sense_is_ignored(filled: Site, header: str) -> None:
    response = filled.client("rita").get(_url("north-1.pdf"), headers={"Range": header})
    assert (response.status_code, body(response)) == (200, CONTENT)


@pytest.mark.parametrize("header", ["bytes=7000-", "bytes=9000-9001", "bytes=-0"])
def test_a_range_after_the_end_is_refused(filled: Site, header: str) -> None:
    response = filled.client("rita").get(_url("north-1.pdf"), headers={"Range": header})
    assert (response.status_code, response["Content-Range"]) == (416, "bytes */7000")


def test_a_range_of_another_file_is_not_mixed_with_this_one(filled: Site) -> None:
    headers = {"Range": "bytes=0-9", "If-Range": '"of an older one"'}
    assert filled.client("rita").get(_url("north-1.pdf"), headers=headers).status_code == 200
    headers["If-Range"] = f'"{delivery_of("north-1.pdf").sha256}"'
    assert filled.client("rita").get(_url("north-1.pdf"), headers=headers).status_code == 206


def test_ranges_that_cover_a_file_acknowledge_it(filled: Site) -> None:
    client, url = filled.client("rita"), _url("north-1.pdf")
    body(client.get(url, headers={"Range": "bytes=0-3999"}))
    assert PartialFetch.objects.get().spans == [[0, 4000]]
    body(client.get(url, headers={"Range": "bytes=4000-"}))
    assert Acknowledgment.objects.get().evidence == "ranges"
    assert not PartialFetch.objects.exists()


def test_the_same_content_again_acknowledges_the_file_that_is_there(filled: Site) -> None:
    filled.drop("results", "north-1.pdf", CONTENT)
    filled.deliver()
    client = filled.client("rita")
    for row in Delivery.objects.filter(item="north-1.pdf"):
        body(client.get(reverse("dropslot:download", args=[row.pk])))
    assert Acknowledgment.objects.get().delivery.outcome == "delivered"


def test_altered_bytes_are_never_sent(filled: Site) -> None:
    _make_archive_go()
    stored = _stored(filled, "north-1.pdf")
    stored.chmod(0o600)
    stored.write_bytes(CONTENT[:-1] + b"X")
    response = filled.client("rita").get(_url("north-1.pdf"))
    assert response.status_code == 404
    assert b"is not the one that was delivered" in body(response)
    (event,) = events("altered")
    assert event["files"][0]["stored_as"] == "north-1.pdf"
    assert not events("downloaded")


def test_the_archive_stands_in_for_what_was_altered(filled: Site) -> None:
    stored = _stored(filled, "north-1.pdf")
    stored.chmod(0o600)
    stored.write_bytes(b"other content")
    assert body(filled.client("rita").get(_url("north-1.pdf"))) == CONTENT
    stored.unlink()
    assert body(filled.client("rita").get(_url("north-1.pdf"))) == CONTENT


def test_a_large_file_that_was_altered_breaks_off(filled: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Same size, same time: only its bytes show it."""
    _make_archive_go()
    monkeypatch.setattr(open_payload, "PROVED_FIRST_BYTES", 0)
    monkeypatch.setattr(proving, "BLOCK_BYTES", 1000)
    monkeypatch.setattr(proving, "SETTLED_NS", 0)
    stored = _stored(filled, "north-1.pdf")
    seen = stored.stat()
    stored.chmod(0o600)
    stored.write_bytes(b"X" + CONTENT[1:])
    os.utime(stored, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    response = filled.client("rita").get(_url("north-1.pdf"))
    sent = []
    with pytest.raises(NotAsDelivered):
        sent.extend(response.streaming_content)  # type: ignore[attr-defined]
    assert len(b"".join(sent)) < len(CONTENT)
    assert not Acknowledgment.objects.exists()
    assert len(events("altered")) == 1
    # From then on nothing of it is sent at all.
    assert filled.client("rita").get(_url("north-1.pdf")).status_code == 404


def test_a_range_of_an_altered_file_is_not_sent(filled: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    _make_archive_go()
    monkeypatch.setattr(open_payload, "PROVED_FIRST_BYTES", 0)
    stored = _stored(filled, "north-1.pdf")
    seen = stored.stat()
    stored.chmod(0o600)
    stored.write_bytes(b"X" + CONTENT[1:])
    os.utime(stored, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    assert (
        filled.client("rita").get(_url("north-1.pdf"), headers={"Range": "bytes=100-200"}).status_code == 404
    )


@pytest.mark.parametrize("kind", ["link", "folder", "fifo", "link above"])
def test_what_was_planted_at_the_destination_is_not_followed(filled: Site, kind: str) -> None:
    """The link leads to the very bytes: what is refused is following it."""
    _make_archive_go()
    stored = _stored(filled, "north-1.pdf")
    elsewhere = filled.root / "elsewhere"
    elsewhere.mkdir()
    stored.rename(elsewhere / "north-1.pdf")
    if kind == "link":
        stored.symlink_to(elsewhere / "north-1.pdf")
    elif kind == "folder":
        stored.mkdir()
    elif kind == "fifo":
        os.mkfifo(stored)
    else:
        stored.parent.rename(filled.root / "aside")
        stored.parent.symlink_to(elsewhere)
    assert filled.client("rita").get(_url("north-1.pdf")).status_code == 404


def test_a_hostile_name_makes_no_header(site: Site) -> None:
    name = 'north-"quoted"; filename=evil.exe ünï.pdf'
    site.drop("results", name, CONTENT)
    site.deliver()
    response = site.client("rita").get(_url(name))
    assert response["Content-Disposition"].startswith(
        "attachment; filename*=utf-8''north-_quoted_%3B%20filename"
    )


@pytest.mark.parametrize(
    "content", [b"<script>alert(1)</script>", b"<svg xmlns='http://www.w3.org/2000/svg'/>"]
)
def test_active_content_is_only_bytes(site: Site, content: bytes) -> None:
    site.drop("results", "north-page.txt", content)
    site.deliver()
    response = site.client("rita").get(_url("north-page.txt"))
    assert response["Content-Type"] == "application/octet-stream"


def test_an_empty_file_is_downloaded_and_acknowledged(site: Site) -> None:
    site.drop("results", "north-empty.txt", b"")
    site.deliver()
    response = site.client("rita").get(_url("north-empty.txt"))
    assert (body(response), response["Content-Length"]) == (b"", "0")
    assert Acknowledgment.objects.get().evidence == "whole"


def _make_archive_go() -> None:
    Arrival.objects.update(archived_as="")


@pytest.mark.usefixtures("store_secrets")
@pytest.mark.xdist_group("stores")
def test_what_is_only_in_a_bucket_is_fetched_from_there(
    site: Site, shared_store: ObjectStore, settings: Any
) -> None:
    """Once it is purged from the archive; other bytes are given to nobody."""
    top = f"portal-{secrets.token_hex(6)}"
    routes_to_bucket = routes(site.root)
    routes_to_bucket["results"]["deliver"] = [{"to": f"s3://{BUCKET}/{top}/{{folder}}", **shared_store.keys}]
    site.config = settings.DROPSLOT = from_mapping(
        {"data": str(site.root / "var"), "portal": {}, "routes": routes_to_bucket}, site.root
    )
    site.drop("results", "north-1.pdf", CONTENT)
    site.deliver("sam")
    Path(Arrival.objects.get().archived_as).unlink()
    response = site.client("olga").get(_url("north-1.pdf"))
    assert body(response) == CONTENT
    shared_store.put(f"{top}/north/north-1.pdf", CONTENT[::-1])
    assert site.client("olga").get(_url("north-1.pdf")).status_code == 404
    assert [event["files"][0]["found_at"] for event in events("altered")] == ["server"]
