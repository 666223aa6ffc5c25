"""De-identification of single files: nothing planted survives, and what stays is valid, consistent and marked."""

from __future__ import annotations

import io
import re
import struct
import subprocess
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import DeflatedExplicitVRLittleEndian

from dicom.anonymous import asked, deidentified, read, refused
from dicom.images import encoded, image, sample
from dicom.planting import KINDS, planted
from dicom.samples import sample as sample_path
from dicom.samples import sample_files
from dropslot.dicom_files.deidentifier import profile

RISKS = ["US", "SC", "OT", "burned-in", "encapsulated"]  # `filter`: only with a recipe


@pytest.mark.parametrize("kind", KINDS)
def test_no_planted_identifier_survives(kind: str) -> None:
    data, values = planted(kind)
    assert len(values) >= 1_200
    assert all(value in data for value in values)
    made = deidentified(data, accept=["US"])
    lowered = made.lower()
    assert [value for value in values if value.lower() in lowered] == []
    texts = [str(element.value) for element in read(made).iterall() if element.VR != "SQ"]
    together = "\n".join(texts).lower()
    assert [value for value in values if value.decode("ascii").lower() in together] == []
    assert made[:132] == bytes(128) + b"DICM"


@pytest.mark.parametrize("kind", KINDS)
def test_what_stays_is_there(kind: str) -> None:
    before = pydicom.dcmread(sample_path(KINDS[kind][0]), force=True)
    after = read(deidentified(sample_path(KINDS[kind][0]).read_bytes(), accept=["US"]))
    for keyword in ("SOPClassUID", "Modality", "Rows", "BitsAllocated", "PixelData"):
        assert after.get(keyword) == before.get(keyword)
    assert after.original_encoding == before.original_encoding
    assert after.file_meta.MediaStorageSOPInstanceUID == after.SOPInstanceUID != before.SOPInstanceUID


@pytest.mark.parametrize("option", profile.COLUMNS)
def test_an_option_keeps_what_it_names_and_refuses_nothing(option: str) -> None:
    data, _ = planted("CT")
    columns = {"retain-uids": 0x0020000D, "retain-device": 0x00080055, "retain-institution": 0x00080080}
    before, after = read(data), read(deidentified(data, options=[option], dates="shift"))
    for wanted, tag in columns.items():
        assert (tag in after and after[tag].value == before[tag].value) is (wanted == option)


def test_a_file_says_that_and_how_it_was_deidentified() -> None:
    after = read(deidentified(image(), dates="shift", options=["clean-descriptors"]))
    assert after.PatientIdentityRemoved == "YES"
    assert after.LongitudinalTemporalInformationModified == "MODIFIED"
    assert "a test" in after.DeidentificationMethod
    codes = [item.CodeValue for item in after.DeidentificationMethodCodeSequence]
    assert codes == ["113100", "113105", "113107"]
    plain = read(deidentified(image()))
    assert plain.LongitudinalTemporalInformationModified == "REMOVED"
    assert [item.CodeValue for item in plain.DeidentificationMethodCodeSequence] == ["113100"]


def _errors(data: bytes, folder: Path) -> set[str]:
    """What dciodvfy calls an error, without the values."""
    (file := folder / "file.dcm").write_bytes(data)
    done = subprocess.run(["dciodvfy", str(file)], capture_output=True, check=False, timeout=60)
    lines = (done.stdout + done.stderr).decode("utf-8", "replace").splitlines()
    return {re.sub(r"UID <?[0-9.]+", "UID", line) for line in lines if line[:5] == "Error"}


@pytest.mark.parametrize("dates", ["remove", "shift"])
def test_dciodvfy_finds_no_error_that_was_not_there(dates: str, tmp_path: Path) -> None:
    compared = 0
    for path in sample_files():
        data = path.read_bytes()
        if len(data) < 400_000:
            answer, made = asked(data, accept=RISKS, dates=dates)
            if "refused" not in answer:
                assert _errors(made, tmp_path) - _errors(data, tmp_path) == set(), path.name
                compared += 1
    assert compared > 100


def test_dates_of_a_patient_keep_their_intervals_and_other_patients_have_other_ones() -> None:
    def days(**values: Any) -> tuple[int, int]:
        after = read(deidentified(image(**values), dates="shift"))
        before = read(image(**values))
        assert after.StudyTime == before.StudyTime
        assert after.PatientBirthDate == ""
        start, later = (pydicom.valuerep.DA(each.StudyDate) for each in (before, after))
        assert start is not None and later is not None
        series_start, series_later = (pydicom.valuerep.DA(each.SeriesDate) for each in (before, after))
        assert series_start is not None and series_later is not None
        return (start - later).days, (series_start - series_later).days

    one = days(StudyDate="20240229", SeriesDate="20240301", PatientBirthDate="19700101")
    two = days(StudyDate="20260101", SeriesDate="20251231", PatientBirthDate="19700101")
    other = days(PatientID="P-18", StudyDate="20240229", SeriesDate="20240301", PatientBirthDate="19700101")
    assert len({*one, *two}) == 1 and 0 < one[0] < 3650
    assert other != one


def test_the_same_file_gives_the_same_bytes_and_another_key_other_ones() -> None:
    assert deidentified(image()) == deidentified(image())
    after, other = read(deidentified(image())), read(deidentified(image(), key="77" * 32))
    assert after.PatientID == after.PatientName != other.PatientID
    assert after.StudyInstanceUID != other.StudyInstanceUID


def test_references_in_sequences_follow_the_instances() -> None:
    first, dataset = read(image(1)), read(image(2))
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = (
        first.SOPClassUID,
        first.SOPInstanceUID,
    )
    dataset.SourceImageSequence = Sequence([reference])
    after = read(deidentified(encoded(dataset)))
    assert (
        after.SourceImageSequence[0].ReferencedSOPInstanceUID == read(deidentified(image(1))).SOPInstanceUID
    )
    assert after.SourceImageSequence[0].ReferencedSOPClassUID == first.SOPClassUID


LEFT_OVERS = {
    "ContentLabel": "SMITHSON",
    "Manufacturer": "made for john smithson",
    "SoftwareVersions": "id 4711-0815",
    "ConvolutionKernel": "47110815x",
    "ScanOptions": "SMITHSON",
    "PositionReferenceIndicator": "born 12.03.1957",
    "ManufacturerModelName": "March 12, 1957",
    "FilterType": "1957-03-12",
}


@pytest.mark.parametrize("keyword", LEFT_OVERS)
def test_the_scan_refuses_an_identifier_where_the_profile_keeps_it(keyword: str) -> None:
    value = LEFT_OVERS[keyword]
    who: dict[str, Any] = {
        "PatientName": "Smithson^John",
        "PatientID": "4711-0815",
        "PatientBirthDate": "19570312",
    }
    if keyword == "ConvolutionKernel":
        who["PatientID"], value = "4711X0815", "4711_X0815"
    why = refused(image(**who, **dict[str, Any]({keyword: value})))
    assert f"{keyword} still has a value of Patient" in why
    assert "smithson" not in why.lower() and "4711" not in why and "1957" not in why


def test_the_scan_reads_other_encodings_and_binary_elements() -> None:
    dataset = read(image(PatientName="Smithson^John"))
    item = Dataset()
    item.add_new(0x00081150, "UI", dataset.SOPClassUID)
    item.add_new(0x00282000, "OB", "profile of Smithson".encode("utf-16-le"))
    dataset.OpticalPathSequence = Sequence([item])
    why = refused(encoded(dataset))
    assert "ICCProfile, item 1 of OpticalPathSequence still has a value of PatientName" in why
    asian = read(image(SpecificCharacterSet="ISO_IR 192", PatientName="山田^太郎", Manufacturer="技師山田様"))
    assert "Manufacturer still has a value of PatientName" in refused(encoded(asian))
    greek = read(image(PatientName="Διονυσιος", SpecificCharacterSet="ISO_IR 126", Manufacturer="ΔΙΟΝΥΣΙΟΣ"))
    assert "Manufacturer still has a value of PatientName" in refused(encoded(greek))


def test_short_and_usual_words_are_no_findings() -> None:
    made = deidentified(
        image(
            PatientName="Head^CT", PatientID="12", StudyID="100", InstanceNumber=100, BodyPartExamined="HEAD"
        )
    )
    assert read(made).BodyPartExamined == "HEAD"


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ({"Modality": "US"}, "US"),
        ({"Modality": "OT"}, "OT"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, "SC"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7.4"}, "SC"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.104.1"}, "encapsulated"),
        ({"BurnedInAnnotation": "YES"}, "burned-in"),
    ],
)
def test_pixels_that_may_show_a_name_are_refused_unless_accepted(values: dict[str, Any], kind: str) -> None:
    assert f"(kind {kind})" in refused(image(**values))
    assert deidentified(image(**values), accept=[kind])


def test_burned_in_annotation_no_is_fine() -> None:
    assert deidentified(image(BurnedInAnnotation="NO"))


def _deep(levels: int) -> bytes:
    """A file with sequences in sequences."""
    dataset = read(image())
    body = b""
    for _ in range(levels):
        item = struct.pack("<HHL", 0xFFFE, 0xE000, len(body)) + body
        body = struct.pack("<HH2sHL", 0x5200, 0x9229, b"SQ", 0, len(item)) + item
    cut = encoded(dataset)
    at = cut.index(struct.pack("<HH2s", 0x7FE0, 0x0010, b"OW"))
    return cut[:at] + body + cut[at:]


HOSTILE = {
    "not DICOM": (b"%PDF-1.4 hello", "not a DICOM file"),
    "empty": (b"", "it is empty"),
    "deep": (_deep(1000), "64 deep"),
    "cut in the pixels": (image()[:-1000], "its pixels have"),
    "cut in the header": (image()[:1500], "malformed"),
    "a VR that there is not": (image().replace(b"\x08\x00\x60\x00CS", b"\x08\x00\x60\x00??"), "no valid VR"),
    "a text where a number is": (
        image().replace(
            struct.pack("<HH2sH", 0x28, 0x10, b"US", 2), struct.pack("<HH2sH", 0x28, 0x10, b"SH", 2)
        ),
        "VR SH in place of US",
    ),
    "a length without end": (
        image().replace(b"\x08\x00\x60\x00CS\x02\x00", b"\x08\x00\x60\x00CS\xff\xff"),
        "malformed",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_with_a_reason(name: str) -> None:
    data, why = HOSTILE[name]
    assert why in refused(data)


def test_a_deflated_bomb_is_refused() -> None:
    dataset = read(image())
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.PixelData = bytes(300 << 20)
    dataset.Rows, dataset.Columns, dataset.NumberOfFrames = 16384, 9600, 1
    assert "inflates to more than 256 MiB" in refused(encoded(dataset))


def test_sequences_of_the_standards_own_depth_are_no_attack() -> None:
    assert deidentified(_deep(20))


def test_safe_private_elements_stay_only_if_asked() -> None:
    dataset = sample("MR_small.dcm")
    block = dataset.private_block(0x2001, "Philips Imaging DD 001", create=True)
    block.add_new(0x03, "FL", 1000.0)
    block.add_new(0xF0, "LO", "not safe")
    data = encoded(dataset)
    assert not [element for element in read(deidentified(data)) if element.tag.is_private]
    kept = read(deidentified(data, options=["retain-safe-private"]))
    assert kept.private_block(0x2001, "Philips Imaging DD 001")[0x03].value == 1000.0
    assert len([element for element in kept if element.tag.is_private]) == 2


def test_cleaned_descriptions_lose_the_words_that_identify() -> None:
    data = image(
        PatientName="Smithson^John",
        SeriesDescription="T1 axial for Mr Smithson 20240229",
        StudyDescription="Knee",
    )
    after = read(deidentified(data, options=["clean-descriptors"]))
    assert after.SeriesDescription == "T1 axial for Mr"
    assert after.StudyDescription == "Knee"
    assert "StudyDescription" not in read(deidentified(data))


def test_a_report_keeps_its_content_only_if_asked() -> None:
    data = sample_path("test-SR.dcm").read_bytes()
    texts = {str(each.value) for each in read(data).iterall() if each.keyword == "TextValue"}
    plain = [each.value for each in read(deidentified(data)).iterall() if each.keyword == "TextValue"]
    assert plain and set(plain) == {"DEIDENTIFIED"}
    options = ["clean-structured-content"]
    kept = [
        each.value
        for each in read(deidentified(data, options=options)).iterall()
        if each.keyword == "TextValue"
    ]
    assert texts & set(kept)


def test_deflated_and_big_endian_files_keep_their_syntax() -> None:
    for name in ("image_dfl.dcm", "MR_small_bigendian.dcm", "MR_small_RLE.dcm"):
        before = pydicom.dcmread(sample_path(name))
        after = read(deidentified(sample_path(name).read_bytes(), accept=RISKS))
        assert after.file_meta.TransferSyntaxUID == before.file_meta.TransferSyntaxUID
        assert after.PixelData == before.PixelData
        assert io.BytesIO(after.PixelData).read(1)
