"""Lines of access logs are read as apachelogs reads them, and as servers mean them."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime

import pytest
from apachelogs import COMBINED, InvalidEntryError, LogParser
from hypothesis import given
from hypothesis import strategies as st

from dropslot.acknowledgments.formats.log_format import NAMED, LogFormat, unescape
from dropslot.acknowledgments.lines import FormatReader, Request

FULL = NAMED["dropslot"]
LINE = (
    b'::1 - cl\\xc3\\xadnica 7 [22/Nov/2026:05:13:16 -0130] "GET /r/a%20b.pdf HTTP/1.1" 206 100 "-"'
    b' "Mozilla \\"x\\""'
)


def read(line: bytes, format_: str = "combined") -> Request | None:
    return FormatReader(format_).read(line)


def test_combined_line_is_read_whole() -> None:
    assert read(LINE) == Request(
        at=datetime(2026, 11, 22, 6, 43, 16, tzinfo=UTC),
        address="::1",
        user="clínica 7",
        method="GET",
        target=b"/r/a%20b.pdf",
        status=206,
        body_bytes=100,
        agent='Mozilla "x"',
    )


def test_more_of_the_recommended_format_is_read() -> None:
    found = read(LINE + b' 512 X "bytes 0-99/1000" "gzip"', FULL)
    assert found is not None
    assert (found.sent_bytes, found.aborted, found.span, found.of_bytes) == (512, True, (0, 100), 1000)
    assert found.encoding == "gzip"


def test_lines_of_the_earlier_recommended_format_are_read_still() -> None:
    found = read(LINE + b' 512 + "-"', "dropslot")
    assert found is not None
    assert (found.sent_bytes, found.aborted, found.encoding) == (512, False, None)


@pytest.mark.parametrize(
    ("more", "encoding"), [("-", ""), ("", ""), ("identity", ""), ("GZIP", "gzip"), ("br", "br")]
)
def test_how_a_response_was_compressed(more: str, encoding: str) -> None:
    nginx = b' 512 "OK" "-" "%b"' % more.encode()
    found = read(LINE + nginx, "dropslot_nginx")
    assert found is not None and (found.aborted, found.encoding) == (False, encoding)
    ratio = {"gzip": b"3.10"}.get(encoding, b"-")
    found = read(LINE + b" " + ratio, NAMED["nginx"] + " $gzip_ratio")
    assert found is not None and found.encoding == ("gzip" if encoding == "gzip" else "")


@pytest.mark.parametrize(
    ("format_", "line"),
    [
        ("common", b'h - u [22/Nov/2026:05:13:16 +0000] "GET /x HTTP/1.1" 200 5'),
        ("nginx", b'h - u [22/Nov/2026:05:13:16 +0000] "GET /x HTTP/1.1" 200 5 "-" "-"'),
        ("debian", b'h - u [22/Nov/2026:05:13:16 +0000] "GET /x HTTP/1.1" 200 5 "-" "-"'),
        ("vhost_combined", b'edc:443 h - u [22/Nov/2026:05:13:16 +0000] "GET /x HTTP/1.1" 200 5 "-" "-"'),
        ("%a\t%u\t%{%Y-%m-%dT%H:%M:%S%z}t\t%m\t%U%q\t%>s\t%B", b"h\tu\t2026-11-22T05:13:16+0000\tGET\t/x\t200\t5"),
        ("%{msec}t %h %u %m %U %s %B", b"1795324396000 h u GET /x 200 5"),
        (r"%h %u %t \"%r\" %>s %b", b'h u [22/Nov/2026:05:13:16 +0000] "GET /x HTTP/1.0" 200 5'),
        ("$remote_addr $remote_user $time_iso8601 $request_method $request_uri $status $bytes_sent",
         b"h u 2026-11-22T05:13:16+00:00 GET /x 200 5"),
    ],
)  # fmt: skip
def test_other_formats_tell_the_same(format_: str, line: bytes) -> None:
    found = read(line, format_)
    assert found is not None
    assert found.at == datetime(2026, 11, 22, 5, 13, 16, tzinfo=UTC)
    assert (found.address, found.user, found.method, found.target, found.status) == (
        "h",
        "u",
        "GET",
        b"/x",
        200,
    )
    assert (found.body_bytes or found.sent_bytes) == 5


@pytest.mark.parametrize(
    ("format_", "words"),
    [
        ("combind", "one of combined, common"),
        ("%h %u %r %>s", "the time (%t) and the bytes sent (%b, %B or %O)"),
        ("%t %>s %b", "the request (%r)"),
        ('%{%H:%M}t "%r" %>s %b', "%z is missing"),
    ],
)
def test_format_that_tells_too_little_is_refused_in_words(format_: str, words: str) -> None:
    with pytest.raises(ValueError, match="expected") as caught:
        LogFormat(format_)
    assert words.replace("one of combined, common", "one of") in str(caught.value)


@pytest.mark.parametrize(
    "user",
    [b'x [01/Jan/2026:00:00:00 +0000] "GET /r/secret.pdf HTTP/1.1" 200 4096 "-" "-"', b'a" b', b"\n", b"\\"],
)
def test_user_name_cannot_look_like_the_rest_of_a_line(user: bytes) -> None:
    escaped = user.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
    found = read(b"h - " + escaped + b' [22/Nov/2026:05:13:16 +0000] "GET /x HTTP/1.1" 401 5 "-" "-"')
    assert found is not None
    assert (found.user.encode(), found.target, found.status) == (user, b"/x", 401)


def test_what_apachelogs_reads_is_read_the_same() -> None:
    theirs, ours = LogParser(COMBINED, encoding="utf-8"), FormatReader("combined")
    read_by_both = 0
    for line in _odd_lines(random.Random(7), 20_000):
        try:
            entry = theirs.parse(line)
        except (InvalidEntryError, UnicodeDecodeError):
            entry = None
        found = _read_or_none(ours, line.encode())
        assert (entry is None) == (found is None), line
        if entry is None or found is None:
            continue
        read_by_both += 1
        parts = (entry.request_line or "").split(" ")
        assert (found.address, found.user, found.status) == (
            entry.remote_host, entry.remote_user or "", entry.final_status,
        ), line  # fmt: skip
        assert (found.at, found.body_bytes) == (entry.request_time, entry.bytes_sent or 0), line
        assert found.agent == (entry.headers_in["User-Agent"] or "-"), line
        if len(parts) == 3:
            assert (found.method, found.target.decode()) == (parts[0], parts[1]), line
    assert read_by_both > 15_000


def _read_or_none(reader: FormatReader, line: bytes) -> Request | None:
    try:
        return reader.read(line)
    except ValueError:
        return None


_USERS = ("-", "clinic12", "cl\\xc3\\xadnica", "two words", 'q\\"uote', "back\\\\slash", "[bracket]", "-x")
_ADDRESSES = ("127.0.0.1", "::1", "2001:db8::ff00:42:8329", "pc.lab.example")
_REQUESTS = (
    "GET /results/a.pdf HTTP/1.1", "-", "HEAD / HTTP/1.0", "GET /a\\\"b HTTP/1.1", "GET /%C3%A9 HTTP/1.1",
    "\\x16\\x03\\x01", "OPTIONS * HTTP/1.0", "GET http://h/x HTTP/1.1", "GET /a b HTTP/1.1", "GET /x?y=%2F&z HTTP/2.0",
)  # fmt: skip
_BROKEN = ("", "x", "[", '"', "\\", " ", "-", "22/Nov")


def _odd_lines(chance: random.Random, count: int) -> list[str]:
    lines = []
    for number in range(count):
        line = (
            f"{chance.choice(_ADDRESSES)} - {chance.choice(_USERS)}"
            f" [{1 + number % 28:02}/Feb/2026:23:59:{number % 60:02} {chance.choice(('+0000', '-0730', '+1400'))}]"
            f' "{chance.choice(_REQUESTS)}" {chance.choice((200, 206, 404))}'
            f' {chance.choice(("-", "0", "4096", "99999999999"))} "{chance.choice(("-", "https://h/"))}"'
            f' "{chance.choice(("-", "Mozilla/5.0 (X11)", "a " + chr(92) + chr(34) + "b"))}"'
        )
        if chance.random() < 0.1:  # cut short in the middle, as a full disk leaves it
            line = line[: chance.randrange(len(line) - 4)]
        lines.append(line)
    return lines


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(line: bytes) -> None:
    for name in NAMED:
        try:
            found = read(line, name)
        except ValueError:
            continue
        assert found is None or isinstance(found, Request)


@given(st.binary(max_size=60), st.binary(min_size=1, max_size=60))
def test_what_a_server_escapes_comes_back(user: bytes, agent: bytes) -> None:
    line = b'h - %b [22/Nov/2026:05:13:16 +0000] "GET /x HTTP/1.1" 200 5 "-" "%b"' % (
        _escaped(user),
        _escaped(agent),
    )
    found = read(line)
    assert found is not None
    wanted = "" if user in (b"", b"-") else user.decode("utf-8", "surrogateescape")
    assert (found.user, found.agent) == (wanted, agent.decode("utf-8", "surrogateescape"))


def _escaped(raw: bytes) -> bytes:
    """As Apache's ap_escape_logitem does."""
    named = {b'"': b'\\"', b"\\": b"\\\\", b"\n": b"\\n", b"\t": b"\\t"}
    return b"".join(
        named.get(bytes([code]), bytes([code]) if 32 <= code < 127 else b"\\x%02x" % code) for code in raw
    )


@given(st.binary(max_size=100))
def test_escapes_are_undone(raw: bytes) -> None:
    assert unescape(_escaped(raw)) == raw


@pytest.mark.parametrize("text", ["%{sec}t", "%{msec}t", "%{usec}t", "$msec"])
@pytest.mark.parametrize("digits", [12, 18, 19, 400])
def test_time_beyond_all_calendars_is_no_line_of_the_format(text: str, digits: int) -> None:
    format_ = f'{text} "%r" %>s %b' if "%" in text else f'{text} "$request" $status $body_bytes_sent'
    try:
        found = read(b"9" * digits + b' "GET /x HTTP/1.1" 200 5', format_)
    except ValueError:
        return
    assert found is None or digits == 12


def test_hostile_line_takes_no_longer_than_its_length() -> None:
    reader = FormatReader("combined")
    evil = b"h - " + b"x [22/Nov/2026:05:13:16 +0000] " * 2000 + b'"' + b"\\" * 2001
    begun = time.process_time()
    assert reader.read(evil) is None
    assert time.process_time() - begun < 5
