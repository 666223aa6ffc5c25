"""Requests are matched by their whole path and query, as the server understood them."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropslot.acknowledgments.lines import Request
from dropslot.acknowledgments.logs.blocks import Sieve
from dropslot.acknowledgments.matching import judging, stored_paths
from dropslot.acknowledgments.matching.judging import Span
from dropslot.acknowledgments.matching.requested import Asked, asked, files
from dropslot.acknowledgments.matching.stored_paths import Match
from dropslot.core.templates import Template

FOLDER = Match("/results/{folder}/{stored_name}")


def values(target: bytes, match: Match = FOLDER, preset: str = "none") -> list[dict[str, str]]:
    found = asked(target)
    return [named for file in files(preset, found) if (named := match.values(file))] if found else []


@pytest.mark.parametrize(
    "target",
    [
        b"/results/digawana/a%20b.pdf",
        b"//results///digawana/./a%20b.pdf",
        b"/x/../results/digawana/%61%20b.pdf",
        b"/%72esults/digawana/a%20b.pdf",
        b"http://edc.example.org:8080/results/digawana/a%20b.pdf",
    ],
)
def test_ways_to_ask_for_one_file(target: bytes) -> None:
    assert values(target) == [{"folder": "digawana", "stored_name": "a b.pdf"}]


@pytest.mark.parametrize(
    "target",
    [
        b"/results/digawana/a%2Fb.pdf", b"/results/digawana/", b"/results/digawana/x/a.pdf", b"/other/a.pdf", b"a.pdf",
        b"/results/digawana/a.pdf?download=1", b"/../results/digawana/a.pdf", b"*", b"", b"/results/digawana/a%00.pdf",
        b"/x/results/digawana/a.pdf",
    ],
)  # fmt: skip
def test_what_is_asked_for_otherwise_is_no_match(target: bytes) -> None:
    assert values(target) == []


def test_bare_name_is_a_file_directly_in_its_place_only() -> None:
    [found] = values(b"/results/digawana/a.pdf")
    assert stored_paths.stored_as(found) == "a.pdf"
    [whole] = values(b"/r/digawana/x/a.pdf", Match("/r/{folder}/{stored_as}"))
    assert stored_paths.stored_as(whole) == "x/a.pdf"
    assert stored_paths.place(Template("/srv/{folder}"), whole) == "/srv/digawana"


def test_query_is_matched_whole_in_any_order() -> None:
    match = Match("/get.php?in={folder}&name={stored_name}")
    assert values(b"/get.php?name=a+b%2B.pdf&in=x", match) == [{"folder": "x", "stored_name": "a b+.pdf"}]
    assert values(b"/get.php?name=a&in=x&more=1", match) == []
    assert values(b"/get.php?name=a&name=b&in=x", match) == []
    assert values(b"/get.php", match) == []


@pytest.mark.parametrize("preset", ["owncloud", "nextcloud"])
def test_clouds_name_files_by_folder_and_name(preset: str) -> None:
    match = Match("/viral_load/{folder}/{stored_name}")
    page = b"/index.php/apps/files/ajax/download.php?dir=%2Fviral_load%2Fdigawana&files="
    one = {"folder": "digawana", "stored_name": "a.pdf"}
    assert values(page + b"a.pdf&downloadStartSecret=x", match, preset) == [one]
    assert values(page + b"%5B%22a.pdf%22%2C%22b.pdf%22%5D", match, preset) == [
        one,
        one | {"stored_name": "b.pdf"},
    ]
    assert values(b"/nextcloud/remote.php/dav/files/clinic12/viral_load/digawana/a.pdf", match, preset) == [
        one
    ]
    assert values(b"/remote.php/webdav/viral_load/digawana/a.pdf", match, preset) == [one]
    assert values(b"/index.php/apps/files/?dir=/viral_load/digawana&files=a.pdf", match, preset) == []
    assert values(page + b"..%2Fmolepo%2Fa.pdf", match, preset) == []
    assert values(page + b"%5B1%5D", match, preset) == []
    assert values(page + b"[" * 7000, match, preset) == []


@pytest.mark.parametrize(
    "more", [b"&files=a.pdf", b"&+files=b.pdf", b"&files[]=b.pdf", b"&dir=/viral_load/molepo"]
)
def test_what_a_cloud_is_told_twice_is_not_known(more: bytes) -> None:
    match = Match("/viral_load/{folder}/{stored_name}")
    page = b"/apps/files/ajax/download.php?dir=/viral_load/digawana&files=b.pdf"
    assert len(values(page, match, "owncloud")) == 1
    assert values(page + more, match, "owncloud") == []


def test_all_files_of_a_cloud_s_answer_count_for_its_size() -> None:
    [found] = files("owncloud", Asked("/download.php", (("dir", "/x"), ("files", '["a", "y/b"]'))))
    assert (found.path, found.among) == ("/x/a", 2)


def test_address_that_can_be_read_in_many_ways_is_judged_at_once() -> None:
    match = Match("/r/{a}-{b}-{c}/{stored_name}")
    begun = time.process_time()
    for length in (255, 3000):
        assert values(b"/r/" + b"-" * length, match) == []
    assert time.process_time() - begun < 5


def test_folder_of_files_takes_no_notice_of_a_query() -> None:
    assert values(b"/results/digawana/a.pdf?v=2", preset="apache") == [
        {"folder": "digawana", "stored_name": "a.pdf"}
    ]


def test_webdav_is_read_with_and_without_a_product_before_it() -> None:
    one = [{"folder": "digawana", "stored_name": "a.pdf"}]
    assert values(b"/results/digawana/a.pdf", preset="webdav") == one
    assert values(b"/owncloud/remote.php/webdav/results/digawana/a.pdf", preset="webdav") == one


_name = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=20
).filter(lambda text: text not in (".", ".."))


@given(_name, _name)
def test_whatever_is_stored_is_found_by_its_address(folder: str, name: str) -> None:
    target = f"/results/{quote(folder, safe='')}/{quote(name, safe='')}".encode()
    assert values(target) == [{"folder": folder, "stored_name": name}]


@given(st.binary(max_size=200))
def test_any_target_is_understood_or_refused(target: bytes) -> None:
    found = asked(b"/" + target)
    assert found is None or all(
        part not in ("", ".", "..") for part in found.path[1:].split("/") if found.path != "/"
    )


@given(
    st.lists(st.sampled_from([b"x", b"needle", b"%6Eeedle", b"n%65edle", b"%20", b"%6e", b""]), max_size=30)
)
def test_sieve_passes_every_line_that_may_matter(lines: list[bytes]) -> None:
    data = b"".join(line + b"\n" for line in lines)
    passed = list(Sieve(b"needle").lines(data))
    assert passed == [line for line in lines if line in (b"needle", b"%6Eeedle", b"n%65edle", b"%6e")]
    assert list(Sieve(b"").lines(data)) == lines


def test_needle_is_the_longest_text_of_the_address() -> None:
    assert FOLDER.needle == b"results"
    assert Match("/{folder}/{stored_name}").needle == b""
    assert Match("/get?in={folder}&file={stored_name}.x").needle == b"get"


# What counts


def request(status: int = 200, body: int | None = 100, **more: object) -> Request:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return Request(at, "h", "u", "GET", b"/", status, body, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asked_for", "span"),
    [
        (request(), Span(0, 100)),
        (request(body=99), Span(0, 99)),
        (request(body=0), None),
        (request(body=None, sent_bytes=350), Span(0, 100)),
        (request(sent_bytes=40, aborted=True), Span(0, 40)),
        (request(sent_bytes=400, aborted=True), None),
        (request(206, 10, span=(5, 15)), Span(5, 15)),
        (request(206, 10, span=(5, 15), sent_bytes=4, aborted=True), Span(5, 9)),
        (request(206, 10, span=(5, 15), sent_bytes=300, aborted=True), None),
        (request(206, 10), Span(0, 10, known=False)),
        (request(206, 10, aborted=True), None),
        (request(206, 10, span=(500, 510)), None),
    ],
)
def test_bytes_that_a_response_held(asked_for: Request, span: Span | None) -> None:
    assert judging.span_of(asked_for, 100, 1, 100) == span


@pytest.mark.parametrize(
    ("asked_for", "span"),
    [
        (request(body=30, encoding="gzip", aborted=False), Span(0, 100)),
        (request(body=30, encoding="br", aborted=False), Span(0, 100)),
        (request(body=30, encoding="gzip", aborted=True), None),
        (request(body=30, encoding="gzip"), None),
        (request(206, 30, encoding="gzip", aborted=False, span=(0, 30), of_bytes=40), None),
        (request(206, 30, encoding="x-gzip", span=(0, 30), of_bytes=100), Span(0, 30)),
        (request(body=100, encoding="x-gzip"), Span(0, 100)),
        (request(body=130, encoding="gzip", aborted=True), None),
        (request(body=30, aborted=False), None),
        (request(body=30, encoding="", aborted=None), Span(0, 30)),
    ],
)
def test_compressed_responses_count_where_they_ended_well(asked_for: Request, span: Span | None) -> None:
    assert judging.span_of(asked_for, 100, 1, 100) == span


@pytest.mark.parametrize(
    ("asked_for", "span"),
    [
        (request(body=None, sent_bytes=100), None),
        (request(body=None, sent_bytes=257), Span(0, 99)),
        (request(body=None, sent_bytes=258), Span(0, 100)),
        (request(body=None, sent_bytes=258, aborted=False), Span(0, 100)),
        (request(body=None, sent_bytes=258, aborted=True), None),
        (request(sent_bytes=100), None),
        (request(sent_bytes=200), Span(0, 42)),
        (request(sent_bytes=200, aborted=True), Span(0, 42)),
        (request(sent_bytes=150, aborted=False), Span(0, 100)),
        (request(206, None, sent_bytes=300), None),
        (request(206, None, sent_bytes=178, span=(0, 50)), Span(0, 20)),
    ],
)
def test_headers_are_no_part_of_a_file(asked_for: Request, span: Span | None) -> None:
    assert judging.span_of(asked_for._replace(header_bytes=158), 100, 1, 100) == span


def test_lines_of_which_nothing_follows_are_known() -> None:
    assert judging.never_counts(request(body=30), 100)
    assert judging.never_counts(request(body=30, aborted=False), 100)
    assert judging.never_counts(request(body=30, encoding="gzip"), 100)
    assert not judging.never_counts(request(body=30, encoding="gzip", aborted=False), 100)
    assert not judging.never_counts(request(body=30, aborted=True), 100)
    assert not judging.never_counts(request(body=30, encoding=""), 100)
    assert not judging.never_counts(request(206, body=30), 100)
    assert not judging.never_counts(request(), 100)


def test_empty_file_is_fetched_whole() -> None:
    assert judging.span_of(request(body=0), 0, 1, 0) == Span(0, 0)


def test_several_files_in_one_response_are_fetched_together() -> None:
    assert judging.span_of(request(body=300), 100, 2, 200) == Span(0, 100)
    assert judging.span_of(request(body=150), 100, 2, 200) is None
    assert judging.span_of(request(body=150, aborted=False), 100, 2, 200) == Span(0, 100)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)).map(sorted), max_size=12))
def test_ranges_cover_what_their_bytes_cover(ranges: list[list[int]]) -> None:
    spans: list[list[int]] = []
    for first, after in ranges:
        spans = judging.merged(spans, Span(first, after))
    had = {byte for first, after in ranges for byte in range(first, after)}
    assert judging.covers(spans, 50) == (had >= set(range(50)))
    assert {byte for first, after in spans for byte in range(first, after)} == had


def test_rights_of_users() -> None:
    rights = judging.Rights({"clinic12": ["digawana"], "lab": ["*"]})
    assert rights.may("clinic12", "digawana")
    assert not rights.may("clinic12", "molepo")
    assert rights.may("lab", None)
    assert not rights.may("", "digawana")
    assert judging.Rights({"*": ["digawana"]}).may("", "digawana")


@pytest.mark.parametrize(
    "agent",
    [
        "Googlebot/2.1",
        "Mozilla/5.0 (compatible; bingbot/2.0)",
        "Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) AppleWebKit/537.36 (KHTML, like Gecko)"
        " Chrome/120.0.0.0 Mobile Safari/537.36 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "AhrefsBot",
        "Slurp",
        "Mozilla/5.0 (Linux; Android 5.0) AppleWebKit/537.36 (KHTML, like Gecko; compatible; Bytespider; x@y.com)",
        "Mozilla/5.0 (Linux; Android 7.0; compatible; PetalBot)",
        "org.example.Bot",
        "TelegramBot (like TwitterBot)",
        "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
        "Baiduspider/2.0",
        "python-crawler/1.0",
        "Mozilla/5.0 (Windows NT 6.1) SkypeUriPreview Preview/0.5",
        "WhatsApp/2.23.2",
        "Mozilla/5.0+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)",
        "Mozilla/5.0 (compatible; Nmap Scripting Engine; https://nmap.org/book/nse.html)",
    ],
)
def test_bots_are_known(agent: str) -> None:
    assert judging.is_bot(agent)


@pytest.mark.parametrize(
    "agent",
    [
        "",
        "Mozilla/5.0 (Windows NT 10.0) Chrome/120 Safari/537.36",
        "Mozilla/5.0 (Linux; Android 9; CUBOT NOVA Build/PPR1.180610.011) Chrome/96 Mobile Safari/537.36",
        "Mozilla/5.0 (Linux; Android 12; CUBOT_X50) Chrome/96 Mobile Safari/537.36",
        "Dalvik/2.1.0 (Linux; U; Android 10; CUBOT NOTE 20)",
        "CamScanner/6.42 (Android 13)",
        "Scanner Pro/8.1 CFNetwork/1408 Darwin/22.5.0",
        "Mozilla/5.0 (Android 10; Mobile) Gecko/68.0 Firefox Preview/3.0",
        "SpiderOak/7.5",
        "RemoteMonitoring/2.1 (clinic)",
        "The Unarchiver/4.3",
        "curl/7.88.1",
        "Robotics-Lab-Reader/1.0",
        "Scanbot/9.1 (iPhone; iOS 16.2; Scale/3.00)",
        "Mozilla/5.0 (Linux; Android 9; SPIDER X4 Build/PPR1) Chrome/96 Mobile Safari/537.36",
        "Dalvik/2.1.0 (Linux; U; Android 8.1; S-BOT T5)",
    ],
)
def test_readers_and_telephones_are_no_bots(agent: str) -> None:
    assert not judging.is_bot(agent)


@pytest.mark.parametrize("part", ["a.", "(Linux;", "(Linux; Android ", "bot0", "link"])
def test_a_long_agent_is_looked_through_once(part: str) -> None:
    # Quadratic, this takes minutes.
    assert not judging.is_bot(part * 100_000)


def test_who_has_the_folder_by_name_is_known_from_anybody() -> None:
    rights = judging.Rights({"clinic12": ["digawana"], "*": ["molepo"], "lab": ["*"]})
    assert rights.names("clinic12", "digawana") and rights.names("lab", "molepo")
    assert not rights.names("clinic12", "molepo") and rights.may("clinic12", "molepo")
    assert not rights.names("", "molepo") and not rights.names("*", "molepo")


def test_asked_among_keeps_the_count() -> None:
    found = asked(b"/download.php?dir=/&files=%5B%22a%22%2C%22b%22%5D")
    assert found is not None
    assert list(files("owncloud", found)) == [
        Asked("/a", among=2, packable=True),
        Asked("/b", among=2, packable=True),
    ]


def test_whole_folders_are_told_from_files() -> None:
    def values_of(match: str, path: str) -> dict[str, str] | None:
        return Match(match).values_of_folder(Asked(path))

    flat, deep = "/viral_load/{folder}/{stored_name}", "/viral_load/{folder}/{stored_as}"
    place = {"folder": "digawana", "stored_as": ""}
    assert values_of(flat, "/viral_load/digawana") == values_of(deep, "/viral_load/digawana") == place
    assert values_of(flat, "/viral_load/digawana/sub") is None
    assert values_of(deep, "/viral_load/digawana/sub/x") == place | {"stored_as": "sub/x"}
    assert values_of(flat, "/viral_load") is None
    assert values_of("/get?in={folder}&name={stored_name}", "/get") is None


def test_packed_folder_needs_all_bytes_of_its_files() -> None:
    assert judging.packs_all(request(body=300), 300)
    assert not judging.packs_all(request(body=299), 300)
    assert not judging.packs_all(request(body=400, aborted=True), 300)
    assert not judging.packs_all(request(206, body=400), 300)
