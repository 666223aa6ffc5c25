"""What is seen of a DICOM file, drawn and read by processes without rights: never more than the file's own colours and
texts, whatever it holds."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_windowing
from pydicom.uid import DeflatedExplicitVRLittleEndian

from dropslot.dicom_files import header_table, pixels
from dropslot.dicom_files.confined_reader import CannotLook
from dropslot.dicom_files.header_table import Table
from dropslot.parsing.page_points import stride_of
from dropslot.parsing.process import Parser

Picture = NDArray[np.uint8]


def _file(name: str) -> Path:
    return Path(str(get_testdata_file(name)))


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


def _drawn(path: Path, frame: int = 1, window: tuple[float, float] | None = None) -> Picture:
    with _opened(path) as file, ExitStack() as stack:
        drawn = pixels.draw(stack, file, frame, window)
        stride = stride_of(drawn.width)
        rows = np.frombuffer(os.pread(drawn.canvas, stride * drawn.height, 0), "uint8").reshape(
            drawn.height, stride
        )
        return rows[:, : 3 * drawn.width].reshape(drawn.height, drawn.width, 3)


def _table(path: Path) -> Table:
    with _opened(path) as file:
        return header_table.table_of(file)


def _saved(read: Dataset, path: Path) -> Path:
    read.save_as(path, enforce_file_format=True)
    return path


def _is_near(one: Picture, other: NDArray[Any], tolerance: int = 1) -> bool:
    return bool(np.abs(one.astype(int) - other.astype(int)).max() <= tolerance)


def _windowed(read: Dataset) -> NDArray[Any]:
    """As pydicom does it, in shades from 0 to 255."""
    values = apply_windowing(apply_modality_lut(read.pixel_array, read), read)
    most = 2**read.BitsStored - 1 if not read.PixelRepresentation else 2 ** (read.BitsStored - 1) - 1
    least = -(2 ** (read.BitsStored - 1)) if read.PixelRepresentation else 0
    shades: NDArray[Any] = (values - least) / (most - least) * 255
    return shades


def test_the_window_of_the_header_and_one_that_is_asked_for(tmp_path: Path) -> None:
    read = pydicom.dcmread(_file("MR_small.dcm"))
    assert _is_near(_drawn(_file("MR_small.dcm"))[..., 0], _windowed(read))
    read.WindowCenter, read.WindowWidth = 300, 200
    assert _is_near(_drawn(_file("MR_small.dcm"), window=(300, 200))[..., 0], _windowed(read))
    read.PhotometricInterpretation = "MONOCHROME1"
    inverted = _drawn(_saved(read, tmp_path / "inverted"))
    assert _is_near(inverted[..., 0], 255 - _windowed(read))


@pytest.mark.parametrize(
    ("compressed", "as_it_was", "tolerance"),
    [
        ("MR_small_RLE.dcm", "MR_small.dcm", 0),
        ("MR_small_jp2klossless.dcm", "MR_small.dcm", 0),
        ("MR_small_jpeg_ls_lossless.dcm", "MR_small.dcm", 0),
        ("MR_small_bigendian.dcm", "MR_small.dcm", 0),
        ("SC_rgb_rle.dcm", "SC_rgb_rle_2frame.dcm", 0),
        ("SC_rgb_jpeg_gdcm.dcm", "SC_rgb_rle.dcm", 0),  # lossless
        ("SC_rgb_dcmtk_+eb+cy+n1.dcm", "SC_rgb_dcmtk_+eb+cy+np.dcm", 4),
    ],
)
def test_compressed_syntaxes_are_decoded(compressed: str, as_it_was: str, tolerance: int) -> None:
    assert _is_near(_drawn(_file(compressed)), _drawn(_file(as_it_was)), tolerance)


@pytest.mark.parametrize(
    "name",
    [
        "SC_rgb_jpeg_dcmtk.dcm",
        "SC_ybr_full_422_uncompressed.dcm",
        "examples_jpeg2k.dcm",
        "SC_jpeg_no_color_transform.dcm",
    ],
)
def test_colours_are_those_that_pydicom_reads(name: str) -> None:
    assert _is_near(_drawn(_file(name)), pydicom.dcmread(_file(name)).pixel_array, 0)


@pytest.mark.parametrize("name", ["JPGExtended.dcm", "JPEGLSNearLossless_16.dcm", "JPEG2000.dcm"])
def test_shades_without_a_window_go_from_the_least_to_the_most(name: str) -> None:
    values = apply_modality_lut(pydicom.dcmread(_file(name)).pixel_array, Dataset()).astype(float)
    shades = (values - values.min()) / (values.max() - values.min()) * 255
    assert _is_near(_drawn(_file(name))[..., 0], shades)


def test_palettes_frames_and_deflated_files(tmp_path: Path) -> None:
    read = pydicom.dcmread(_file("examples_palette.dcm"))
    assert _is_near(_drawn(_file("examples_palette.dcm")), apply_color_lut(read.pixel_array, read) >> 8, 0)
    first, second = (_drawn(_file("SC_rgb_rle_2frame.dcm"), frame) for frame in (1, 2))
    assert _is_near(255 - first, second, 0)
    with pytest.raises(CannotLook, match="no frame of this number"):
        _drawn(_file("SC_rgb_rle_2frame.dcm"), 3)
    plain = pydicom.dcmread(_file("CT_small.dcm"))
    plain.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    assert _is_near(_drawn(_saved(plain, tmp_path / "deflated")), _drawn(_file("CT_small.dcm")), 0)


def test_large_images_fit_into_the_picture(tmp_path: Path) -> None:
    read = pydicom.dcmread(_file("CT_small.dcm"))
    read.Rows, read.Columns = 4000, 3000
    read.PixelData = np.zeros((4000, 3000), "<i2").tobytes()
    assert _drawn(_saved(read, tmp_path / "large")).shape == (1024, 768, 3)


def _bomb_of_header(read: Dataset) -> None:
    read.Rows = read.Columns = 65535


def _bomb_of_frames(read: Dataset) -> None:
    read.NumberOfFrames = 2**31 - 1
    read.Rows = read.Columns = 8000


def _bomb_of_stream(read: Dataset) -> None:
    """A JPEG 2000 stream of 60,000 times 60,000 points in an image that says 512 times 512."""
    data = bytearray(read.PixelData)
    at = data.index(b"\xff\x4f\xff\x51")
    data[at + 8 : at + 16] = (60_000).to_bytes(4, "big") * 2
    data[at + 24 : at + 32] = (60_000).to_bytes(4, "big") * 2
    read.PixelData = bytes(data)


@pytest.mark.parametrize("arm", [_bomb_of_header, _bomb_of_frames, _bomb_of_stream])
def test_a_bomb_of_points_is_refused_with_its_reason(tmp_path: Path, arm: Any) -> None:
    read = pydicom.dcmread(_file("693_J2KI.dcm"))
    arm(read)
    with pytest.raises(CannotLook, match=r"image|damaged"):
        _drawn(_saved(read, tmp_path / "bomb"))


def test_a_deflated_bomb_is_refused(tmp_path: Path) -> None:
    whole = _file("image_dfl.dcm").read_bytes()
    packer = zlib.compressobj(9, wbits=-15)
    inflated = zlib.decompressobj(wbits=-15).decompress(whole[_start_of_data(whole) :])
    pixel_data = b"\xe0\x7f\x10\x00OW\0\0" + (3 << 30).to_bytes(4, "little")
    head = packer.compress(inflated + pixel_data) + packer.flush(zlib.Z_FULL_FLUSH)
    # Blocks that begin anew can be repeated: all 3 GB would take 10 s to compress.
    zeros = packer.compress(bytes(1 << 24)) + packer.flush(zlib.Z_FULL_FLUSH)
    with (tmp_path / "bomb").open("wb") as file:
        file.write(whole[: _start_of_data(whole)] + head + 3 * 64 * zeros + packer.flush())
    with pytest.raises(CannotLook, match="memory"):
        _drawn(tmp_path / "bomb")


def _start_of_data(whole: bytes) -> int:
    return 132 + 12 + int.from_bytes(whole[140:144], "little")


@pytest.mark.parametrize("name", ["rtplan.dcm", "test-SR.dcm", "waveform_ecg.dcm"])
def test_what_has_no_image_says_so(name: str) -> None:
    with pytest.raises(CannotLook, match="It has no image"):
        _drawn(_file(name))


def test_a_truncated_image_shows_the_reason() -> None:
    with pytest.raises(CannotLook, match="cannot be decoded"):
        _drawn(_file("MR_truncated.dcm"))


def test_no_thread_of_a_parser_keeps_its_rights() -> None:
    for module in (pixels.PARSER, header_table.PARSER):
        parser = Parser(module)
        assert "one thread" not in "".join(parser.start())
        assert len(os.listdir(f"/proc/{parser.pid}/task")) == 1
        parser.close()


# Headers


def test_a_table_has_every_element_as_pydicom_reads_it() -> None:
    read = pydicom.dcmread(_file("rtplan.dcm"))
    table = _table(_file("rtplan.dcm"))
    assert [row.tag for row in table.elements if row.depth == 0] == [
        str(tag) for tag in [*sorted(read.file_meta.keys()), *sorted(read.keys())]
    ]
    of = {row.name: row for row in table.elements if row.depth == 0}
    assert (of["PatientName"].vr, of["PatientName"].value) == ("PN", str(read.PatientName))
    nested = [row for row in table.elements if row.name == "BeamName"]
    assert [row.value for row in nested] == [beam.BeamName for beam in read.BeamSequence]
    assert {row.depth for row in nested} == {2}
    assert not table.is_cut


def test_hostile_values_are_shown_as_texts_and_shortened(tmp_path: Path) -> None:
    read = pydicom.dcmread(_file("CT_small.dcm"))
    read.PatientName = "<script>alert(1)</script>^\u202egnp.\x1b[31m"
    read.SpecificCharacterSet = "ISO_IR 192"
    read.ImageComments = "x" * 9_000
    read.private_block(0x0099, "<b>", create=True).add_new(1, "OB", b"\0" * 500)
    of = {row.name: row for row in _table(_saved(read, tmp_path / "hostile")).elements}
    assert of["PatientName"].value == "<script>alert(1)</script>^\ufffdgnp.\ufffd[31m"
    assert of["ImageComments"].value == f"{'x' * 300}… (9,000 characters)"
    assert of["Private, <b>"].value == "500 bytes"


@pytest.mark.parametrize("depth", [15, 1000])
def test_deep_sequences_end_somewhere(tmp_path: Path, depth: int) -> None:
    start = _file("CT_small.dcm").read_bytes()[:340]  # the file meta information ends within
    start = start[: _start_of_data(start)]
    sequence = b"\x0a\x30\xb0\0SQ\0\0" + b"\xff" * 4 + b"\xfe\xff\0\xe0" + b"\xff" * 4
    ends = b"\xfe\xff\x0d\xe0" + bytes(4) + b"\xfe\xff\xdd\xe0" + bytes(4)
    (tmp_path / "deep").write_bytes(start + sequence * depth + ends * depth)
    try:
        table = _table(tmp_path / "deep")
    except CannotLook as error:
        assert depth == 1000 and "header cannot be read" in str(error)
    else:
        assert max(row.depth for row in table.elements) <= 2 * 8 + 2


def test_a_value_of_100_megabytes_is_not_read(tmp_path: Path) -> None:
    read = pydicom.dcmread(_file("CT_small.dcm"))
    read.add_new(0x00420011, "OB", bytes(100_000_000))
    table = _table(_saved(read, tmp_path / "large"))
    assert (
        next(row.value for row in table.elements if row.tag == "(0042,0011)")
        == "100,000,000 bytes, not shown"
    )


def test_what_is_not_dicom_says_so(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    for content in (b"\0" * 4096, b"%PDF-1.4", os.urandom(4096)):
        (tmp_path / "x").write_bytes(content)
        with suppress(CannotLook):  # some bytes may be read as elements
            assert all(len(row.value) < 400 for row in _table(tmp_path / "x").elements)
    with pytest.raises(CannotLook, match="cannot be read"):
        _table(tmp_path / "empty")
