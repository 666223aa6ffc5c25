"""STOW-RS: who may store, what is stored, and what every answer says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.test import Client

from callers import token_of
from dicom.images import STUDY_UID, image, series
from dropslot.access.roles import Scope
from dropslot.api.description import described, operations
from dropslot.api.tus import who
from dropslot.arrivals.models import Upload
from dropslot.audit.models import Event
from dropslot.config import from_mapping
from dropslot.core.context import put
from dropslot.dicom.receiving.make_arrivals import Arriving
from portals import Site, routes
from waiting import wait_until

STUDIES = "/api/v1/dicomweb/studies"
BOUNDARY = "a-boundary"


@pytest.fixture
def dicom_site(site: Site, settings: Any) -> Site:
    known = routes(site.root)
    known["study"] |= {"import": "dicom", "receive": {"aet": "DROPSLOT", "quiet": 0}}
    data = {"data": str(site.root / "var"), "portal": {}, "routes": known}
    settings.DROPSLOT = site.config = from_mapping(data, site.root)
    put(who.Recent())
    return site


def multipart(*files: bytes, end: bytes = b"--") -> bytes:
    parts = [
        b"\r\n--%s\r\nContent-Type: application/dicom\r\n\r\n%s" % (BOUNDARY.encode(), file) for file in files
    ]
    return b"".join(parts) + b"\r\n--%s%s\r\n" % (BOUNDARY.encode(), end)


def post(token: str, body: bytes, address: str = f"{STUDIES}?route=study", **headers: str) -> Any:
    kind = headers.pop("kind", f'multipart/related; type="application/dicom"; boundary={BOUNDARY}')
    said = headers | ({"Authorization": f"Bearer {token}"} if token else {})
    return Client().post(address, body, content_type=kind, headers=said)


def _inbox(site: Site) -> Path:
    return site.root / "study" / "inbox"


def test_what_is_stored_becomes_an_arrival_of_its_sender(dicom_site: Site) -> None:
    files, token = list(series(20).values()), token_of("sam", "upload")
    first = post(token, multipart(*files[:18]), STUDIES)  # the only route of sam's that takes studies
    assert first.status_code == 200, first.content
    assert first["Content-Type"] == "application/dicom+json"
    assert len(first.json()["00081199"]["Value"]) == 18
    mixed = post(token, multipart(files[18], b"no DICOM", files[19]), f"{STUDIES}/{STUDY_UID}?route=study")
    assert mixed.status_code == 202
    assert len(mixed.json()["00081199"]["Value"]) == 2
    assert mixed.json()["00081198"]["Value"] == [{"00081197": {"vr": "US", "Value": [0xC000]}}]
    other = image(1, StudyInstanceUID="1.2.3")
    wrong = post(
        token, multipart(other), f"{STUDIES}/{STUDY_UID}?route=study", Accept="application/dicom+xml"
    )
    assert wrong.status_code == 409
    assert b'keyword="FailedSOPSequence"' in wrong.content
    arriving = Arriving(dicom_site.config)

    def arrived() -> list[bytes]:
        arriving.adopt()
        arriving.step([])
        return sorted(path.read_bytes() for path in (_inbox(dicom_site) / STUDY_UID).rglob("*.dcm"))

    assert wait_until(arrived, what="an arrival") == sorted(files)
    assert [path.name for path in _inbox(dicom_site).iterdir()] == [STUDY_UID]
    assert Upload.objects.get().sender == "sam"
    ended = [
        json.loads(event.data) if isinstance(event.data, str) else event.data
        for event in Event.objects.filter(kind="received")
    ]
    assert sorted((one["aet"], one["instances"], one["ended"]) for one in ended) == [
        ("sam", 2, "released"),
        ("sam", 18, "released"),
    ]


def test_a_body_that_is_cut_or_of_another_kind_is_refused(dicom_site: Site) -> None:
    token, whole = token_of("sam", "upload"), multipart(image(1))
    assert post(token, whole[:-40]).status_code == 400
    assert post(token, multipart(image(1), end=b"")).status_code == 400
    assert post(token, whole, kind="application/dicom").status_code == 415
    assert post(token, whole, kind='multipart/related; type="application/dicom"').status_code == 400
    assert post(token, multipart()).status_code == 400
    assert post(token, whole, f"{STUDIES}/..%2Fx?route=study").status_code in (400, 404)
    assert post(token, whole, f"{STUDIES}?route=results").status_code in (403, 422)
    assert Client().get(STUDIES, headers={"Authorization": f"Bearer {token}"}).status_code == 405
    assert not list(_inbox(dicom_site).glob("*/*.dcm"))


def test_only_who_may_upload_to_the_route_stores(dicom_site: Site) -> None:
    body = multipart(image(1))
    calls = [path for path, _, _ in operations(described("/api/v1")) if "/dicomweb/" in path]
    assert calls == [STUDIES, f"{STUDIES}/{{study}}"]
    for address in (f"{path.format(study=STUDY_UID)}?route=study" for path in calls):
        for scope in Scope:
            expected = 200 if scope is Scope.UPLOAD else 403
            assert post(token_of("sam", scope), body, address).status_code == expected
        for name in ("rita", "stella", "nobody"):
            put(who.Recent())
            assert (name, post(token_of(name, "upload"), body, address).status_code) == (name, 403)
        assert post("", body, address).status_code == 401
    connections.close_all()
