"""PDFs as laboratories send them, and as nobody should."""

from __future__ import annotations

import io
import zlib
from collections.abc import Sequence

from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfgen.canvas import Canvas

SPECIMEN = "066-12345678-1"
PATTERN = r"(?P<specimen>066-\d{8}-\d)"
_ONE_PAGE = b"<</Type/Pages/Kids[3 0 R]/Count 1>>"


def pdf(*pages: str | Sequence[str], user_password: str | None = None) -> bytes:
    """A page a text, or a text a line; encrypted when there is a user password, which may be empty."""
    made = io.BytesIO()
    encrypt = None if user_password is None else StandardEncryption(user_password, "owner")
    canvas = Canvas(made, pageCompression=1, encrypt=encrypt)
    for page in pages:
        for number, line in enumerate([page] if isinstance(page, str) else page):
            canvas.drawString(72, 700 - 20 * number, line)
        canvas.showPage()
    canvas.save()
    return made.getvalue()


def picture() -> bytes:
    """A page that is a picture, as a scanner makes it."""
    made = io.BytesIO()
    canvas = Canvas(made)
    canvas.rect(72, 72, 300, 300, fill=1)
    canvas.showPage()
    canvas.save()
    return made.getvalue()


def by_hand(content: bytes, filters: bytes = b"", pages: bytes = _ONE_PAGE) -> bytes:
    """A PDF whose objects are as given, however wrong."""
    stream = b"<</Length %d%s>> stream\n%s\nendstream" % (len(content), filters, content)
    resources = b"/Resources<</Font<</F1 5 0 R>>>>"
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        pages,
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 144]/Contents 4 0 R%s>>" % resources,
        stream,
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    body = b"".join(b"%d 0 obj %s endobj\n" % (number, each) for number, each in enumerate(objects, 1))
    return b"%PDF-1.4\n" + body + b"trailer <</Root 1 0 R>>\n%%EOF\n"


def own_grandfather() -> bytes:
    """A page tree in which the tree itself is a page."""
    text = b"BT /F1 12 Tf 20 100 Td (Specimen) Tj ET"
    return by_hand(text, pages=b"<</Type/Pages/Kids[2 0 R 3 0 R 2 0 R]/Count 3>>")


def bomb() -> bytes:
    """A few hundred kilobytes that become gigabytes: a stream deflated twice."""
    inner = zlib.compressobj(9)
    # A period of what deflates to a multiple of itself: 64 MB deflated once, and repeated in whole blocks.
    block = inner.compress(b" " * (64 << 20)) + inner.flush(zlib.Z_FULL_FLUSH)
    start, again = block, zlib.compressobj(9, zlib.DEFLATED, -15)
    repeated = again.compress(b" " * (64 << 20)) + again.flush(zlib.Z_FULL_FLUSH)
    return by_hand(zlib.compress(start + repeated * 47, 9), b"/Filter[/FlateDecode/FlateDecode]")
