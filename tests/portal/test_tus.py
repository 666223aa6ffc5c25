"""Uploads by tus 1.0, in this process: what is taken, what is refused, and what every answer says."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError
from django.test import Client
from ulid import ULID

from dropslot.access.models import Grant
from dropslot.access.visit_trail import trail
from dropslot.api.tus import expiring, finishing, who
from dropslot.api.tus.on_disk.tickets import Tickets
from dropslot.api.tus.together import Together
from dropslot.arrivals.models import Arrival, Delivery, Upload
from dropslot.audit.models import Event
from dropslot.config import from_mapping
from dropslot.core.context import kept, put
from portals import Site, routes
from tusing import TUS, Tus, metadata
from waiting import wait_until

PDF = b"%PDF-1.4 of a clinic"


@pytest.fixture
def sam(site: Site) -> Tus:
    return Tus(site.client("sam"))


def _inbox(site: Site, route: str = "results") -> Path:
    return site.root / route / "inbox"


def _reconfigure(site: Site, settings: Any, portal: dict[str, Any], **route_keys: dict[str, Any]) -> None:
    known = routes(site.root)
    changed = {key: known[key] | route_keys.get(key, {}) for key in known}
    settings.DROPSLOT = site.config = from_mapping(
        {"data": str(site.root / "var"), "portal": portal, "routes": changed}, site.root
    )
    put(who.Recent())


# The way of an upload


def test_a_file_in_one_request_is_delivered_and_its_account_is_the_sender(site: Site, sam: Tus) -> None:
    answer = sam.put(PDF, route="results", filename="north-1.pdf")
    assert (answer.status_code, answer["Upload-Offset"]) == (201, str(len(PDF)))
    assert os.listdir(_inbox(site)) == ["north-1.pdf"]
    site.deliver()
    assert (site.root / "clinics" / "north" / "north-1.pdf").read_bytes() == PDF
    assert site.arrival("north-1.pdf").sender == "sam"
    assert not Upload.objects.exists()


def test_a_file_in_several_requests_has_its_final_name_with_the_last_byte(site: Site, sam: Tus) -> None:
    created = sam.create(len(PDF), {"route": "results", "filename": "north-1.pdf"})
    address = created["Location"]
    assert (created.status_code, created["Upload-Offset"]) == (201, "0")
    assert sam.patch(address, 0, PDF[:5])["Upload-Offset"] == "5"
    assert sam.offset(address) == 5
    assert all(name.startswith(".dropslot-upload-") for name in os.listdir(_inbox(site)))
    assert sam.patch(address, 5, PDF[5:]).status_code == 204
    assert os.listdir(_inbox(site)) == ["north-1.pdf"]
    assert (_inbox(site) / "north-1.pdf").read_bytes() == PDF
    assert sam.offset(address) == len(PDF)  # a client that missed the last answer


def test_an_empty_file_is_taken(site: Site, sam: Tus) -> None:
    assert sam.create(0, {"route": "results", "filename": "north-0.pdf"}).status_code == 201
    assert (_inbox(site) / "north-0.pdf").read_bytes() == b""


def test_a_folder_appears_whole_when_its_batch_is_finished(site: Site, sam: Tus) -> None:
    files = {"scan one/a/b.nii": b"1", "scan one/c.nii": b"", "scan one/é.txt": b"text"}
    for path, data in files.items():
        answer = sam.put(
            data, route="study", filename=path.rpartition("/")[2], relativePath=path, batch="b-1"
        )
        assert answer.status_code == 201, answer.content
    assert all(name.startswith(".") for name in os.listdir(_inbox(site, "study")))
    wanted = {"route": "study", "name": "heart-7", "files": 3, "folders": ["scan one/empty"]}
    answer = sam.finish("b-1", **wanted)
    assert answer.status_code == 200, answer.content
    assert answer.json() == {"name": "heart-7", "files": 3, "size_bytes": 5}
    assert sam.finish("b-1", **wanted).json() == answer.json()  # the answer was lost
    assert os.listdir(_inbox(site, "study")) == ["heart-7"]
    site.deliver()
    delivered = site.root / "studies" / "heart" / "7"
    assert (delivered / "a" / "b.nii").read_bytes() == b"1"
    assert (delivered / "é.txt").read_bytes() == b"text"
    assert (delivered / "empty").is_dir()
    assert site.arrival("heart-7").sender == "sam"


def test_a_batch_is_not_finished_while_a_file_is_missing_or_incomplete(site: Site, sam: Tus) -> None:
    sam.put(b"1", route="study", filename="a", relativePath="x/a", batch="b")
    begun = sam.create(10, {"route": "study", "filename": "b", "relativePath": "x/b", "batch": "b"})
    wanted = {"route": "study", "name": "heart-1"}
    answer = sam.finish("b", **wanted, files=2)
    assert (answer.status_code, answer.json()["incomplete"]) == (409, ["x/b"])
    sam.patch(begun["Location"], 0, b"0123456789")
    assert sam.finish("b", **wanted, files=3).status_code == 409
    assert sam.finish("b", **wanted, files=2).status_code == 200


def test_folders_without_files_are_inside_the_folder_that_is_sent(site: Site, sam: Tus) -> None:
    sam.put(b"1", route="study", filename="a", relativePath="x/a", batch="b")
    wanted = {"route": "study", "name": "heart-1", "files": 1}
    for folders in (["y/z"], ["../y"], ["x/../../y"], ["/x"], [1], "x/y"):
        assert sam.finish("b", **wanted, folders=folders).status_code in (400, 422), folders
    assert sam.finish("b", **wanted, folders=["x/y"]).status_code == 200
    assert not [name for name in os.listdir(site.root) if name in ("y", "z")]


def test_a_claim_that_recovery_adopts_keeps_its_sender(site: Site, sam: Tus) -> None:
    sam.put(PDF, route="results", filename="north-1.pdf")
    held = (
        site.root / "results" / "processing" / f"{ULID()}-1"
    )  # claimed, and killed before the row was written
    held.mkdir()
    (_inbox(site) / "north-1.pdf").rename(held / "north-1.pdf")
    site.deliver()
    assert (site.arrival("north-1.pdf").sender, site.arrival("north-1.pdf").state) == ("sam", "done")
    assert not Upload.objects.exists()


def test_an_upload_that_the_database_could_not_record_is_finished_later(
    site: Site, sam: Tus, monkeypatch: Any
) -> None:
    def away(_: Any) -> None:
        raise OperationalError("the server closed the connection")

    address = sam.create(len(PDF), {"route": "results", "filename": "north-1.pdf"})["Location"]
    with monkeypatch.context() as patched:
        patched.setattr(kept(finishing.Publishing), "senders", Together(away))
        _is_problem(sam.patch(address, 0, PDF), 503)
    assert not (_inbox(site) / "north-1.pdf").exists()
    assert sam.offset(address) == len(PDF)
    assert (_inbox(site) / "north-1.pdf").read_bytes() == PDF


def test_what_many_ask_for_at_once_is_done_once_and_a_fault_reaches_each(site: Site) -> None:
    calls: list[list[int]] = []
    first, go_on = threading.Event(), threading.Event()

    def do(numbers: Any) -> None:
        calls.append(sorted(numbers))
        first.set()
        go_on.wait(60)
        if 3 in numbers:
            raise OSError("full")

    together = Together[int](do)
    with ThreadPoolExecutor(4) as pool:
        begun = pool.submit(together.ask, 1)
        first.wait(60)
        others = [pool.submit(together.ask, number) for number in (2, 3)]
        wait_until(lambda: len(together._wishes) == 2)  # noqa: SLF001 - ours
        go_on.set()
        assert begun.result() is None
        assert all(isinstance(other.exception(), OSError) for other in others)
    assert calls == [[1], [2, 3]]


def test_an_upload_is_an_event_with_its_account_and_size(site: Site, sam: Tus) -> None:
    sam.put(PDF, route="results", filename="north-1.pdf")
    trail().record()
    data = json.loads(Event.objects.get(kind="uploaded").data)
    assert (data["by"], data["route"], data["name"]) == ("sam", "results", "north-1.pdf")
    assert (data["files"], data["size_bytes"]) == (1, len(PDF))


def test_the_time_of_the_file_is_kept(site: Site, sam: Tus) -> None:
    sam.put(PDF, route="results", filename="north-1.pdf", modified="1700000000123")
    assert (_inbox(site) / "north-1.pdf").stat().st_mtime_ns == 1_700_000_000_123_000_000


def test_a_name_that_waits_in_the_inbox_is_not_replaced(site: Site, sam: Tus, monkeypatch: Any) -> None:
    monkeypatch.setattr("dropslot.api.tus.finishing._WAIT_SECONDS", 0.0)
    (_inbox(site) / "north-1.pdf").write_bytes(b"earlier")
    created = sam.create(len(PDF), {"route": "results", "filename": "north-1.pdf"})
    answer = sam.patch(created["Location"], 0, PDF)
    assert (answer.status_code, answer["Retry-After"]) == (503, "30")
    assert (_inbox(site) / "north-1.pdf").read_bytes() == b"earlier"
    assert sam.send("HEAD", created["Location"]).status_code == 503
    (_inbox(site) / "north-1.pdf").unlink()  # the service takes it
    assert sam.offset(created["Location"]) == len(PDF)
    assert (_inbox(site) / "north-1.pdf").read_bytes() == PDF


def test_two_accounts_that_send_one_name_are_each_recorded(site: Site, sam: Tus) -> None:
    site.account("tina", "sender")
    sam.put(PDF, route="results", filename="north-1.pdf")
    site.deliver()
    Tus(site.client("tina")).put(b"other", route="results", filename="north-1.pdf")
    site.deliver()
    assert list(Arrival.objects.order_by("id").values_list("sender", flat=True)) == ["sam", "tina"]
    assert Delivery.objects.count() == 2


def test_who_drops_on_the_machine_is_no_account(site: Site, sam: Tus) -> None:
    """Another entry under the name of an upload that was cancelled."""
    sam.put(PDF, route="results", filename="north-1.pdf")
    (_inbox(site) / "north-1.pdf").rename(site.root / "kept")  # so that the inode stays in use
    site.drop("results", "north-1.pdf")
    site.deliver()
    assert site.arrival("north-1.pdf").sender != "sam"


# Checksums


def _checksum(algorithm: str, data: bytes) -> str:
    digest = hashlib.new(algorithm, data).digest()
    return f"{algorithm} {base64.b64encode(digest).decode()}"


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
def test_bytes_with_a_wrong_checksum_are_not_kept(site: Site, sam: Tus, algorithm: str) -> None:
    address = sam.create(len(PDF), {"route": "results", "filename": "north-1.pdf"})["Location"]
    sam.patch(address, 0, PDF[:4], upload_checksum=_checksum(algorithm, PDF[:4]))
    answer = sam.patch(address, 4, PDF[4:8], upload_checksum=_checksum(algorithm, b"other"))
    assert answer.status_code == 460
    assert sam.offset(address) == 4


# Hostile and wrong requests

_GOOD = {"route": "results", "filename": "north-1.pdf"}
_WRONG_CREATIONS: dict[str, tuple[int, dict[str, str], dict[str, str | None]]] = {
    "no version": (412, _GOOD, {"tus_resumable": None}),
    "another version": (412, _GOOD, {"tus_resumable": "0.2.2"}),
    "no length": (400, _GOOD, {"upload_length": None}),
    "a length below zero": (400, _GOOD, {"upload_length": "-1"}),
    "a length that is no number": (400, _GOOD, {"upload_length": "1e3"}),
    "a length of forty digits": (400, _GOOD, {"upload_length": "9" * 40}),
    "a part": (400, _GOOD, {"upload_concat": "partial"}),
    "a form": (415, _GOOD, {"content_type": "multipart/form-data; boundary=x"}),
    "metadata that is no Base64": (400, _GOOD, {"upload_metadata": "route !!!"}),
    "metadata that is no UTF-8": (400, _GOOD, {"upload_metadata": "route /w=="}),
    "a key twice": (400, _GOOD, {"upload_metadata": "route cg==,route cg=="}),
    "much metadata": (400, _GOOD, {"upload_metadata": f"route {'A' * 20_000}"}),
    "no route": (403, {"filename": "north-1.pdf"}, {}),
    "an unknown route": (403, {**_GOOD, "route": "none"}, {}),
    "no name": (400, {"route": "results"}, {}),
    "a name that does not match": (422, {**_GOOD, "filename": "north.pdf"}, {}),
    "a pattern that does not match": (422, {**_GOOD, "filename": "north-1.exe"}, {}),
    "a temporary name": (422, {**_GOOD, "filename": ".north-1.pdf"}, {}),
    "the way up": (422, {**_GOOD, "filename": ".."}, {}),
    "a way up in a folder": (422, {"route": "study", "relativePath": "a/../../x", "batch": "b"}, {}),
    "an absolute path": (422, {"route": "study", "relativePath": "/etc/passwd", "batch": "b"}, {}),
    "an empty part of a path": (422, {"route": "study", "relativePath": "a//b", "batch": "b"}, {}),
    "a folder at the end": (422, {"route": "study", "relativePath": "a/b/", "batch": "b"}, {}),
    "a NUL": (422, {**_GOOD, "filename": "north-\0.pdf"}, {}),
    "a line break": (422, {**_GOOD, "filename": "north-\n.pdf"}, {}),
    "text that turns around": (422, {**_GOOD, "filename": "north-\u202efdp.exe.pdf"}, {}),
    "our own name": (422, {"route": "study", "relativePath": "a/.dropslot/x", "batch": "b"}, {}),
    "a name of 300 bytes": (422, {**_GOOD, "filename": f"north-{'x' * 300}.pdf"}, {}),
    "a deep path": (422, {"route": "study", "relativePath": "a/" * 150 + "b", "batch": "b"}, {}),
    "a long path": (400, {"route": "study", "relativePath": "a/" * 9000 + "b", "batch": "b"}, {}),
    "a folder without a batch": (400, {"route": "study", "relativePath": "a/b"}, {}),
    "a file where folders are taken": (422, {"route": "study", "filename": "heart-1"}, {}),
    "an unknown checksum": (400, _GOOD, {"upload_checksum": "md5 AAAA"}),
    "a checksum that is no Base64": (400, _GOOD, {"upload_checksum": "sha1 !"}),
}


@pytest.mark.parametrize("what", _WRONG_CREATIONS)
def test_a_wrong_creation_is_refused_and_leaves_nothing(site: Site, sam: Tus, what: str) -> None:
    status, said, more = _WRONG_CREATIONS[what]
    answer = sam.create(len(PDF), said, PDF if "multipart" not in str(more) else b"--x--", **more)
    _is_problem(answer, status)
    assert os.listdir(_inbox(site)) == os.listdir(_inbox(site, "study")) == []
    assert not list(Tickets(site.config).all())


def _is_problem(answer: Any, status: int) -> None:
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    found = json.loads(answer.content)
    assert found["title"]
    assert found["next_step"]


@pytest.mark.parametrize(
    ("status", "offset", "data", "headers"),
    [
        (409, 3, b"x", {}),
        (413, 0, PDF + b"x", {}),
        (400, 0, b"x", {"upload_offset": None}),
        (400, 0, b"x", {"upload_offset": "-1"}),
        (415, 0, b"x", {"content_type": "application/octet-stream"}),
        (412, 0, b"x", {"tus_resumable": "2.0"}),
    ],
)
def test_a_wrong_continuation_is_refused_and_changes_nothing(
    site: Site, sam: Tus, status: int, offset: int, data: bytes, headers: dict[str, str | None]
) -> None:
    address = sam.create(len(PDF), _GOOD)["Location"]
    facts: dict[str, str | None] = {"upload_offset": str(offset)}
    _is_problem(sam.send("PATCH", address, data, **(facts | headers)), status)
    assert sam.offset(address) == 0


def test_a_body_that_is_too_long_for_a_new_upload_leaves_nothing(site: Site, sam: Tus) -> None:
    _is_problem(sam.create(3, _GOOD, PDF), 413)
    assert os.listdir(_inbox(site)) == []


def test_the_server_says_what_it_can(site: Site) -> None:
    answer = Client().options(TUS)
    assert answer.status_code == 204
    assert answer["Tus-Version"] == "1.0.0"
    assert "creation-with-upload" in answer["Tus-Extension"]


def test_another_method_is_refused_with_those_that_are_there(site: Site, sam: Tus) -> None:
    answer = sam.send("GET", TUS)
    _is_problem(answer, 405)
    assert answer["Allow"] == "POST, OPTIONS"


def test_a_method_may_come_in_a_header(site: Site, sam: Tus) -> None:
    address = sam.create(len(PDF), _GOOD)["Location"]
    answer = sam.send("POST", address, PDF, upload_offset="0", x_http_method_override="PATCH")
    assert answer.status_code == 204


# Who


def test_nobody_uploads_without_an_account_or_a_role(site: Site) -> None:
    _is_problem(Tus(site.client("")).put(PDF, **_GOOD), 401)
    for name in ("nobody", "rita", "augusta", "stella"):
        _is_problem(Tus(site.client(name)).put(PDF, **_GOOD), 403)
    assert os.listdir(_inbox(site)) == []


def test_a_session_without_the_csrf_header_is_refused(site: Site) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.get(username="sam"), "django.contrib.auth.backends.ModelBackend")
    _is_problem(Tus(client).put(PDF, **_GOOD), 403)
    client.get("/account/password/change/")  # a page with a form sets the cookie
    token = client.cookies["dropslot_csrf"].value
    facts = {"upload_length": str(len(PDF)), "upload_metadata": metadata(**_GOOD)}
    assert Tus(client).send("POST", TUS, PDF, x_csrftoken=token, **facts).status_code == 201


def test_an_upload_of_another_account_is_not_there(site: Site, sam: Tus) -> None:
    site.account("tina", "sender")
    tina = Tus(site.client("tina"))
    address = sam.create(len(PDF), _GOOD)["Location"]
    assert tina.send("HEAD", address).status_code == 404
    _is_problem(tina.patch(address, 0, PDF), 404)
    _is_problem(tina.send("DELETE", address), 404)
    sam.put(b"1", route="study", filename="a", relativePath="x/a", batch="b")
    _is_problem(tina.finish("b", route="study", name="heart-1", files=1), 404)
    assert sam.offset(address) == 0


def test_an_upload_stops_when_the_role_is_taken_away(site: Site, sam: Tus) -> None:
    address = sam.create(len(PDF), _GOOD)["Location"]
    Grant.objects.filter(user__username="sam").update(route="study")
    put(who.Recent())  # what was known of the account for a second
    _is_problem(sam.patch(address, 0, PDF), 404)


@pytest.mark.parametrize("name", ["x", "0" * 32, "../../etc", "%2e%2e", "0" * 31 + "\x00"])
def test_an_id_that_is_none_is_not_found(site: Site, sam: Tus, name: str) -> None:
    assert sam.send("HEAD", f"{TUS}{name}/{'0' * 16}").status_code == 404


# Cancelling, expiring, limits


def test_a_cancelled_upload_leaves_nothing(site: Site, sam: Tus) -> None:
    address = sam.create(len(PDF), _GOOD)["Location"]
    sam.patch(address, 0, PDF[:3])
    assert sam.send("DELETE", address).status_code == 204
    assert os.listdir(_inbox(site)) == []
    assert sam.send("HEAD", address).status_code == 404


def test_a_cancelled_batch_leaves_nothing(site: Site, sam: Tus) -> None:
    sam.put(b"1", route="study", filename="a", relativePath="x/a", batch="b")
    assert sam.client.delete(f"{TUS}batches/b?route=study").status_code == 204
    assert os.listdir(_inbox(site, "study")) == []


def test_an_old_upload_is_gone_and_says_so(site: Site, sam: Tus) -> None:
    address = sam.create(len(PDF), _GOOD)["Location"]
    ticket = next(ticket for ticket, _ in Tickets(site.config).all())
    old = time.time() - 8 * 24 * 3600
    os.utime(Tickets(site.config).folder / f"{ticket.id}.json", (old, old))
    assert sam.send("HEAD", address).status_code == 410
    assert expiring.remove_old(site.config) == 1
    assert os.listdir(_inbox(site)) == []
    _is_problem(sam.patch(address, 0, PDF), 410)


def test_what_has_no_ticket_is_removed_when_it_is_old(site: Site, sam: Tus) -> None:
    sam.create(len(PDF), _GOOD)
    ticket = next(ticket for ticket, _ in Tickets(site.config).all())
    Tickets(site.config).forget(ticket)
    assert expiring.remove_old(site.config) == 0
    (name,) = os.listdir(_inbox(site))
    old = time.time() - 8 * 24 * 3600
    os.utime(_inbox(site) / name, (old, old))
    expiring.remove_old(site.config)
    assert os.listdir(_inbox(site)) == []


def test_who_comes_back_sees_what_was_not_sent_whole(site: Site, sam: Tus) -> None:
    one = sam.create(len(PDF), _GOOD)["Location"]
    sam.patch(one, 0, PDF[:5])
    home = site.client("sam")
    assert "Not sent whole" not in home.get("/").content.decode()  # it may be under way in another window
    (ticket, _) = next(Tickets(site.config).all())
    before = time.time() - 300
    os.utime(Tickets(site.config).folder / f"{ticket.id}.json", (before, before))
    shown = home.get("/").content.decode()
    assert "Not sent whole" in shown and _GOOD["filename"] in shown
    assert "Not sent whole" not in site.client("olga").get("/upload/").content.decode()
    sam.patch(one, 5, PDF[5:])
    assert "Not sent whole" not in home.get("/").content.decode()


def test_a_file_larger_than_the_portal_takes_is_refused_at_once(site: Site, settings: Any) -> None:
    _reconfigure(site, settings, {"max_upload": "10B"})
    answer = Tus(site.client("sam")).create(len(PDF), _GOOD)
    assert answer.status_code in (413, 422)
    assert "10" in answer.json()["title"]


def test_a_quota_that_is_reached_in_mid_upload_keeps_what_was_received(site: Site, settings: Any) -> None:
    _reconfigure(site, settings, {"quota": "3MB"})
    sam = Tus(site.client("sam"))
    one = sam.create(2_500_000, _GOOD)["Location"]
    two = sam.create(2_500_000, {**_GOOD, "filename": "north-2.pdf"})["Location"]
    sam.patch(one, 0, bytes(2_000_000))
    answer = sam.patch(two, 0, bytes(2_400_000))
    _is_problem(answer, 413)
    assert "limit for an account" in answer.json()["title"]
    kept = sam.offset(two)
    _is_problem(sam.create(2_000_000, {**_GOOD, "filename": "north-3.pdf"}), 413)
    sam.send("DELETE", one)
    assert sam.patch(two, kept, bytes(2_500_000 - kept)).status_code == 204


def test_a_second_request_for_one_upload_is_told_to_wait(site: Site, sam: Tus) -> None:
    import fcntl

    address = sam.create(len(PDF), _GOOD)["Location"]
    (folder,) = _inbox(site).iterdir()
    with (folder / "data" / "north-1.pdf").open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        _is_problem(sam.patch(address, 0, PDF), 423)
        assert sam.send("HEAD", address).status_code == 423  # else what is under way would be sent once more
    assert sam.offset(address) == 0
    assert sam.patch(address, 0, PDF).status_code == 204


def test_a_link_in_an_upload_is_not_followed(site: Site, sam: Tus) -> None:
    address = sam.create(len(PDF), _GOOD)["Location"]
    (folder,) = _inbox(site).iterdir()
    outside = site.root / "outside"
    outside.write_bytes(b"")
    (folder / "data" / "north-1.pdf").unlink()
    (folder / "data" / "north-1.pdf").symlink_to(outside)
    _is_problem(sam.patch(address, 0, PDF), 409)
    assert outside.read_bytes() == b""


@pytest.mark.parametrize("temporary", [["!.*"], ["!*"]])
@pytest.mark.parametrize("complete", ["renamed", "named", "settled"])
def test_no_pattern_makes_an_upload_an_arrival(
    site: Site, settings: Any, temporary: list[str], complete: str
) -> None:
    keys = {
        "temporary": temporary,
        "complete": complete,
        "settle": 0,
        "takes": "any",
        "name": "(?P<folder>.*)",
    }
    _reconfigure(site, settings, {}, results=keys)
    Tus(site.client("sam")).create(len(PDF), _GOOD)
    site.deliver()
    assert not Arrival.objects.exists()


# What is said before


def _check(tus: Tus, route: str, *names: dict[str, Any]) -> list[dict[str, Any]]:
    answer = tus.post("checks", {"route": route, "names": list(names)})
    assert answer.status_code == 200, answer.content
    found: list[dict[str, Any]] = answer.json()["names"]
    return found


def test_refusals_are_said_before_anything_is_sent(site: Site, settings: Any) -> None:
    keys = {"name_help": "Name it CLINIC-NUMBER", "select": {"patterns": ["*.pdf"], "max_item_size": "100B"}}
    _reconfigure(site, settings, {}, results=keys)
    found = _check(
        Tus(site.client("sam")),
        "results",
        {"name": "north-1.pdf", "size_bytes": 10},
        {"name": "north.pdf", "size_bytes": 10},
        {"name": "north-1.exe", "size_bytes": 10},
        {"name": "north-2.pdf", "size_bytes": 1000},
        {"name": "north-3", "folder": True, "items": [["a.pdf", 1]]},
    )
    assert [bool(one["refused"]) for one in found] == [False, True, True, True, True]
    assert "Name it CLINIC-NUMBER" in found[1]["refused"][0]
    assert found[1]["next_step"] == "Name it CLINIC-NUMBER"


def test_a_folder_is_judged_with_all_its_items(site: Site, sam: Tus) -> None:
    good, unfinished, empty, up = _check(
        sam,
        "study",
        {"name": "heart-1", "folder": True, "items": [["a/b.nii", 1], [".DS_Store", 5]]},
        {"name": "heart-2", "folder": True, "items": [["a/b.nii.part", 1]]},
        {"name": "heart-3", "folder": True, "items": []},
        {"name": "heart-4", "folder": True, "items": [["../x", 1]]},
    )
    assert (good["refused"], good["ignored"]) == ([], [".DS_Store"])
    assert all(one["refused"] for one in (unfinished, empty, up))


def test_a_name_sent_before_is_told_with_its_dates_only_to_those_who_may_see_it(site: Site) -> None:
    site.account("tina", "sender")
    Tus(site.client("sam")).put(PDF, **_GOOD)
    site.deliver()
    one = {"name": "north-1.pdf", "size_bytes": 1}
    (mine,) = _check(Tus(site.client("sam")), "results", one)
    (theirs,) = _check(Tus(site.client("tina")), "results", one)
    assert mine["sent_before"][0]["state"] == "done"
    assert mine["sent_before"][0]["at"].endswith("Z")
    assert theirs["sent_before"] == []
    assert mine["refused"] == theirs["refused"] == []


def test_a_route_may_refuse_a_name_that_was_sent_before(site: Site, settings: Any) -> None:
    _reconfigure(site, settings, {}, results={"repeat": "refuse"}, study={"repeat": "refuse"})
    sam = Tus(site.client("sam"))
    assert sam.put(PDF, **_GOOD).status_code == 201
    site.deliver()
    _is_problem(sam.put(PDF, **_GOOD), 422)
    (found,) = _check(sam, "results", {"name": "north-1.pdf", "size_bytes": 1})
    assert "no name twice" in found["refused"][0]


@pytest.mark.parametrize(
    "content",
    [[], {"route": "study"}, {"route": "study", "names": 1}, {"route": "study", "names": [1]},
     {"route": "study", "names": [{"name": "x", "folder": True, "items": [["a"]]}]}, "x"],
)  # fmt: skip
def test_a_list_of_another_form_is_refused(site: Site, sam: Tus, content: Any) -> None:
    _is_problem(sam.post("checks", content), 400)


def test_a_route_with_a_field_in_its_folders_needs_its_value(site: Site, settings: Any) -> None:
    for study in ("heart", "lung"):
        for name in ("inbox", "processing", "done", "failed"):
            (site.root / "sets" / study / name).mkdir(parents=True)
    keys = {"folders": str(site.root / "sets" / "{study}"), "name": "(?P<sent>.+)"}
    _reconfigure(site, settings, {}, study=keys)
    sam = Tus(site.client("sam"))
    said = {"route": "study", "filename": "a", "relativePath": "x/a", "batch": "b"}
    _is_problem(sam.put(b"1", **said), 422)
    _is_problem(sam.put(b"1", **said, study=".."), 422)
    assert sam.put(b"1", **said, study="lung").status_code == 201
    assert sam.finish("b", route="study", study="lung", name="visit", files=1).status_code == 200
    assert os.listdir(site.root / "sets" / "lung" / "inbox") == ["visit"]
