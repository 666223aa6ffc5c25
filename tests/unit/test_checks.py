"""What is selected, what is refused, and that a check which breaks is never a pass."""

from __future__ import annotations

import gzip
import io
import os
import struct
import sys
import zlib
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom.data
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropslot.checks import BadOption, Check, CheckFailed, StagedArrival, StagedItem, for_route, mime, run
from dropslot.checks.item_names import Patterns
from dropslot.checks.mime import MimeTypes, types_of_staged
from dropslot.config import from_mapping
from dropslot.core.errors import StorageFault
from dropslot.parsing import content_types, process


def item(path: str, content: bytes = b"x", size: int | None = None) -> StagedItem:
    return StagedItem(path, len(content) if size is None else size, {}, lambda: io.BytesIO(content))


def arrival(*items: StagedItem) -> StagedArrival:
    return StagedArrival("drop", {}, items)


def types_of(content: bytes) -> tuple[str, ...]:
    return tuple(types_of_staged([lambda: io.BytesIO(content)], "x")[0])


def route(folder: Path, **keys: Any) -> Any:
    drop, to = folder / "drop", folder / "to"
    to.mkdir(exist_ok=True)
    entry = {"folders": str(drop), "deliver": [{"to": str(to)}], **keys}
    return from_mapping({"data": str(folder), "routes": {"study": entry}}, folder).routes["study"]


PDF = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n"
PNG = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sIIBBBBB", 13, b"IHDR", 1, 1, 8, 2, 0, 0, 0)


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("*.pdf", "report.pdf", True),
        ("*.pdf", "REPORT.PDF", True),
        ("*.PDF", "report.pdf", True),
        ("*.pdf", "sub/report.pdf", True),
        ("*.pdf", "report.pdf.exe", False),
        ("*.pdf", "x.pdf/report", False),
        ("*.pdf", "report.pdf\n", False),
        ("caf\u00e9*", "cafe\u0301.txt", True),
        ("scan?.nii", "scan12.nii", False),
        ("[a-c]*", "b", True),
        ("[!a-c]*", "b", False),
    ],
)
def test_a_pattern_fits_the_items_own_name_in_any_case(pattern: str, name: str, fits: bool) -> None:
    assert (run([Patterns([pattern])], arrival(item(name))) == []) is fits


def test_any_one_pattern_is_enough_and_each_item_needs_one() -> None:
    reasons = run([Patterns(["*.pdf", "*.txt"])], arrival(item("a.txt"), item("b.exe"), item("c.PDF")))
    assert reasons == ["b.exe: its name matches none of the patterns *.pdf, *.txt"]


@pytest.mark.parametrize("option", [[], "*.pdf", ["sub/*.pdf"], [""], [7]])
def test_patterns_that_mean_nothing_are_refused(option: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        Patterns(option)


def nifti(kind: Any, suffix: str, folder: Path) -> bytes:
    path = folder / f"scan{suffix}"
    nibabel.save(kind(np.zeros((4, 4, 4), np.int16), np.eye(4)), path)
    return path.read_bytes()


def test_imaging_types_are_recognised_in_real_files(tmp_path: Path) -> None:
    dicom = Path(str(pydicom.data.get_testdata_file("CT_small.dcm"))).read_bytes()
    assert types_of(dicom)[0] == "application/dicom"
    assert types_of(nifti(nibabel.Nifti1Image, ".nii", tmp_path))[0] == "application/x-nifti"
    assert types_of(nifti(nibabel.Nifti2Image, ".nii", tmp_path))[0] == "application/x-nifti"
    packed = types_of(nifti(nibabel.Nifti1Image, ".nii.gz", tmp_path))
    assert packed == ("application/x-nifti", "application/gzip")
    par = Path(nibabel.__file__).parent / "tests/data/phantom_EPI_asc_CLEAR_2_1.PAR"
    assert types_of(par.read_bytes()) == ("text/x-philips-par", "text/plain")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (PDF, "application/pdf"),
        (PNG, "image/png"),
        (b"hello world\n" * 9000, "text/plain"),
        (gzip.compress(b"hello", mtime=0), "application/gzip"),
        (b"\x1f\x8b\x08\x00 broken", "application/gzip"),
        (b"", "inode/x-empty"),
        (b"\x00\x01\x02\xff" * 99, "application/octet-stream"),
    ],
)
def test_common_types_are_recognised(content: bytes, expected: str) -> None:
    assert types_of(content)[0] == expected


@given(st.binary(max_size=600))
def test_no_content_makes_a_traceback(content: bytes) -> None:
    assert all("/" in one for one in types_of(content))
    assert types_of(gzip.compress(content))[-1] == "application/gzip"


def test_a_file_that_only_has_the_name_of_a_pdf_is_refused() -> None:
    reasons = run([MimeTypes(["application/pdf"])], arrival(item("a.pdf", PDF), item("b.pdf", b"MZ" * 99)))
    assert len(reasons) == 1 and reasons[0].startswith("b.pdf: its content is ")


def test_type_patterns_and_other_words_for_a_type_fit() -> None:
    assert run([MimeTypes(["image/*"])], arrival(item("a", PNG))) == []
    assert run([MimeTypes(["application/x-gzip"])], arrival(item("a", gzip.compress(b"x")))) == []
    assert run([MimeTypes(["Application/PDF"])], arrival(item("a", PDF))) == []
    assert run([MimeTypes(["image/*"])], arrival(item("empty", b"")))


def test_only_the_first_64_kib_are_read_and_a_gzip_bomb_is_not_unpacked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken: list[int] = []

    class Watched(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            taken.append(-1 if size is None else size)
            return super().read(size)

    bomb = zlib.compressobj(wbits=31)
    content = bomb.compress(bytes(50_000_000)) + bomb.flush()
    watched = StagedItem("bomb.gz", len(content), {}, lambda: Watched(content))
    assert run([MimeTypes(["application/gzip"])], arrival(watched)) == []
    assert taken[0] == sum(taken[:1]) <= content_types.LOOKED_AT_BYTES
    assert len(content_types._first_unpacked(content)) <= 1024  # noqa: SLF001 - ours


@pytest.mark.parametrize("option", ["application/pdf", [], ["pdf"], [3], ["a/b/c"]])
def test_types_that_mean_nothing_are_refused(option: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        MimeTypes(option)


def test_limits_are_inclusive_and_say_what_was_found(tmp_path: Path) -> None:
    checks = for_route(route(tmp_path, select={"max_item_size": 10, "max_size": 15, "max_items": 2}))
    assert run(checks, arrival(item("a", size=10), item("b", size=5))) == []
    assert run(checks, arrival(item("a", size=11), item("b", size=5), item("c", size=0))) == [
        "drop: it has 3 items; 2 is the limit for an arrival",
        "a: it has 11 bytes; 10 is the limit for an item",
        "drop: it has 16 bytes in all; 15 is the limit for an arrival",
    ]


def test_names_in_reasons_are_escaped() -> None:
    reasons = run([Patterns(["*.pdf"])], arrival(item("evil\x1b[31m\u202e.exe")))
    assert reasons[0].isprintable()


class Broken(Check):
    def check_item(self, item: StagedItem) -> Iterable[str]:
        raise ZeroDivisionError("by zero")


class SaysText(Check):
    def check_item(self, item: StagedItem) -> Iterable[str]:
        return "it is bad"


class SaysNothing(Check):
    def check_item(self, item: StagedItem) -> Iterable[str]:
        return None  # type: ignore[return-value]


class SaysTrue(Check):
    def check(self, arrival: StagedArrival) -> Iterable[str]:
        return True  # type: ignore[return-value]


class SaysEmpty(Check):
    def check(self, arrival: StagedArrival) -> Iterable[str]:
        yield ""


@pytest.mark.parametrize("kind", [Broken, SaysText, SaysNothing, SaysTrue, SaysEmpty])
def test_a_check_that_breaks_is_an_error_to_be_tried_again_that_names_it(kind: type[Check]) -> None:
    with pytest.raises(CheckFailed, match=kind.__name__) as caught:
        run([kind()], arrival(item("a")))
    assert caught.value.retryable and caught.value.__cause__ is not None


def test_a_disk_that_fails_under_a_check_is_told_as_what_it_is() -> None:
    class Unlucky(Check):
        def check_item(self, item: StagedItem) -> Iterable[str]:
            raise StorageFault("EIO")

    with pytest.raises(StorageFault):
        run([Unlucky()], arrival(item("a")))


def test_a_check_of_ones_own_is_found_in_the_plugins_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "ownlab.py").write_text(
        "from dropslot.checks.base import Check\n"
        "class Named(Check):\n"
        "    def check_item(self, item):\n"
        "        if not item.path.startswith(self.option):\n"
        "            yield f'{item.path}: not ours'\n"
    )
    monkeypatch.setattr(sys, "path", list(sys.path))
    checks = for_route(route(tmp_path, checks=[{"ownlab.Named": "scan"}]))
    assert run(checks, arrival(item("scan1"), item("x"))) == ["x: not ours"]


def test_checks_of_a_route_run_in_order_and_all_of_them(tmp_path: Path) -> None:
    made = route(tmp_path, select={"patterns": ["*.pdf"], "mime": ["application/pdf"]}, checks=["bag"])
    reasons = run(for_route(made), arrival(item("a.txt", b"text")))
    assert [reason.split(":")[0] for reason in reasons] == ["a.txt", "a.txt", "drop"]


@pytest.mark.parametrize(
    "entry",
    [{"nonsense": 1}, {"no.such.module": 1}, {"os.path.join": 1}, {"builtins.dict": None}, {"bag": "maybe"}],
)
def test_a_check_that_cannot_be_made_is_found_at_start(tmp_path: Path, entry: dict[str, Any]) -> None:
    made = route(tmp_path).model_copy(update={"checks": [entry]})
    with pytest.raises(BadOption, match="route study") as caught:
        for_route(made)
    assert not caught.value.retryable


def test_types_of_many_items_are_asked_for_in_batches_and_each_gets_its_own() -> None:
    count = 2 * mime.AT_ONCE + 5
    items = [item(str(n), PDF if n % 3 else PNG) for n in range(count)]
    told: dict[str, str] = {}
    items = [each._replace(is_of_type=partial(told.__setitem__, each.path)) for each in items]
    reasons = run([MimeTypes(["application/pdf"])], arrival(*items))
    assert told == {str(n): "application/pdf" if n % 3 else "image/png" for n in range(count)}
    assert [reason.partition(":")[0] for reason in reasons] == [str(n) for n in range(0, count, 3)]


@pytest.mark.parametrize("count", [1, 2])
def test_content_that_the_disk_does_not_give_is_tried_again_and_not_refused(count: int) -> None:
    unreadable = Path("/proc/self/mem")  # a regular file of which no byte can be read
    items = [StagedItem(str(n), 9, {}, lambda: unreadable.open("rb")) for n in range(count)]
    with pytest.raises(CheckFailed, match="could not read it: ") as caught:
        run([MimeTypes(["application/pdf"])], arrival(*items))
    assert caught.value.retryable


@pytest.mark.parametrize("answer", [[], "x", None, [["no type"]], [[5]], [[]], [["a/b"]] * 99])
def test_an_answer_that_is_no_type_refuses_only_the_item_that_it_is_about(
    answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = process.Parser.ask

    def taken_over(parser: process.Parser, descriptors: list[int], *rest: Any) -> Any:
        return answer if os.pread(descriptors[0], 1, 0) == b"!" else ask(parser, descriptors, *rest)

    monkeypatch.setattr(process.Parser, "ask", taken_over)
    monkeypatch.setattr(process.Parser, "ask_each", lambda *_: [answer])
    reasons = run(
        [MimeTypes(["application/pdf"])], arrival(item("a", PDF), item("bad", b"!"), item("c", PDF))
    )
    assert len(reasons) == 1 and reasons[0].startswith("bad: its type cannot be determined")
