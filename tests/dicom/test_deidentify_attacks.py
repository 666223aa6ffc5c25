"""Identifiers in odd places and odd spellings: each is gone, or the file is refused."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence

from dicom.anonymous import asked, refused
from dicom.images import encoded, image
from dicom.images import sample as by_name

WHO: Mapping[str, Any] = {
    "PatientName": "Smithson^John",
    "PatientID": "4711-0815",
    "PatientBirthDate": "19570312",
    "StudyDate": "20240229",
}
KEPT = "ContentLabel"  # CS, which the profile keeps


def survives(data: bytes, *values: bytes, **question: Any) -> bool:
    """Whether a value is in what would be delivered."""
    answer, made = asked(data, **question)
    return "refused" not in answer and any(value.lower() in made.lower() for value in values)


@pytest.mark.parametrize(
    ("who", "text"),
    [
        ({}, "JSMITHSON"),
        ({}, "smithsonj"),
        ({}, "SMITHSONJOHN"),
        ({}, "xjohnsmithsonx"),
        ({}, "Smithson1"),
        ({}, "ct4smithson"),
        ({}, "3/12/1957"),
        ({}, "12.3.1957"),
        ({}, "12MAR1957"),
        ({}, "12-Mar-57"),
        ({}, "12.03.57"),
        ({}, "b19570312x"),
        ({}, "47110815"),
        ({}, "4711081 5"),
        ({"PatientID": "47110815"}, "4711-0815"),
        ({"PatientID": "000047110815"}, "47110815"),
        ({"PatientID": "47115"}, "ID 47115"),
        ({"PatientName": "Müller^Jörg"}, "MULLER"),
        ({"PatientName": "Müller^Jörg"}, "Mueller"),
        ({"PatientName": "Mueller^J"}, "Müller"),
        ({"PatientName": "Mu\u0308ller^J"}, "Müller"),
        ({"PatientName": "Großmann^J"}, "Grossmann"),
        ({"PatientName": "Smithson^J"}, "ＳＭＩＴＨＳＯＮ"),
        ({"PatientName": "Ng^Li=李^娜=リ^ナ"}, "Li Ng"),
        ({"PatientName": "Ng^Li=李^娜=リ^ナ"}, "李娜"),
        ({"PatientName": "Ng^Li=李^娜=リ^ナ"}, "ﾘﾅ"),
        ({"PatientBirthDate": "12/03/1957"}, "12/03/1957"),
        ({"OtherPatientIDs": "A-77123"}, "a77123"),
        ({"OtherPatientIDs": "SSN 884-21-7745"}, "884217745"),
        ({"OtherPatientIDs": "MRN:A778412 (old)"}, "A778412"),
    ],
)
def test_the_scan_knows_other_spellings(who: dict[str, Any], text: str) -> None:
    data = image(**{**WHO, **who, "SpecificCharacterSet": "ISO_IR 192", "Manufacturer": f"by {text} here"})
    assert "Manufacturer still has a value of" in refused(data)


def test_a_name_of_thousands_of_words_takes_no_hours() -> None:
    assert asked(image(PatientName=" ".join(f"n{number}ame" for number in range(6000))))


def _with(value: bytes, vr: str, tag: int = 0x00080070) -> bytes:
    """A file whose Manufacturer, or another element, has this VR and these bytes."""
    dataset = pydicom.dcmread(pydicom.filebase.DicomBytesIO(image(**WHO)))
    if tag in dataset:
        del dataset[tag]
    data = encoded(dataset)
    is_long = vr in ("UN", "OB", "OW", "UT", "UC")
    code = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
    size = struct.pack("<HL", 0, len(value)) if is_long else struct.pack("<H", len(value))
    after = next(element.tag for element in dataset if element.tag > tag)
    at = data.index(struct.pack("<HH", after >> 16, after & 0xFFFF) + dataset[after].VR.encode(), 300)
    return data[:at] + code + size + value + data[at:]


@pytest.mark.parametrize("vr", ["UI", "TM", "DA", "DT", "IS", "DS", "AS", "CS", "UN", "UR", "PN", "AE"])
@pytest.mark.parametrize("value", [b"4711-0815 ", b"SMITHSON", b"JOHN"])
@pytest.mark.parametrize("question", [{}, {"dates": "keep"}, {"dates": "shift", "options": ["retain-uids"]}])
def test_no_wrong_vr_hides_a_value(vr: str, value: bytes, question: dict[str, Any]) -> None:
    assert not survives(_with(value, vr), value.strip(), **question)


@pytest.mark.parametrize(
    ("values", "question"),
    [
        ({"AcquisitionDateTime": "20240229 SMITHSON"}, {"dates": "shift"}),
        ({"AcquisitionDateTime": "20240229101112 SMITHSON"}, {"dates": "shift"}),
        ({"StudyDate": "20240229SMITHSON"}, {"dates": "shift"}),
        ({"StudyDate": "SMITHSON"}, {"dates": "keep"}),
        ({"StudyTime": "SMITHSON"}, {"dates": "keep"}),
        ({"AcquisitionDateTime": "SMITHSON"}, {"dates": "keep"}),
        ({"FrameOfReferenceUID": "SMITHSON.1"}, {"options": ["retain-uids"]}),
        ({"SOPInstanceUID": "1.2.840.10008.SMITHSON"}, {}),
        ({"FrameOfReferenceUID": "1.2.840.10008.SMITHSON"}, {}),
        ({"StationName": "SMITHSON"}, {"options": ["retain-device"]}),
        ({"RetrieveAETitle": "SMITHSON"}, {"options": ["retain-device"]}),
        ({"InstitutionName": "SMITHSON"}, {"options": ["retain-institution"]}),
    ],
)
def test_what_is_kept_or_shifted_is_searched(values: dict[str, Any], question: dict[str, Any]) -> None:
    assert not survives(image(**{**WHO, **values}), b"smithson", **question)


def test_a_character_set_is_no_place_for_a_name() -> None:
    assert not survives(_with(b"SMITHSON", "CS", 0x00080005), b"smithson")


def test_a_uid_of_the_standards_root_that_the_standard_does_not_have_is_replaced() -> None:
    uid = "1.2.840.10008.4711.815"
    assert not survives(image(**{**WHO, "StudyInstanceUID": uid, "SOPInstanceUID": f"{uid}.1"}), uid.encode())


@pytest.mark.parametrize(
    "keyword", ["PatientID", "OtherPatientIDs", "ReferringPhysicianName", "AccessionNumber"]
)
def test_the_makers_name_excuses_no_identifier(keyword: str) -> None:
    for kept in ("Manufacturer", "ManufacturerModelName"):
        assert f"{kept} still has" in refused(image(**{**WHO, keyword: "QZ81144", kept: "by QZ81144"}))
    both = image(**{**WHO, "OperatorsName": "Smithson", "Manufacturer": "Smithson"})
    assert "Manufacturer still has" in refused(both)


def test_a_station_or_physician_called_like_the_maker_is_no_finding() -> None:
    for keyword in ("StationName", "ReferringPhysicianName"):
        answer, _ = asked(image(**{**WHO, keyword: "Philips", "Manufacturer": "Philips Healthcare"}))
        assert ("refused" in answer) is (keyword != "StationName")


def test_an_identifier_with_a_wrong_vr_is_searched_as_well() -> None:
    for vr, tag, value in (("CS", 0x00100020, b"QZ-99817"), ("LO", 0x00100010, b"Smithson^Jo")):
        dataset = pydicom.dcmread(pydicom.filebase.DicomBytesIO(image(Manufacturer="of QZ-99817 Smithson")))
        dataset[tag] = pydicom.DataElement(tag, vr, value.decode())
        assert "Manufacturer still has a value of Patient" in refused(encoded(dataset))


@pytest.mark.parametrize("name", ["Müller^J", "Großmann^J", "Διονυσιος", "Иванов^И", "Wong^Chi"])
def test_binary_elements_are_searched_in_any_case_and_encoding(name: str) -> None:
    for encoding in ("utf-8", "utf-16-le", "utf-16-be", "latin-1", "iso8859-7", "iso8859-5"):
        word = name.partition("^")[0].upper()
        sets = {"iso8859-7": "ISO_IR 126", "iso8859-5": "ISO_IR 144"}
        try:
            value = b"\1\2\3" + f"seen {word} today".encode(encoding) + b"\0"
            name.encode(encoding if encoding in sets else "utf-8")
        except UnicodeEncodeError:
            continue
        dataset = pydicom.dcmread(
            pydicom.filebase.DicomBytesIO(
                image(PatientName=name, SpecificCharacterSet=sets.get(encoding, "ISO_IR 192"))
            )
        )
        item = Dataset()
        item.add_new(0x00282000, "OB", value + bytes(len(value) % 2))
        dataset.OpticalPathSequence = Sequence([item])
        assert "ICCProfile" in refused(encoded(dataset)), encoding


def _jpeg(marker: bytes) -> bytes:
    text = b"Patient: Smithson John 4711-0815"
    dataset = by_name("SC_rgb_jpeg_dcmtk.dcm")
    dataset.PatientName, dataset.PatientID = "Smithson^John", "4711-0815"
    (frame,) = list(pydicom.encaps.generate_frames(dataset.PixelData, number_of_frames=1))
    segment = b"\xff" + marker + struct.pack(">H", len(text) + 2) + text
    dataset.PixelData = encapsulate([frame[:2] + segment + frame[2:]])
    return encoded(dataset)


def test_texts_in_compressed_pixels_are_found() -> None:
    for marker in (b"\xfe", b"\xe1", b"\xed"):
        assert "PixelData still has a value of Patient" in refused(_jpeg(marker), accept=["SC", "OT"])


def test_bytes_after_the_last_pixel_are_searched() -> None:
    dataset = pydicom.dcmread(pydicom.filebase.DicomBytesIO(image(**WHO)))
    dataset.PixelData += b"Smithson John 4711-0815."
    assert "PixelData still has a value of Patient" in refused(encoded(dataset))


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ({"Modality": "us"}, "US"),
        ({"Modality": "OT\\CT"}, "OT"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.6.1"}, "US"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.3.1"}, "US"),
        ({"BurnedInAnnotation": "yes"}, "burned-in"),
        ({"BurnedInAnnotation": "Y"}, "burned-in"),
        ({"ImageType": "DERIVED\\SECONDARY\\SCREEN SAVE"}, "SC"),
        ({"OverlayBitPosition": 12}, "burned-in"),
    ],
)
def test_a_risky_kind_is_known_however_it_is_written(values: dict[str, Any], kind: str) -> None:
    data = image(**{key: value for key, value in values.items() if key != "OverlayBitPosition"})
    if "OverlayBitPosition" in values:
        dataset = pydicom.dcmread(pydicom.filebase.DicomBytesIO(data))
        dataset.add_new(0x60000100, "US", 16)
        dataset.add_new(0x60000102, "US", 12)
        data = encoded(dataset)
    assert f"(kind {kind})" in refused(data)
