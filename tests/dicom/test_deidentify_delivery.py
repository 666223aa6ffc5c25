"""De-identification as its users have it: a route, arrivals, what is delivered, recorded, and shown again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pydicom
import pytest

from dicom.images import image, series
from dicom.samples import sample as sample_path
from product import STUDY, Product, read_tree

PATIENT: dict[str, Any] = {
    "PatientID": "4711-0815",
    "PatientName": "Smithson^John",
    "PatientBirthDate": "19570312",
}
SENSITIVE = ("smithson", "4711-0815", "19570312")
SERVICE = """
import threading
from pathlib import Path
from dropslot.dicom.deidentifying.pseudonyms import PseudonymService, PseudonymsUnready

class Register(PseudonymService):
    def pseudonym(self, kind, original):
        if (Path(__file__).parent / "away").exists():
            raise PseudonymsUnready("The register does not answer", next_step="Wait")
        if (Path(__file__).parent / "careless").exists():
            return original.lower()
        return {"patient": "TRIAL-7"}.get(kind)
"""


def route(to: str = "./studies", more: dict[str, Any] | None = None, **deidentify: Any) -> dict[str, Any]:
    wanted = {"profile": "basic", "dates": "shift"} | deidentify
    return STUDY | {"import": "dicom", "deidentify": wanted, "deliver": [{"to": to}]} | (more or {})


def parsed(data: bytes) -> pydicom.FileDataset:
    return pydicom.dcmread(pydicom.filebase.DicomBytesIO(data))


def test_what_is_delivered_is_deidentified_and_both_digests_are_recorded(product: Product) -> None:
    product.configure({"study": route("./studies/{PatientID}/{StudyInstanceUID}")})
    sent = series(3, **PATIENT)
    product.drop("Smithson-John", {f"Smithson_{name}": data for name, data in sent.items()})
    product.drain()
    made = product.delivered()
    assert len(made) == 3
    for path, data in made.items():
        assert not [value for value in SENSITIVE if value.encode() in data.lower() or value in path.lower()]
        assert (
            path
            == f"{parsed(data).PatientID}/{parsed(data).StudyInstanceUID}/{parsed(data).SOPInstanceUID}.dcm"
        )
    rows = product.history()
    assert {row["sha256"] for row in rows} == {hashlib.sha256(data).hexdigest() for data in made.values()}
    for row in rows:
        shown = {key: value for key, value in row.items() if key not in ("name", "archived_as")}
        assert not [value for value in SENSITIVE if value in json.dumps(shown).lower()]
    (out := product.root / "receipts").mkdir()
    product.run("receipt", product.arrivals()[0]["id"], "--out", out)
    assert "3 made anew" in next(out.glob("*.json")).read_text()
    product.run("verify", "--fixity")
    product.run("purge", "--older-than", "0s", "--yes")  # done is compared with the digests of what was sent
    assert not (product.folder("done") / "Smithson-John").exists()


def test_a_patient_stays_the_same_within_a_route_and_differs_between_routes(product: Product) -> None:
    (product.root / "other").mkdir()
    other = route("./other", more={"folders": "./other-route"})
    product.configure({"study": route(), "other-route": other})
    product.drop("first", {"a.dcm": image(1, **PATIENT)})
    product.drain()
    product.drop("second", {"b.dcm": image(2, **PATIENT), "again.dcm": image(1, **PATIENT)})
    (product.folder("inbox", "other-route") / ".new").mkdir()
    (product.folder("inbox", "other-route") / ".new" / "a.dcm").write_bytes(image(1, **PATIENT))
    (product.folder("inbox", "other-route") / ".new").rename(product.folder("inbox", "other-route") / "third")
    product.drain()
    assert sorted(row["outcome"] for row in product.history("--route", "study")) == [
        "delivered",
        "delivered",
        "unchanged",
    ]
    one, two = (parsed(data) for data in product.delivered().values())
    for keyword in ("PatientID", "PatientName", "StudyInstanceUID", "SeriesInstanceUID", "StudyDate"):
        assert one.get(keyword) == two.get(keyword)
    (elsewhere,) = read_tree(product.root / "other").values()
    for keyword in ("PatientID", "StudyInstanceUID", "SOPInstanceUID", "StudyDate"):
        assert parsed(elsewhere).get(keyword) not in (one.get(keyword), two.get(keyword))


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("us.dcm", image(Modality="US"), "(kind US)"),
        ("note.txt", b"not an image", "it is not a DICOM file"),
        ("cut.dcm", image()[:2000], "has no pixels"),
        (
            "label.dcm",
            image(**PATIENT, ContentLabel="SMITHSON"),
            "ContentLabel still has a value of PatientName",
        ),
    ],
    ids=["ultrasound", "text", "cut", "scan"],
)
@pytest.mark.sqlite_only
def test_one_file_that_may_identify_refuses_all(product: Product, name: str, data: bytes, why: str) -> None:
    product.configure({"study": route()})
    product.drop("s", {"good.dcm": image(9, **PATIENT), name: data})
    product.drain(status=1)
    (arrival,) = product.arrivals()
    assert arrival["state"] == "failed"
    assert why in "; ".join(arrival["reason"])
    assert not [value for value in SENSITIVE if value in "; ".join(arrival["reason"]).lower()]
    assert product.delivered() == {}
    assert not list((product.root / "var" / "made").glob("*"))


def test_originals_are_shown_with_a_reason_and_each_use_is_an_event(product: Product) -> None:
    product.configure({"study": route()})
    product.drop("s", {"a.dcm": image(1, **PATIENT, AccessionNumber="ACC77")})
    product.drain()
    (made,) = map(parsed, product.delivered().values())
    before = parsed(image(1, **PATIENT))
    asked = (made.PatientID, made.AccessionNumber, made.SOPInstanceUID)
    assert product.run("reidentify", *asked, status=1).stdout == ""
    assert product.run("reidentify", "4711-0815", "--reason", "x", status=1).stdout == ""
    assert product.listing("events", "--kind", "reidentified") == []
    rows = product.run("reidentify", *asked, "--reason", "finding", "--json").objects
    assert [row["original"] for row in rows] == ["4711-0815", "ACC77", before.SOPInstanceUID]
    shifted = pydicom.valuerep.DA(made.StudyDate)
    original = pydicom.valuerep.DA(before.StudyDate)
    assert shifted is not None and original is not None
    assert rows[0]["shift_days"] == (shifted - original).days
    events = [event["data"] for event in product.listing("events", "--kind", "reidentified")]
    assert [event["replacement"] for event in events] == list(asked)
    assert {event["reason"] for event in events} == {"finding"}
    assert not [value for value in SENSITIVE if value in json.dumps(events).lower()]
    database = product.root / "var" / "dropslot.sqlite3"
    if database.exists():
        stored = b"".join(path.read_bytes() for path in database.parent.glob("dropslot.sqlite3*"))
        assert b"4711-0815" not in stored and b"ACC77" not in stored


@pytest.mark.sqlite_only
def test_a_lost_key_is_never_replaced(product: Product) -> None:
    product.configure({"study": route()})
    product.drop("s", {"a.dcm": image(1, **PATIENT)})
    product.drain()
    key = product.root / "var" / "keys" / "pseudonyms"
    assert key.stat().st_mode & 0o777 == 0o600
    assert "opens the originals" in product.run("doctor", status=None).stdout
    kept = key.read_bytes()
    key.unlink()
    found = product.run("doctor", status=None).stdout
    assert "is gone" in found and "Restore" in found
    product.drop("t", {"b.dcm": image(2, **PATIENT)})
    assert product.drain(status=None).status != 0
    assert not key.exists() and len(product.delivered()) == 1
    key.write_bytes(kept)
    key.chmod(0o600)
    product.drain()
    assert len(product.delivered()) == 2
    key.write_text("ab" * 32)
    assert "not the key" in product.run("doctor", status=None).stdout


@pytest.fixture
def register(product: Product) -> Callable[..., Product]:
    (product.root / "plugins").mkdir()
    (product.root / "plugins" / "register.py").write_text(SERVICE)
    return lambda: product.configure({"study": route(pseudonyms="register.Register")})


@pytest.mark.sqlite_only
def test_a_pseudonym_service_is_asked_and_waited_for(register: Callable[..., Product]) -> None:
    product = register()
    (away := product.root / "plugins" / "away").touch()
    product.drop("s", {"a.dcm": image(1, **PATIENT, AccessionNumber="ACC77"), "b.dcm": image(2, **PATIENT)})
    product.drain(status=1)
    (arrival,) = product.arrivals()
    assert arrival["state"] == "retrying" and "The register does not answer" in arrival["reason"][0]
    away.unlink()
    product.run("retry", arrival["id"])
    product.drain()
    made = [parsed(data) for data in product.delivered().values()]
    assert {each.PatientID for each in made} == {"TRIAL-7"}
    (accession,) = [each.AccessionNumber for each in made if each.AccessionNumber]
    assert accession.startswith("A") and len(accession) == 16
    (row,) = product.run("reidentify", "TRIAL-7", "--reason", "x", "--json").objects
    assert row["original"] == "4711-0815"


@pytest.mark.sqlite_only
def test_a_service_that_gives_the_original_back_delivers_nothing(register: Callable[..., Product]) -> None:
    product = register()
    (product.root / "plugins" / "careless").touch()
    product.drop("s", {"a.dcm": image(1, PatientID="KH-4711", PatientName="Doe^Jane")})
    product.drain(status=1)
    (arrival,) = product.arrivals()
    assert arrival["state"] == "retrying" and "must not be the original itself" in arrival["reason"][0]
    assert not product.delivered()


def test_one_pseudonym_for_two_patients_is_not_delivered(register: Callable[..., Product]) -> None:
    product = register()
    product.drop("s", {"a.dcm": image(1, **PATIENT)})
    product.drain()
    product.drop("t", {"b.dcm": image(2, PatientID="another", PatientName="Doe^Jane")})
    product.drain(status=1)
    waiting = next(row for row in product.arrivals() if row["name"] == "t")
    assert waiting["state"] == "retrying" and "belongs to another original" in waiting["reason"][0]


@pytest.mark.sqlite_only
def test_a_recipe_changes_the_profile(product: Product) -> None:
    (product.root / "deid.dicom").write_text(
        "FORMAT dicom\n%header\n# a comment\nADD ClinicalTrialProtocolID TRIAL-1\nREMOVE contains:protocolname\n"
        "REPLACE InstitutionName Site 3\nBLANK Manufacturer\nKEEP StationName\nJITTER StudyDate -31\n"
    )
    product.configure({"study": route(recipe="./deid.dicom", dates="remove")})
    product.drop("s", {"a.dcm": image(1, **PATIENT, StationName="ROOM7", StudyDate="20240301")})
    product.drain()
    (made,) = map(parsed, product.delivered().values())
    assert made.ClinicalTrialProtocolID == "TRIAL-1"
    assert (made.InstitutionName, made.Manufacturer, made.StationName) == ("Site 3", "", "ROOM7")
    assert made.StudyDate == "20240130"
    assert "DeidentificationMethodCodeSequence" not in made
    (product.root / "deid.dicom").write_text("FORMAT dicom\n%header\nREPLACE PatientID func:hash\n")
    product.drop("t", {"a.dcm": image(2, **PATIENT)})
    assert "line 3" in product.drain(status=None).stderr


RECIPE = """FORMAT dicom

%fields site
FIELD InstitutionName
FIELD contains:StationName

%filter whitelist
LABEL Anything # needs no line here
  contains Modality CT

%filter graylist
LABEL Dose reports # a remark
  contains ManufacturerModelName LightSpeed VCT
  + contains Modality CT|MR
  + contains SeriesDescription dose || equals StudyDescription Report
  coordinates 0,0,512,121
LABEL A volume
  equals Rows 128
  + contains ImageType \\w\\w\\wREN\\Z
LABEL Without a maker
  missing Manufacturer || empty Manufacturer
  || contains Manfacturer nobody
%labels
ADD owner Site 3
%header
LABEL a remark
REMOVE fields:site
REMOVE PatientsName
"""
VCT = {"ManufacturerModelName": "LightSpeed VCT", "Manufacturer": "GE"}


@pytest.mark.parametrize(
    ("attributes", "label"),
    [
        (VCT | {"SeriesDescription": "Dose Info"}, "Dose reports"),
        (VCT | {"StudyDescription": "REPORT"}, "Dose reports"),
        (VCT | {"StudyDescription": "a report"}, None),
        ({"SeriesDescription": "Dose Info", "Manufacturer": "GE"}, None),
        ({"Manufacturer": ""}, "Without a maker"),
        ({"Manufacturer": "GE", "Rows": 128, "ImageType": ["DERIVED", "VOLREN"]}, "A volume"),
        ({"Manufacturer": "GE", "Rows": 128, "ImageType": ["DERIVED", "VOLRENT"]}, None),
    ],
)
def test_an_image_that_a_filter_of_the_recipe_matches_is_refused(
    sqlite_product: Product, attributes: dict[str, str], label: str | None
) -> None:
    (sqlite_product.root / "deid.dicom").write_text(RECIPE)
    sqlite_product.configure({"study": route(recipe="./deid.dicom")})
    sqlite_product.drop("s", {"a.dcm": image(1, **(PATIENT | {"StationName": "ROOM7"} | attributes))})
    sqlite_product.drain(status=None)
    (arrival,) = sqlite_product.arrivals()
    assert arrival["state"] == ("done" if label is None else "failed")
    if label is None:
        assert "StationName" not in parsed(*sqlite_product.delivered().values())
    else:
        assert f"{label} (kind filter)" in " ".join(arrival["reason"])
        sqlite_product.configure({"study": route(recipe="./deid.dicom", accept=["filter"])})
        sqlite_product.run("retry", arrival["id"])
        sqlite_product.drain()
        assert sqlite_product.delivered()
    found = sqlite_product.run("doctor", status=None).stdout
    assert "no effect" in found and "Manfacturer" in found and "PatientsName" in found


NAMED = {
    "import": "dicom",
    "name": r"(?P<study>\w+)-(?P<who>.+)",
    "deidentify": {"profile": "basic"},
    "deliver": [{"to": "./studies/{study}/{who}"}],
}


def test_a_field_of_the_name_that_the_configuration_calls_safe_is_a_folder(sqlite_product: Product) -> None:
    safe = {"deidentify": {"profile": "basic", "safe_fields": ["study"]}}
    to = [{"to": "./studies/{study}/{PatientID}"}]
    sqlite_product.configure({"study": STUDY | NAMED | safe | {"deliver": to}})
    sqlite_product.drop("heart-Smithson", {"a.dcm": image(1, **PATIENT)})
    sqlite_product.drain()
    (path,) = sqlite_product.delivered()
    assert path.startswith("heart/") and "Smithson" not in path


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({"deidentify": {"profile": "basic"}}, "import: dicom"),
        (
            {"import": "dicom", "deidentify": {"profile": "basic"}, "made_by": {"os.path": None}},
            "either deidentify or made_by",
        ),
        ({"import": "dicom", "deidentify": {"profile": "basic", "options": ["retain-all"]}}, "retain-uids"),
        (NAMED, "deidentify: {safe_fields: [who]}"),
        (NAMED | {"deidentify": {"profile": "basic", "safe_fields": ["study"]}}, "[who]"),
        (
            NAMED | {"deidentify": {"profile": "basic", "safe_fields": ["who", "where"]}},
            "this route has study, who",
        ),
    ],
)
@pytest.mark.sqlite_only
def test_keys_that_do_not_fit_are_refused(product: Product, keys: dict[str, Any], why: str) -> None:
    product.configure({"study": STUDY | keys})
    assert why in product.run("arrivals", status=2).stderr


@pytest.mark.sqlite_only
def test_the_options_of_a_dataset_with_pixels_that_were_looked_at(product: Product) -> None:
    product.configure({"study": route(accept=["US"], options=["retain-patient-characteristics"])})
    product.drop("s", {"us.dcm": sample_path("US1_UNCR.dcm").read_bytes()})
    product.drain()
    (made,) = map(parsed, product.delivered().values())
    assert made.Modality == "US" and made.PatientIdentityRemoved == "YES"
