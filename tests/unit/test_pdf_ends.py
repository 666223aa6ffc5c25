"""What programs open as a PDF passes, whatever stands before and behind it; what was cut off does not."""

from __future__ import annotations

import io
import zlib
from collections.abc import Sequence

import pytest

from dropslot.checks import StagedArrival, StagedItem, run
from dropslot.checks.mime import MimeTypes
from dropslot.checks.pdf_contains import PdfContains
from pdfs import PATTERN, SPECIMEN, pdf

CUT = "it is cut off or damaged: it does not end as a PDF does (%%EOF)"
WHOLE = pdf(f"Specimen {SPECIMEN}")
_TEXT = b"BT /F1 12 Tf 20 100 Td (Specimen %s) Tj ET" % SPECIMEN.encode()
_OBJECTS = (
    b"<</Type/Catalog/Pages 2 0 R>>",
    b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
    b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 144]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
    b"<</Length %d>> stream\n%s\nendstream" % (len(_TEXT), _TEXT),
    b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
)


def _reasons(content: bytes) -> list[str]:
    item = StagedItem(f"{SPECIMEN}.pdf", len(content), {}, lambda: io.BytesIO(content))
    return run([PdfContains(PATTERN)], StagedArrival("drop", {}, [item]))


def _body(objects: Sequence[tuple[int, bytes]], start: bytes) -> tuple[bytes, dict[int, int]]:
    places, made = {}, bytearray(start)
    for number, content in objects:
        places[number] = len(made)
        made += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    return bytes(made), places


def _table(places: dict[int, int]) -> bytes:
    parts = (b"%d 1\n%010d 00000 n \n" % (number, place) for number, place in sorted(places.items()))
    return b"xref\n0 1\n0000000000 65535 f \n" + b"".join(parts)


def with_table(version: bytes = b"1.4") -> bytes:
    made, places = _body(list(enumerate(_OBJECTS, 1)), b"%%PDF-%s\n%%\xe2\xe3\xcf\xd3\n" % version)
    trailer = b"trailer\n<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % len(made)
    return made + _table(places) + trailer


def with_table_in_stream() -> bytes:
    made, places = _body(list(enumerate(_OBJECTS, 1)), b"%PDF-1.5\n")
    places[6] = len(made)
    rows = b"".join([b"\0\0\0\0\0", *(b"\1%s\0" % places[n].to_bytes(3, "big") for n in range(1, 7))])
    packed = zlib.compress(rows)
    about = b"<</Type/XRef/Size 7/W[1 3 1]/Root 1 0 R/Filter/FlateDecode/Length %d>>" % len(packed)
    stream = b"6 0 obj\n%s stream\n%s\nendstream\nendobj\n" % (about, packed)
    return made + stream + b"startxref\n%d\n%%%%EOF\n" % len(made)


def updated() -> bytes:
    """The specimen came with an update."""
    before = with_table().replace(SPECIMEN.encode(), b"066-00000000-0")
    made, places = _body([(4, _OBJECTS[3])], before)
    old = before.rindex(b"xref\n0 1")
    trailer = b"trailer\n<</Size 6/Root 1 0 R/Prev %d>>\nstartxref\n%d\n%%%%EOF\n" % (old, len(made))
    return made + _table(places) + trailer


def for_the_web() -> bytes:
    """The first page's table and an end come first, then the rest and its own."""
    start = b"%PDF-1.4\n9 0 obj\n<</Linearized 1/L 0000000000/H[0 0]/O 3/E 0/N 1/T 0>>\nendobj\n"
    first, places = _body([(3, _OBJECTS[2]), (1, _OBJECTS[0])], start)
    first += _table(places) + b"trailer\n<</Size 6/Root 1 0 R>>\nstartxref\n0\n%%EOF\n"
    rest, more = _body([(2, _OBJECTS[1]), (4, _OBJECTS[3]), (5, _OBJECTS[4])], first)
    return (
        rest
        + _table(places | more)
        + b"trailer\n<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % len(rest)
    )


KINDS = {
    "reportlab's": WHOLE,
    "a table": with_table(),
    "PDF 2.0": with_table(b"2.0"),
    "a table in a stream": with_table_in_stream(),
    "an update": updated(),
    "for the web": for_the_web(),
    "encrypted, to be opened without a password": pdf(SPECIMEN, user_password=""),
}
BEHIND = {
    "nothing": b"",
    "no line end": None,
    "line ends": b"\r\n\r\n",
    "a zero": b"\0",
    "a preallocated file's zeros": bytes(200_000),
    "blanks and zeros": b" \t\n\0" * 5_000,
    "end of file of DOS": b"\x1a",
    "a page's end": b"</body></html>\n",
    "a mail gateway's lines": b"\r\n--=_boundary_1 0--\r\nScanned by the gateway of object 7.\r\n" * 99,
    "a signature block": b"\n-----BEGIN PGP SIGNATURE-----\n\n" + b"iQIzBAEBCAAdFiEE0obj12\n" * 400,
    "end once more": b"%%EOF\n%%EOF\n",
    "a server's last chunk": b"\r\n0\r\n\r\n",
}
BEFORE = {
    "a byte order mark": b"\xef\xbb\xbf",
    "blanks": b"\r\n  \r\n",
    "zeros": bytes(512),
    "a printer's lines": b"\x1b%-12345X@PJL JOB\r\n@PJL ENTER LANGUAGE=PDF\r\n",
    "a mail's lines": b"Content-Type: application/pdf\r\nContent-Transfer-Encoding: binary\r\n\r\n",
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("behind", BEHIND)
def test_what_stands_behind_a_pdf_refuses_nothing(kind: str, behind: str) -> None:
    added = BEHIND[behind]
    assert _reasons(KINDS[kind].rstrip() if added is None else KINDS[kind] + added) == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("before", BEFORE)
def test_what_stands_before_a_pdf_refuses_nothing(kind: str, before: str) -> None:
    content = BEFORE[before] + KINDS[kind]
    assert _reasons(content) == []
    item = StagedItem("x.pdf", len(content), {}, lambda: io.BytesIO(content))
    assert run([MimeTypes(["application/pdf"])], StagedArrival("drop", {}, [item])) == []


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"an update"}))
def test_only_the_mark_at_its_end_is_missing(kind: str) -> None:
    content = KINDS[kind]
    assert _reasons(content[: content.rindex(b"%%EOF")]) == []
    assert _reasons(content[: content.rindex(b"%%EOF")] + bytes(4096)) == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "filled", [b"", bytes(3000), b"\n"], ids=["cut", "cut, filled with zeros", "cut, a line end"]
)
def test_what_is_cut_off_anywhere_is_refused(kind: str, filled: bytes) -> None:
    content = KINDS[kind].rstrip()
    mark = content.rindex(b"%%EOF")
    # The end of an earlier revision is a whole PDF, and so is what lacks nothing but the mark.
    whole = {place + 5 + more for more in (0, 1, 2) for place in _places_of(content, b"%%EOF")} | {
        mark,
        mark - 1,
    }
    step = max(1, mark // 60)
    for size in sorted({*range(1100, mark, step), *range(mark - 30, len(content))} - whole):
        assert _reasons(content[:size] + filled), size
    assert CUT in _reasons(content[: mark - 12] + filled)[0]


def _places_of(content: bytes, mark: bytes) -> list[int]:
    return [place for place in range(len(content)) if content.startswith(mark, place)]


def test_an_update_without_its_mark_is_refused_since_some_programs_show_what_it_updates() -> None:
    content = updated()
    assert CUT in _reasons(content[: content.rindex(b"%%EOF")])[0]


@pytest.mark.parametrize(
    "begun", [b"4", b"4 ", b"4 0", b"4 0 ", b"4 0 o", b"4 0 ob", b"4 0 obj", b"4 0 obj\n<</L"]
)
@pytest.mark.parametrize("filled", [b"", b"\n", bytes(3000)], ids=["cut", "a line end", "filled with zeros"])
def test_an_update_of_which_only_the_first_letters_came_is_refused(begun: bytes, filled: bytes) -> None:
    assert CUT in _reasons(with_table() + begun + filled)[0]


def test_a_first_page_alone_is_refused() -> None:
    content = for_the_web()
    (found,) = _reasons(content[: content.index(b"%%EOF") + 6])
    assert CUT in found
