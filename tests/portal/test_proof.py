"""A proof says what is known, and its bundle verifies with nothing of dropslot."""

from __future__ import annotations

import io
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from django.urls import reverse

from dropslot.arrivals.models import Delivery, Place
from dropslot.audit.models import Event
from payloads import body, delivery_of, events
from portals import Site
from trail import tamper


@pytest.fixture
def filled(site: Site) -> Site:
    site.drop("results", "north-1.pdf", b"first")
    site.deliver("sam")
    site.drop("study", "heart-1", {"scan/a.dcm": b"a", "scan/b.dcm": b"b"})
    site.deliver("sam")
    body(site.client("rita").get(reverse("dropslot:download", args=[delivery_of("north-1.pdf").pk])))
    return site


def _page(site: Site, name: str, url: str) -> str:
    response = site.client(name).get(url)
    assert response.status_code == 200
    return body(response).decode()


def _proof(item: str, view: str = "proof") -> str:
    return reverse(f"dropslot:{view}", args=[delivery_of(item).pk])


@pytest.mark.parametrize("name", ["olga", "augusta", "adam", "sam", "rita"])
def test_who_sees_a_delivery_gets_its_proof(filled: Site, name: str) -> None:
    page = _page(filled, name, _proof("north-1.pdf"))
    row = delivery_of("north-1.pdf")
    event = Event.objects.get(arrival=row.arrival_id, kind="delivered")
    for words in (row.sha256, row.arrival_id, "sam", event.hash, "rita", "The signature is valid"):
        assert words in page
    assert page.count(">Good<") == 4 and ">Fault<" not in page
    assert "That the sender had the same bytes" in page


@pytest.mark.parametrize("view", ["proof", "proof_bundle"])
@pytest.mark.parametrize("name", ["rita", "stella", "nobody"])
def test_a_proof_of_others_is_not_found(filled: Site, view: str, name: str) -> None:
    item = "north-1.pdf" if name == "stella" else "scan/a.dcm"
    assert filled.client(name).get(_proof(item, view)).status_code == 404


@pytest.mark.parametrize("view", ["arrival_proof", "arrival_proof_bundle"])
def test_an_arrival_has_a_proof_for_who_sees_it(filled: Site, view: str) -> None:
    url = reverse(f"dropslot:{view}", args=[filled.arrival("heart-1").id])
    assert [filled.client(name).get(url).status_code for name in ("stella", "sam", "olga")] == [200] * 3
    assert [filled.client(name).get(url).status_code for name in ("rita", "nobody")] == [404] * 2
    assert filled.client("olga").get(reverse(f"dropslot:{view}", args=["nothing"])).status_code == 404


def test_the_arrival_s_proof_lists_its_files(filled: Site) -> None:
    page = _page(filled, "stella", reverse("dropslot:arrival_proof", args=[filled.arrival("heart-1").id]))
    assert "scan/a.dcm" in page and "scan/b.dcm" in page and page.count(">Good<") == 4


def test_a_receipt_that_names_others_files_is_not_shown(filled: Site) -> None:
    """A recipient of one folder, when the arrival went to another one, too."""
    row = delivery_of("scan/b.dcm")
    elsewhere = Place.objects.get(url=f"{filled.root}/clinics/north")
    Delivery.objects.filter(pk=row.pk).update(place=elsewhere)
    filled.account("cleo", "recipient", routes=("study",), folders=("heart",))
    page = _page(filled, "cleo", _proof("scan/a.dcm"))
    assert "Nothing is signed here" in page and "Fault" not in page
    response = filled.client("cleo").get(_proof("scan/a.dcm", "proof_bundle"))
    names = zipfile.ZipFile(io.BytesIO(body(response))).namelist()
    assert not {"receipt.json", "manifests/1.sha256"} & set(names)


def test_versions_are_listed(filled: Site) -> None:
    filled.drop("results", "north-1.pdf", b"second")
    filled.deliver()
    second = Delivery.objects.get(stored_as="north-1.v2.pdf")
    assert "Version 1:" in _page(filled, "rita", reverse("dropslot:proof", args=[second.pk]))


def test_tampering_shows_on_the_page(filled: Site) -> None:
    tamper("UPDATE dropslot_receipt SET body = replace(body, 'north-1.pdf', 'north-9.pdf')")
    assert "The signature is not valid" in _page(filled, "olga", _proof("north-1.pdf"))


def test_a_changed_fetch_shows_on_the_page(filled: Site) -> None:
    assert events("acknowledged")
    event = Event.objects.get(kind="acknowledged")
    tamper(f"UPDATE dropslot_event SET data = replace(data, 'rita', 'nina') WHERE seq = {event.seq}")
    page = _page(filled, "augusta", _proof("north-1.pdf"))
    assert f"event {event.seq} was changed" in page
    assert ">Fault<" in page


def test_a_stored_file_that_was_changed_shows_on_the_page(filled: Site) -> None:
    page = _page(filled, "augusta", _proof("north-1.pdf"))
    assert "The stored file was read now and has this SHA-256" in page
    stored = filled.root / "clinics" / "north" / "north-1.pdf"
    stored.chmod(0o600)
    stored.write_bytes(b"First")
    row = delivery_of("north-1.pdf")
    for url in (_proof("north-1.pdf"), reverse("dropslot:arrival_proof", args=[row.arrival_id])):
        page = _page(filled, "augusta", url)
        assert ">Fault<" in page
        assert "Not as it was delivered: north-1.pdf" in page


def test_a_changed_record_shows_on_the_page(filled: Site) -> None:
    row = delivery_of("north-1.pdf")
    row.sha256 = "0" * 64
    row.save()
    assert "The record differs from the manifest" in _page(filled, "olga", _proof("north-1.pdf"))


def _unpacked(site: Site, name: str, url: str, folder: Path) -> Path:
    response = site.client(name).get(url)
    assert response.status_code == 200
    with zipfile.ZipFile(io.BytesIO(body(response))) as bundle:
        bundle.extractall(folder)
    return folder


def _checked(folder: Path, *files: Path) -> tuple[int, str]:
    command = ["python3", "-I", str(folder / "check_bundle.py"), *map(str, files)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    assert not run.stderr, run.stderr
    return run.returncode, run.stdout


@pytest.mark.parametrize("name", ["olga", "sam", "rita"])
def test_a_bundle_verifies_without_dropslot(filled: Site, tmp_path: Path, name: str) -> None:
    folder = _unpacked(filled, name, _proof("north-1.pdf", "proof_bundle"), tmp_path / "bundle")
    file = tmp_path / "copy.pdf"
    file.write_bytes(b"first")
    status, said = _checked(folder, file)
    assert status == 0, said
    for words in (
        "is signed by a key in allowed_signers",
        "is the one that the receipt names",
        "the manifest lists 'north-1.pdf'",
        "is the head of the chain that the receipt names",
        "is the file that was delivered",
    ):
        assert words in said
    file.write_bytes(b"First")
    assert _checked(folder, file)[0] == 1
    (event,) = events("exported")
    assert (event["by"], event["what"]) == (name, "proof")


def test_an_arrival_s_bundle_verifies(filled: Site, tmp_path: Path) -> None:
    url = reverse("dropslot:arrival_proof_bundle", args=[filled.arrival("heart-1").id])
    folder = _unpacked(filled, "stella", url, tmp_path / "bundle")
    status, said = _checked(folder)
    assert status == 0, said
    assert (folder / "manifests" / "1.sha256").read_text().count("\n") == 2


def _edit(name: str, before: str, after: str) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        text = (folder / name).read_text()
        assert before in text
        (folder / name).write_text(text.replace(before, after))

    return edit


@pytest.mark.parametrize(
    "tamper",
    [
        _edit("receipt.json", '"route":"results"', '"route":"other"'),
        _edit("receipt.sig", "A", "B"),
        _edit("allowed_signers", "AAAAC3", "AAAAD3"),
        _edit("manifests/1.sha256", "north-1.pdf", "north-2.pdf"),
        _edit("events.jsonl", '"delivered":1', '"delivered":2'),
        _edit("bundle.json", '"sha256": "', '"sha256": "0'),
        _edit("bundle.json", "north-1.pdf", "north-9.pdf"),
        _edit("bundle.json", "manifests/1.sha256", "../../etc/passwd"),
        lambda folder: (folder / "events.jsonl").write_text("{}\n"),
        lambda folder: (folder / "receipt.sig").unlink(),
    ],
)
def test_tampering_with_a_bundle_is_found(
    filled: Site, tmp_path: Path, tamper: Callable[[Path], object]
) -> None:
    folder = _unpacked(filled, "olga", _proof("north-1.pdf", "proof_bundle"), tmp_path / "bundle")
    assert _checked(folder)[0] == 0
    tamper(folder)
    status, said = _checked(folder)
    assert status == 1 and "FAULT" in said
