"""A look at a payload shows it, and never lets it act."""

from __future__ import annotations

import struct
import zlib

import pytest
from django.urls import reverse

import pdfs
from dropslot.arrivals.models import Arrival, Delivery
from dropslot.portal.preview import pdf_page, preview_kinds
from payloads import body, delivery_of, events
from portals import Site

_SCRIPT = b"<script>alert(document.cookie)</script>"


def _png() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"\0\xff\0\0")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def _look(site: Site, item: str, content: bytes, **asked: str) -> str:
    """What rita's page of a file shows."""
    site.drop("results", item, content)
    site.deliver()
    url = reverse("dropslot:look", args=[delivery_of(item).pk])
    response = site.client("rita").get(url, asked, headers={"HX-Request": "true"})
    assert response.status_code == 200
    return body(response).decode()


def test_the_list_has_what_the_account_may_open(site: Site) -> None:
    for name in ("north-1.pdf", "north-2.pdf", "south-1.pdf"):
        site.drop("results", name, name.encode())
    site.deliver()
    url = reverse("dropslot:archive")
    page = body(site.client("rita").get(url)).decode()
    assert "north-1.pdf" in page and "south-1.pdf" not in page
    found = body(site.client("rita").get(url, {"search": "north-2"})).decode()
    assert "north-2.pdf" in found and "north-1.pdf" not in found
    assert "Nothing that you may open" in body(site.client("rita").get(url, {"search": "south"})).decode()
    assert "No file has been delivered to you yet" in body(site.client("nobody").get(url)).decode()
    assert site.client("rita").get(url, {"cursor": "x"}).status_code == 404


def test_older_files_are_on_the_next_page(site: Site) -> None:
    site.drop("study", "heart-1", {f"scan{number:02}": b"%d" % number for number in range(60)})
    site.deliver()
    page = body(site.client("stella").get(reverse("dropslot:archive"))).decode()
    assert page.count("/file") == 50
    following = page.split('href="?', 1)[1].split('"')[0].replace("&amp;", "&")
    page = body(site.client("stella").get(f"{reverse('dropslot:archive')}?{following}")).decode()
    assert page.count("/file") == 10 and "Older files" not in page


def test_a_file_s_page_says_what_is_known(site: Site) -> None:
    site.drop("results", "north-1.pdf", b"one")
    site.deliver("sam")
    row = delivery_of("north-1.pdf")
    page = body(site.client("rita").get(reverse("dropslot:open", args=[row.pk]))).decode()
    for words in (row.sha256, "sam", "not yet"):
        assert words in page
    assert "clinics/north" not in page  # where a server keeps it is for those who run or audit it
    seen = body(site.client("olga").get(reverse("dropslot:open", args=[row.pk]))).decode()
    assert "clinics/north/north-1.pdf" in seen
    assert not events("viewed")  # nothing of the file itself was shown


@pytest.mark.parametrize("view", ["open", "look", "picture", "download"])
@pytest.mark.parametrize("name", ["sam", "nobody", "stella"])
def test_who_may_not_open_it_finds_nothing(site: Site, view: str, name: str) -> None:
    site.drop("results", "north-1.pdf", _png())
    site.deliver("sam")
    url = reverse(f"dropslot:{view}", args=[delivery_of("north-1.pdf").pk])
    assert site.client(name).get(url).status_code == 404
    assert site.client("rita").get(url).status_code == 200


def test_pages_of_a_pdf_are_pictures(site: Site) -> None:
    page = _look(site, "north-1.pdf", pdfs.pdf("first", "second"))
    assert 'src="data:image/png;base64,' in page and "Page 1 of 2" in page and "Next page" in page
    url = reverse("dropslot:look", args=[delivery_of("north-1.pdf").pk])
    second = body(site.client("rita").get(url, {"page": "2"})).decode()
    assert "Page 2 of 2" in second and "Next page" not in second
    assert "Download" in second  # without a program in the browser it is a whole page
    assert [event["part"] for event in events("viewed")] == ["page 1", "page 2"]
    for number in ("3", "0", "x", "99999999"):
        assert site.client("rita").get(url, {"page": number}).status_code == 200


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"%PDF-1.4 and nothing", "It is damaged"),
        (pdfs.pdf("secret", user_password="x"), "It needs a password"),
        (pdfs.by_hand(b"q " * 1000, pages=b"<</Type/Pages/Kids[]/Count 0>>"), "It is damaged"),
    ],
    ids=["damaged", "encrypted", "no page"],
)
def test_a_pdf_that_cannot_be_drawn_says_why(site: Site, content: bytes, words: str) -> None:
    assert words in _look(site, "north-1.pdf", content)
    assert not events("viewed")


def test_a_page_of_any_size_stays_small(site: Site) -> None:
    for wide, high in ((14400, 1), (1, 14400), (14400, 14400), (0, 0)):
        page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 %d %d]>>" % (wide, high)
        content = pdfs.by_hand(b"", pages=b"<</Type/Pages/Kids[6 0 R]/Count 1>>").replace(
            b"trailer", b"6 0 obj " + page + b" endobj\ntrailer"
        )
        shown = _look(site, f"north-{wide}-{high}.pdf", content)
        assert 'src="data:image/png;base64,' in shown
        assert len(shown) < pdf_page.MOST_BYTES


def test_a_picture_is_shown_as_what_it_is(site: Site) -> None:
    page = _look(site, "north-photo.txt", _png())
    url = reverse("dropslot:picture", args=[delivery_of("north-photo.txt").pk])
    assert f'src="{url}"' in page
    response = site.client("rita").get(url)
    assert (response["Content-Type"], body(response)) == ("image/png", _png())
    assert response["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    assert response["X-Content-Type-Options"] == "nosniff"
    assert len(events("viewed")) == 1


@pytest.mark.parametrize(
    "content",
    [
        _SCRIPT,
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'>" + _SCRIPT + b"</svg>",
        b"</pre>" + _SCRIPT,
        b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><x>&a;</x>" + _SCRIPT,
    ],
)
def test_markup_is_shown_as_text(site: Site, content: bytes) -> None:
    page = _look(site, "north-page.txt", content)
    assert "<script>alert" not in page and "<svg" not in page
    assert "&lt;script&gt;alert(document.cookie)&lt;/script&gt;" in page
    url = reverse("dropslot:picture", args=[delivery_of("north-page.txt").pk])
    assert site.client("rita").get(url).status_code == 404
    assert len(events("viewed")) == 1


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        ("Grüße".encode(), "Grüße"),
        ("Grüße".encode("cp1252"), "Grüße"),
        ("Grüße".encode("utf-16"), "Grüße"),
        (b"\xef\xbb\xbfGr\xc3\xbc\xc3\x9fe", "Grüße"),
        ("a\u202etxt.exe".encode(), "a\ufffdtxt.exe"),
        (b"\x1b[31mred", "\ufffd[31mred"),
        (b"one\r\ntwo\rthree", "one\ntwo\nthree"),
    ],
)
def test_a_text_is_read_in_its_encoding(content: bytes, shown: str) -> None:
    assert preview_kinds.text_of(content) == shown


def test_a_long_text_is_cut_between_characters(site: Site) -> None:
    page = _look(site, "north-long.txt", ("x" + "ü" * 150_000).encode())
    assert "This is the beginning of the text" in page
    assert "\ufffd" not in page
    assert page.count("ü") == (preview_kinds.TEXT_BYTES - 1) // 2


def test_what_is_no_text_is_only_downloaded(site: Site) -> None:
    assert "Files of this kind are not shown here" in _look(site, "north-1.txt", bytes(range(256)))


def test_a_large_file_is_only_downloaded(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview_kinds, "SHOWN_BYTES", 10)
    assert "too large to be shown" in _look(site, "north-1.txt", b"text " * 10)


def test_altered_bytes_are_not_shown(site: Site) -> None:
    site.drop("results", "north-1.txt", b"as delivered")
    site.deliver()
    Arrival.objects.update(archived_as="")
    stored = site.root / "clinics" / "north" / "north-1.txt"
    stored.chmod(0o600)
    stored.write_bytes(b"AS DELIVERED")
    page = body(site.client("rita").get(reverse("dropslot:look", args=[Delivery.objects.get().pk]))).decode()
    assert "AS DELIVERED" not in page and "is not the one that was delivered" in page
    assert not events("viewed") and events("altered")


def test_hostile_names_are_only_text(site: Site) -> None:
    name = "north-<img src=x onerror=alert(1)>.txt"
    site.drop("results", name, b"x")
    site.deliver()
    pk = delivery_of(name).pk
    for url in (
        reverse("dropslot:archive"),
        *(reverse(f"dropslot:{view}", args=[pk]) for view in ("open", "look", "proof")),
    ):
        page = body(site.client("rita").get(url)).decode()
        assert "<img src=x" not in page and "&lt;img src=x onerror=alert(1)&gt;.txt" in page
