"""Pages of patients, studies, series and images that were really imported: what each role sees, looks as events, and
what strangers wrote into headers."""

from __future__ import annotations

import base64
import html
import io
import json
import re
from typing import Any

import pydicom
import pytest
from pydicom.uid import UID

from callers import Caller, token_of
from dicom.images import SERIES_UID, STUDY_UID, image, series
from dicom.samples import sample
from dropslot.access import visit_trail
from dropslot.audit.models import Event
from dropslot.config import from_mapping
from dropslot.dicom.models import Instance, Patient, Series, Study
from portal.hostile_names import NAMES
from portals import Site, routes

BOTH_DATABASES = True
_OTHER = {
    "PatientID": "P-18",
    "PatientName": "Roe^Max",
    "StudyInstanceUID": "1.2",
    "SeriesInstanceUID": "1.2.3",
}


def _with_route(site: Site, settings: Any, to: str) -> None:
    """A route that imports, and delivers to this path below `clinics`."""
    config = routes(site.root) | {
        "dicom": {
            "folders": str(site.root / "dicom"),
            "import": "dicom",
            "name": r"(?P<study>\w+)-(?P<sent>.+)",
            "deliver": [{"to": str(site.root / "clinics" / to)}],
        }
    }
    given = {"data": str(site.root / "var"), "portal": {}, "routes": config}
    settings.DROPSLOT = site.config = from_mapping(given, site.root)
    for folder in ("inbox", "processing", "done", "failed"):
        (site.root / "dicom" / folder).mkdir(parents=True)


@pytest.fixture
def imaging(site: Site, settings: Any) -> Site:
    """Of sam: heart-ct with three images of P-17 and one of P-18, each in a folder of its patient; of olga: lung-mr."""
    _with_route(site, settings, "{PatientID}")
    other = image(9, SOPInstanceUID="1.2.3.9", **_OTHER)
    site.drop("dicom", "heart-ct", {**series(3, ImagesInAcquisition=3), "other.dcm": other})
    site.deliver("sam")
    lung = {"PatientID": "P-19", "StudyInstanceUID": "1.4", "SeriesInstanceUID": "1.4.1", "Modality": "MR"}
    site.drop("dicom", "lung-mr", {"1.dcm": image(1, SOPInstanceUID="1.4.1.1", **lung)})
    site.deliver("olga")
    site.account("rolf", "recipient", routes=("dicom",), folders=("P-18",))
    return site


def _seen(site: Site, name: str, page: str) -> str:
    return html.unescape(site.client(name).get(page).content.decode())


@pytest.mark.parametrize(
    ("name", "patients"),
    [
        ("olga", {"P-17", "P-18", "P-19"}),
        ("sam", {"P-17", "P-18"}),
        ("stella", {"P-17", "P-18"}),
        ("rolf", {"P-18"}),
        ("rita", set()),
    ],
)
def test_each_role_sees_the_images_of_its_arrivals_and_a_recipient_those_of_its_folder(
    imaging: Site, name: str, patients: set[str]
) -> None:
    for page in ("/patients/", "/studies/", "/series/"):
        assert set(re.findall(r"P-1\d", _seen(imaging, name, page))) == patients, page
    client = imaging.client(name)
    for kind, rows, patient in (
        ("patients", Patient.objects.all(), "patient_id"),
        ("studies", Study.objects.all(), "patient__patient_id"),
        ("series", Series.objects.all(), "study__patient__patient_id"),
        ("images", Instance.objects.all(), "series__study__patient__patient_id"),
    ):
        for pk, of in rows.values_list("pk", patient):
            status = client.get(f"/{kind}/{pk}/").status_code
            assert (kind, of, status) == (kind, of, 200 if of in patients else 404)


@pytest.mark.parametrize(("to", "folder"), [("{InstanceNumber}", "2"), ("", "2")])
@pytest.mark.sqlite_only
def test_a_recipient_sees_of_a_series_only_what_came_into_its_folder(
    site: Site, settings: Any, to: str, folder: str
) -> None:
    _with_route(site, settings, to)
    site.drop("dicom", "heart-ct", {f"{name[0]}/{name}": data for name, data in series(3).items()})
    site.deliver("sam")
    site.account("rolf", "recipient", routes=("dicom",), folders=(folder,))
    (row,) = Series.objects.all()
    page = site.client("rolf").get(f"/series/{row.pk}/")
    (shown,) = re.findall(r"/images/(\d+)/", page.content.decode().partition("<tbody>")[2])[:1]
    seen = {pk for pk in Instance.objects.values_list("pk", flat=True) if _sees(site, pk)}
    assert seen == {int(shown)} == {Instance.objects.get(number="2").pk}


def _sees(site: Site, pk: int) -> bool:
    return site.client("rolf").get(f"/images/{pk}/").status_code == 200


def test_searches_and_filters(imaging: Site) -> None:
    def found(page: str, **query: str) -> set[str]:
        content = imaging.client("olga").get(page, query).content.decode()
        return set(re.findall(r"P-1\d", content.partition("<tbody>")[2]))

    assert found("/patients/", search="roe") == {"P-18"}
    assert found("/studies/", search="P-19") == {"P-19"}
    assert found("/series/", modality="MR") == {"P-19"}
    assert found("/series/", verdict="CONSISTENT", patient="P-17") == {"P-17"}
    assert found("/series/", uid="1.2.3.9") == {"P-18"}
    assert found("/patients/", uid="1.4") == {"P-19"}
    assert found("/studies/", accession="nothing") == set()
    day = Study.objects.values_list("date", flat=True).first() or ""
    shown = f"{day[:4]}-{day[4:6]}-{day[6:]}"
    assert found("/studies/", dated_from=shown, dated_until=shown) == {"P-17", "P-18", "P-19"}
    assert found("/studies/", dated_from="2099-01-01") == set()
    assert "Write a day as" in _seen(imaging, "olga", "/studies/?dated_from=x")
    assert found("/series/", search="\0'\"%_") == set()


def test_from_an_arrival_to_its_series_and_back(imaging: Site) -> None:
    row = Series.objects.get(study__patient__patient_id="P-17")
    arrival = _seen(imaging, "sam", f"/arrivals/{row.arrival_id}/")
    assert f'href="/series/{row.pk}/"' in arrival
    page = _seen(imaging, "sam", f"/series/{row.pk}/")
    assert f'href="/arrivals/{row.arrival_id}/"' in page
    assert "Consistent." in page
    assert "The series has 3 images, and its headers state 3" in page
    assert f'href="/arrivals/{row.arrival_id}/"' not in _seen(imaging, "rolf", "/series/")


def _events(kind: str) -> list[dict[str, Any]]:
    visit_trail.trail().record()
    return [json.loads(data) for data in Event.objects.filter(kind=kind).values_list("data", flat=True)]


@pytest.mark.sqlite_only
def test_looks_are_events_and_show_what_was_delivered(imaging: Site) -> None:
    pk = Instance.objects.get(sop_uid="1.2.3.9").pk
    page = _seen(imaging, "rolf", f"/images/{pk}/preview?centre=100&width=500&frame=1")
    (picture,) = re.findall(r"data:image/png;base64,([\w+/=]+)", page)
    assert base64.b64decode(picture).startswith(b"\x89PNG")
    assert 'value="500"' in page
    part = imaging.client("rolf").get(f"/images/{pk}/header", headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in part
    assert "Roe^Max" in part
    looks = [(event["by"], event["part"]) for event in _events("viewed")]
    assert looks == [("rolf", "frame 1"), ("rolf", "header")]
    answer = Caller(imaging, token_of("rolf", "read")).get(f"dicom/instances/{pk}/header").json()
    assert {
        "depth": 0,
        "tag": "(0010,0010)",
        "name": "PatientName",
        "vr": "PN",
        "value": "Roe^Max",
    } in answer["elements"]


@pytest.mark.sqlite_only
def test_a_file_that_was_altered_is_not_shown_but_the_archives_is(imaging: Site) -> None:
    row = Instance.objects.get(sop_uid="1.2.3.9")
    (imaging.root / "clinics" / "P-18" / "other.dcm").write_bytes(b"altered")
    assert "data:image/png" in _seen(imaging, "olga", f"/images/{row.pk}/preview")
    assert len(_events("altered")) == 1
    archived = imaging.root / "dicom" / "done" / "heart-ct" / "other.dcm"
    archived.unlink()
    page = _seen(imaging, "olga", f"/images/{row.pk}/preview")
    assert "This image cannot be shown here" in page
    assert "not the one that was delivered" in page
    assert "ask the people who run this portal" in page
    assert not [words for words in ("can be downloaded", "Window centre", "Lung") if words in page]


@pytest.mark.sqlite_only
def test_where_an_image_went_is_shown_to_who_sees_its_route(imaging: Site) -> None:
    row = Instance.objects.get(sop_uid="1.2.3.9")
    folder = str(imaging.root / "clinics" / "P-18")
    assert folder in _seen(imaging, "olga", f"/images/{row.pk}/")
    for name in ("sam", "stella", "rolf"):
        assert folder not in _seen(imaging, name, f"/images/{row.pk}/")


@pytest.mark.sqlite_only
def test_a_report_has_no_picture_and_no_window(imaging: Site) -> None:
    report = pydicom.dcmread(sample("reportsi.dcm"))
    report.SOPInstanceUID = report.file_meta.MediaStorageSOPInstanceUID = UID("1.6.1.1")
    report.PatientID, report.StudyInstanceUID, report.SeriesInstanceUID = "P-21", "1.6", "1.6.1"
    report.save_as(file := io.BytesIO())
    imaging.drop("dicom", "heart-sr", {"report.dcm": file.getvalue()})
    imaging.deliver()
    row = Instance.objects.get(series__modality="SR")
    page = _seen(imaging, "olga", f"/images/{row.pk}/preview")
    assert "It has no image. It can be downloaded" in page
    assert "Window centre" not in page
    assert "Window centre" in _seen(imaging, "olga", f"/images/{row.pk}/preview?centre=40&width=400")


@pytest.mark.sqlite_only
def test_days_and_times_of_dicom_are_shown_as_people_write_them(imaging: Site) -> None:
    Study.objects.update(date="20260301", time="101559.250")
    Patient.objects.update(birth_date="19700131")
    row = Study.objects.first()
    assert row is not None
    assert "2026-03-01 10:15:59" in _seen(imaging, "olga", f"/studies/{row.pk}/")
    assert "1970-01-31" in _seen(imaging, "olga", f"/patients/{row.patient_id}/")


@pytest.mark.sqlite_only
def test_texts_of_strangers_are_only_texts(imaging: Site) -> None:
    uids = {"StudyInstanceUID": "1.6", "SeriesInstanceUID": "1.6.1", "SpecificCharacterSet": "ISO_IR 192"}
    for number, name in enumerate(NAMES):
        text = name[:60]
        texts = {
            "PatientName": text,
            "SeriesDescription": text,
            "StudyDescription": text,
            "Manufacturer": text,
        }
        own = {"SOPInstanceUID": f"1.6.1.{number}", "PatientID": f"H-{number}"}
        own |= {"StudyInstanceUID": f"1.6.{number}", "SeriesInstanceUID": f"1.6.{number}.1"}
        imaging.drop("dicom", f"heart-h{number}", {"x.dcm": image(1, **(uids | texts | own))})
    imaging.deliver("sam")
    client = imaging.client("olga")
    pages = ["/patients/", "/studies/", "/series/"]
    for kind, rows in (("patients", Patient), ("studies", Study), ("series", Series), ("images", Instance)):
        pages += [f"/{kind}/{pk}/" for pk in rows._default_manager.values_list("pk", flat=True)]
    pages += [f"/images/{pk}/header" for pk in Instance.objects.values_list("pk", flat=True)[:6]]
    for page in pages:
        content = client.get(page).content.decode()
        for bad in ("<script>alert", "<img src=x", "<svg onload", "' onmouseover='alert(1)"):
            assert bad not in content, (page, bad)
    assert "49{" not in client.get("/patients/").content.decode()


@pytest.mark.sqlite_only
def test_nobody_is_told_of_studies_and_series_that_are_not_shown(site: Site, settings: Any) -> None:
    """A recipient of one series of one study gets the numbers and modalities of that alone."""
    _with_route(site, settings, "{SeriesInstanceUID}")
    report = image(2, SeriesInstanceUID="1.5.1", Modality="SR")
    other = image(3, StudyInstanceUID="1.6", SeriesInstanceUID="1.6.1", Modality="MR")
    site.drop("dicom", "heart-ct", {**series(1), "report.dcm": report, "other.dcm": other})
    site.deliver("sam")
    site.account("rolf", "recipient", routes=("dicom",), folders=("1.5.1",))
    site.account("ed", "recipient", routes=("dicom",), folders=("1.5.1", "1.6.1", SERIES_UID))
    for name, studies, of_study in (("rolf", 1, (1, "SR")), ("ed", 2, (2, "CT, SR"))):
        caller = Caller(site, token_of(name, "read"))
        (patient,) = caller.get("dicom/patients").json()["items"]
        assert patient["studies"] == studies
        found = {one["study_uid"]: one for one in caller.get("dicom/studies").json()["items"]}
        assert (found[STUDY_UID]["series"], found[STUDY_UID]["modalities"]) == of_study
