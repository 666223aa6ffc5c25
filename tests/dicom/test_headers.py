"""A word about each fault of a file, whatever strangers send; and no file harms another."""

from __future__ import annotations

import hashlib
import io
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pydicom
import pytest
from pydicom.dataelem import RawDataElement
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
)

from dicom.samples import sample, sample_files
from dropslot.dicom_files import headers
from dropslot.dicom_files.headers import Header, NotDicom, read_headers
from dropslot.parsing import process

_CT = sample("CT_small.dcm").read_bytes()
_SYNTAXES = (
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
)


@pytest.fixture(autouse=True, scope="module")
def _one_process() -> Iterator[None]:
    yield
    process.close()


def _opener(content: bytes | Path) -> Callable[[], BinaryIO]:
    return lambda: content.open("rb") if isinstance(content, Path) else io.BytesIO(content)


def _read(*contents: bytes | Path) -> list[Header | NotDicom]:
    return read_headers([(f"{number}.dcm", _opener(content)) for number, content in enumerate(contents)])


def _header(content: bytes | Path) -> Header:
    (header,) = _read(content)
    assert isinstance(header, Header), header
    return header


def _meta(syntax: str = ExplicitVRLittleEndian) -> bytes:
    uids = ((2, "1.2.840.10008.5.1.4.1.1.2"), (3, "1.2.3"), (0x10, syntax))
    return bytes(128) + b"DICM" + b"".join(_short(2, element, b"UI", uid.encode()) for element, uid in uids)


def _short(group: int, element: int, vr: bytes, value: bytes) -> bytes:
    value += b"\0" * (len(value) % 2)
    return struct.pack("<HH2sH", group, element, vr, len(value)) + value


def _long(group: int, element: int, vr: bytes, length: int, value: bytes = b"") -> bytes:
    return struct.pack("<HH2sHI", group, element, vr, 0, length) + value


_SOP = _short(8, 0x16, b"UI", b"1.2.840.10008.5.1.4.1.1.2") + _short(8, 0x18, b"UI", b"1.2.3")


def _saved(syntax: str, **changes: object) -> bytes:
    """CT_small in another encoding."""
    read = pydicom.dcmread(io.BytesIO(_CT))
    if syntax == ExplicitVRBigEndian:
        read.PixelData = read.pixel_array.byteswap().tobytes()
    for keyword, value in changes.items():
        setattr(read, keyword, value)
    read.file_meta.TransferSyntaxUID = pydicom.uid.UID(syntax)
    written = io.BytesIO()
    pydicom.dcmwrite(
        written,
        read,
        implicit_vr=syntax == ImplicitVRLittleEndian,
        little_endian=syntax != ExplicitVRBigEndian,
    )
    return written.getvalue()


def test_values_of_a_usual_file() -> None:
    header = _header(_CT)
    assert not header.faults
    assert header.values["PatientID"] == "1CT1"
    assert header.values["ImageType"] == "ORIGINAL\\PRIMARY\\AXIAL"
    assert header.values["Rows"] == "128"
    assert "NumberOfFrames" not in header.values


def test_names_in_every_character_set() -> None:
    paths = [path for path in sample_files() if path.name.startswith("chr") and "SQ" not in path.name]
    assert len(paths) == 15
    for path, header in zip(paths, _read(*paths), strict=True):
        assert isinstance(header, Header)
        assert header.values["PatientName"] == str(pydicom.dcmread(path).PatientName)


@pytest.mark.parametrize("syntax", _SYNTAXES, ids=lambda syntax: syntax.name)
def test_every_encoding_gives_the_same_values_with_and_without_meta_information(
    syntax: pydicom.uid.UID,
) -> None:
    content = _saved(syntax)
    whole = _header(content)
    assert not whole.faults
    assert whole.values == {**_header(_CT).values, "TransferSyntaxUID": str(syntax), **_written(whole)}
    assert _header(content[132:]).values == whole.values
    if syntax != DeflatedExplicitVRLittleEndian:
        begin = 144 + struct.unpack_from("<I", content, 140)[0]
        bare = _header(content[begin:])
        assert not bare.faults
        assert bare.values == {
            k: v for k, v in whole.values.items() if not k.startswith(("Media", "Impl", "Tran", "Source"))
        }


def _written(header: Header) -> dict[str, str]:
    """What pydicom writes into meta information by itself."""
    return {k: v for k, v in header.values.items() if k.startswith("Implementation")}


@pytest.mark.parametrize("kept", [1.0, 0.999, 0.5, 0.05])
@pytest.mark.parametrize("syntax", _SYNTAXES, ids=lambda syntax: syntax.name)
def test_a_truncated_file_is_at_fault(syntax: pydicom.uid.UID, kept: float) -> None:
    content = _saved(syntax)
    header = _header(content[: int(len(content) * kept)])
    assert bool(header.faults) == (kept < 1)


def test_a_cut_inside_any_value_of_a_header_is_seen() -> None:
    read = pydicom.dcmread(io.BytesIO(_CT), stop_before_pixels=True)
    tags = list(read.keys())  # iterating over the data set itself would convert the elements
    raws: list[Any] = [read.get_item(tag) for tag in tags]
    cuts = [
        _CT[: each.value_tell + each.length // 2]
        for each in raws
        if isinstance(each, RawDataElement) and each.length
    ]
    assert len(cuts) > 180
    for content, header in zip(cuts, _read(*cuts), strict=True):
        assert isinstance(header, Header), (len(content), header)
        assert header.faults, len(content)


def test_the_proof_is_the_digest_of_what_was_read() -> None:
    large = _saved(ExplicitVRLittleEndian, EncapsulatedDocument=bytes(40_000), SeriesDescription="later")
    for content in (_CT, large):
        header = _header(content)
        assert header.read_sha256 == hashlib.sha256(content[: header.read_bytes]).hexdigest()
        assert header.read_bytes >= min(16_384, len(content))


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"Rows": 127}, "its pixel data has 32768 bytes, its header demands 32512"),
        ({"NumberOfFrames": "2"}, "its pixel data has 32768 bytes, its header demands 65536"),
        ({"PixelData": None}, "its header describes pixels, but it has no pixel data"),
        ({"SOPInstanceUID": "1.2.3"}, "SOPInstanceUID and MediaStorageSOPInstanceUID differ"),
        ({"SeriesInstanceUID": "1.2.3/../4"}, "SeriesInstanceUID is not a valid UID"),
        ({"StudyInstanceUID": "1." + "2" * 63}, "StudyInstanceUID is not a valid UID"),
        ({"SOPInstanceUID": None}, "it has no SOPInstanceUID"),
    ],
    ids=str,
)
def test_a_header_that_does_not_fit_is_at_fault(changes: dict[str, object], fault: str) -> None:
    with pydicom.config.disable_value_validation():
        read = pydicom.dcmread(io.BytesIO(_CT))
        for keyword, value in changes.items():
            if keyword in read:
                del read[keyword]
            if value is not None:
                setattr(read, keyword, value)
        written = io.BytesIO()
        read.save_as(written)
    (found,) = _header(written.getvalue()).faults
    assert found.startswith(fault)


def test_fragments_must_be_whole_and_as_many_as_frames() -> None:
    content = sample("SC_rgb_rle_2frame.dcm").read_bytes()
    assert not _header(content).faults
    assert "no delimiter after its 3 fragments" in _header(content[:-8]).faults[0]
    assert "no whole fragment" in _header(content[:-20]).faults[0]
    three = content.replace(b"\x28\x00\x08\x00IS\x02\x002 ", b"\x28\x00\x08\x00IS\x02\x003 ")
    assert _header(three).faults == ("its pixel data has 2 fragments for 3 frames",)
    signed = content.replace(b"\x28\x00\x08\x00IS\x02\x002 ", b"\x28\x00\x08\x00IS\x02\x00+9")
    assert _header(signed).faults == ("its pixel data has 2 fragments for 9 frames",)
    native = _CT.replace(ExplicitVRLittleEndian.encode() + b"\0", JPEGBaseline8Bit[:19].encode() + b"1")
    assert len(native) == len(_CT)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"x",
        b"hello, world\n" * 50,
        b"%PDF-1.7\n" + bytes(500),
        bytes(4096),
        bytes(128) + b"DICM",
        bytes(128) + b"DICM" + b"\xff" * 500,
        b"\x08\0\x05\0CS\x0a\0ISO_IR 100" + b"and then a letter to the editor" * 20,
        b"\x1f\x8b\x08" + bytes(500),
    ],
    ids=lambda content: repr(content[:12]),
)
def test_what_is_no_dicom_is_called_so(content: bytes) -> None:
    (found,) = _read(content)
    assert isinstance(found, NotDicom)
    assert found.reason


def test_a_directory_of_media_is_told_from_instances() -> None:
    header = _header(sample("DICOMDIR-empty.dcm"))
    assert header.is_media_directory
    assert not header.faults
    assert not _header(_CT).is_media_directory


def test_sequences_a_thousand_deep() -> None:
    deep = b"".join(
        _long(8, 0x1115, b"SQ", 0xFFFFFFFF, b"\xfe\xff\0\xe0\xff\xff\xff\xff") for _ in range(1000)
    )
    ends = (b"\xfe\xff\x0d\xe0\0\0\0\0" + b"\xfe\xff\xdd\xe0\0\0\0\0") * 1000
    header = _header(_meta() + _SOP + deep + ends)
    assert header.faults[0] == "sequences are nested more than 100 deep"
    assert header.values["SOPInstanceUID"] == "1.2.3"


def test_a_deflated_bomb_is_not_unfolded_in_memory() -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = packer.compress(_SOP + _long(0x0009, 0x1001, b"OB", 0xFFFFFFF0))
    bomb += b"".join(packer.compress(bytes(1 << 20)) for _ in range(150)) + packer.flush()
    header = _header(_meta(DeflatedExplicitVRLittleEndian) + bomb)
    assert header.values["SOPInstanceUID"] == "1.2.3"
    assert "are there" in header.faults[0]
    assert _peak_bytes() < 120 << 20


def test_a_header_value_of_100_mb_is_not_read() -> None:
    huge = _long(0x0010, 0x0010, b"UT", 100 << 20, b"N" * (100 << 20))
    header = _header(_meta() + _SOP + huge + _short(0x20, 0x13, b"IS", b"7"))
    assert header.faults == (f"PatientName has {100 << 20} bytes; it was not read",)
    assert header.values["InstanceNumber"] == "7"
    assert _peak_bytes() < 120 << 20


def _peak_bytes() -> int:
    pid = process.parser(headers.PARSER).pid
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) << 10


def test_long_values_and_odd_characters_are_cut_and_replaced() -> None:
    content = _meta() + _SOP + _short(8, 0x1030, b"LO", b"d" * 500) + _short(0x10, 0x10, b"PN", b"A\0B^C")
    header = _header(content)
    assert header.values["StudyDescription"] == "d" * 400
    assert header.values["PatientName"] == "A\ufffdB^C"
    assert header.faults == ("StudyDescription has 500 characters; only the first 400 were read",)


def test_answers_too_large_for_one_message_are_asked_for_again() -> None:
    encoded = _short(8, 5, b"CS", b"ISO_IR 192")
    elements = sorted(pydicom.datadict.keyword_dict[keyword] for keyword in headers.KEYWORDS)
    wide = ["\U0001f600" * 100] * 4
    large = b"".join(
        _short(tag >> 16, tag & 0xFFFF, b"LO", "\\".join(wide).encode())
        for tag in elements
        if tag > 0x00080018 and pydicom.datadict.dictionary_VR(tag) in ("LO", "SH", "PN")
    )
    contents = [_meta() + encoded + _SOP + large] * 20
    for header in _read(*contents, _CT)[:-1]:
        assert isinstance(header, Header)
        assert header.values["PatientID"].startswith("\U0001f600" * 60)


def test_a_wrong_vr_is_a_fault_and_hides_nothing_else() -> None:
    content = _CT.replace(b"\x10\0\x20\0LO", b"\x10\0\x20\0Q?")
    header = _header(content)
    assert "(0010,0020)" in header.faults[0]
    assert header.values["PatientName"] == "CompressedSamples^CT1"


def test_a_file_that_stalls_the_parser_blocks_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(headers, "SECONDS", 0.05)
    many = b"".join(_long(9, 0x1000, b"UN", 0) for _ in range(1))
    item = b"\xfe\xff\0\xe0\0\0\0\0"
    slow = _meta() + _SOP + _long(9, 0x1000, b"SQ", 0xFFFFFFFF) + item * 1_000_000 + many
    first, stalled, last = _read(_CT, slow, _CT)
    assert isinstance(stalled, NotDicom)
    assert "breaks the program" in stalled.reason
    assert isinstance(first, Header) and not first.faults
    assert last == first


def test_a_pipe_of_a_staged_item_is_read_as_a_file_is() -> None:
    source, sink = os.pipe()
    with open(sink, "wb") as file:
        file.write(_CT[:60_000])
    with open(source, "rb") as staged:
        (header,) = read_headers([("piped.dcm", lambda: staged)])
    assert header == _header(_CT)
