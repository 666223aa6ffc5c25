"""The portal's server under clients that are slow, wrong or hostile, and at its end."""

from __future__ import annotations

import signal
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.request import urlopen

import pytest
import yaml

from certificates import make_certificate
from portals import Served, lasting
from slow_clients import Raw, many
from waiting import wait_until

SLOW = 200
SIZES = (b"Content-Length: 60000", b"Content-Length: 2000000", b"Transfer-Encoding: chunked")
GET = b"GET /account/login/ HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Served]:
    """A portal that no test stops."""
    with lasting(tmp_path_factory.mktemp("served"), sqlite_template) as made:
        yield made.start()


def _reconfigure(served: Served, **portal: object) -> None:
    content = yaml.safe_load(served.product.config.read_text())
    content["portal"] |= portal
    served.product.config.write_text(yaml.safe_dump(content))


def _others_are_answered(served: Served) -> bool:
    """Within seconds; with all threads taken it would be never."""
    for _ in range(5):
        with urlopen(f"{served.url}/account/login/", timeout=10) as answer:
            if answer.status != 200:
                return False
    return True


@pytest.mark.crash
def test_heads_that_come_byte_by_byte_keep_nobody_waiting_and_end(up: Served) -> None:
    with many(SLOW, up.port, b"GET / HTT") as slow:
        for one in slow:
            one.drip()
        assert _others_are_answered(up)

        def all_closed() -> bool:
            for one in slow:
                one.drip()
            return all(one.is_closed() for one in slow)

        wait_until(all_closed, deadline_seconds=60, what="the end of the slow connections")


@pytest.mark.crash
def test_bodies_that_stall_keep_nobody_waiting_and_end(up: Served) -> None:
    """Of each size more than there are threads."""
    begin = b"POST /account/login/ HTTP/1.1\r\nHost: localhost\r\n%s\r\n\r\n5\r\nlogin"
    with ExitStack() as stack:
        slow = [one for size in SIZES for one in stack.enter_context(many(SLOW // 2, up.port, begin % size))]
        assert _others_are_answered(up)
        wait_until(lambda: all(one.is_closed() for one in slow), deadline_seconds=60, what="their end")


def test_connections_without_a_word_keep_nobody_waiting(up: Served) -> None:
    with many(SLOW, up.port, b""):
        assert _others_are_answered(up)


@pytest.mark.parametrize(
    "wrong",
    [
        b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        b"Content-Length: +5\r\n\r\nhello",
        b"Content-Length: 5, 5\r\n\r\nhello",
        b"Content-Length: -1\r\n\r\n",
        b" folded: x\r\n\r\n",
        b"X: a\r\n b\r\n\r\n",
        b"No colon\r\n\r\n",
        b"X: \x00\r\n\r\n",
    ],
    ids=range(12),
)
def test_a_request_that_servers_may_understand_differently_is_refused(up: Served, wrong: bytes) -> None:
    client = Raw(up.port).send(b"POST /account/login/ HTTP/1.1\r\nHost: localhost\r\n" + wrong)
    assert client.status() in (400, 501)
    client.rest()  # the connection is closed: nothing behind it counts as another request


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", {414}),
        (GET + b"X: " + b"a" * 20_000 + b"\r\n\r\n", {400, 431}),
        (GET + b"".join(b"X-%d: 1\r\n" % number for number in range(2000)) + b"\r\n", {400, 431}),
        (GET + b"X: " + b"a" * 200_000, {431}),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", {400}),
        (b"\r\n\r\n\r\n\r\n", {0, 400}),
        (b"GET / HTTP/9.9\r\n\r\n", {400}),
        (b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n", {400}),
    ],
    ids=["address", "header", "headers", "endless", "tls", "nothing", "version", "host"],
)
def test_a_head_that_is_too_large_or_no_head_is_refused(up: Served, head: bytes, status: set[int]) -> None:
    assert Raw(up.port).send(head).status() in status
    assert _others_are_answered(up)


def test_a_body_that_is_too_large_for_a_form_is_refused(up: Served) -> None:
    client = Raw(up.port)
    client.send(
        b"POST /account/login/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        b"Content-Length: 9000000\r\n\r\nlogin="
    )
    assert client.status() in (400, 403, 413)


def test_a_connection_serves_several_requests_also_in_pieces(up: Served) -> None:
    client = Raw(up.port)
    for _ in range(3):
        for piece in (b"HEAD /account/login/ HT", b"TP/1.1\r\nHost: local", b"host\r\n\r\n"):
            client.send(piece)
        assert client.status() == 200
        wait_until(lambda: _read_head(client), what="the rest of the head")
    client.send(2 * (b"HEAD /account/login/ HTTP/1.1\r\nHost: localhost\r\n\r\n"))
    for _ in range(2):
        assert client.status() == 200
        wait_until(lambda: _read_head(client), what="the rest of the head")


def _read_head(client: Raw) -> bool:
    while client.line() != b"\r\n":
        pass
    return True


def test_clients_that_leave_in_the_middle_harm_nobody(up: Served) -> None:
    for begin in (
        b"",
        b"GET",
        GET,
        GET + b"\r\n",
        b"POST /account/login/ HTTP/1.1\r\nContent-Length: 9000000\r\n\r\na",
    ):
        for reset in (True, False):
            client = Raw(up.port).send(begin)
            if reset:
                client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            client.socket.close()
    assert _others_are_answered(up)
    assert "Traceback" not in (up.product.root / "portal.log").read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_in_time_also_with_an_upload_under_way(served: Served, number: signal.Signals) -> None:
    served.start()
    client = Raw(served.port).send(
        b"POST /account/login/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        b"Content-Length: 2000000\r\n\r\nlogin="
    )
    assert served.process is not None
    served.process.send_signal(number)
    assert served.process.wait(30) == 0
    client.socket.close()
    assert "Traceback" not in (served.product.root / "portal.log").read_text()


def test_ipv6(served: Served) -> None:
    _reconfigure(served, listen=f"[::1]:{served.port}")
    served.process = served.product.start("portal")

    def answers() -> bool:
        try:
            return Raw(served.port, "::1").send(GET.replace(b"localhost", b"[::1]") + b"\r\n").status() == 200
        except OSError:
            return False

    wait_until(answers, deadline_seconds=60, what="the answer")


@pytest.fixture
def with_tls(served: Served, tmp_path: Path) -> Iterator[Path]:
    certificate = make_certificate(tmp_path / "tls", "first")
    _reconfigure(served, certificate=str(certificate), key=str(certificate.with_suffix(".key")))
    served.process = served.product.start("portal")
    wait_until(lambda: _common_name(served), deadline_seconds=60, what="the answer")
    yield certificate


def _context(**limits: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    for name, value in limits.items():
        setattr(context, name, value)
    return context


def _common_name(served: Served) -> str:
    from cryptography.x509 import load_der_x509_certificate

    try:
        client = Raw(served.port, tls=_context())
    except OSError:
        return ""
    client.send(GET + b"\r\n")
    assert client.status() == 200
    found = load_der_x509_certificate(client.socket.getpeercert(binary_form=True))  # type: ignore[attr-defined]
    client.socket.close()
    return found.subject.rfc4514_string()


def test_a_renewed_certificate_is_used_at_once(served: Served, with_tls: Path) -> None:
    assert _common_name(served) == "CN=first"
    make_certificate(with_tls.parent, "second")
    wait_until(lambda: _common_name(served) == "CN=second", what="the renewed certificate")


def test_a_spoilt_renewal_changes_nothing(served: Served, with_tls: Path) -> None:
    with_tls.write_text("no certificate")
    assert _common_name(served) == "CN=first"
    assert "renewed certificate cannot be used" in (served.product.root / "portal.log").read_text()


def test_old_tls_and_plain_http_are_refused_and_slow_handshakes_keep_nobody_waiting(
    served: Served, with_tls: Path
) -> None:
    assert Raw(served.port, tls=_context(maximum_version=ssl.TLSVersion.TLSv1_2)).socket
    with (
        pytest.raises(OSError, match=r"(?i)ssl|tls|version|protocol|reset"),
        pytest.warns(DeprecationWarning),
    ):
        Raw(
            served.port,
            tls=_context(minimum_version=ssl.TLSVersion.TLSv1, maximum_version=ssl.TLSVersion.TLSv1_1),
        )
    assert Raw(served.port).send(GET + b"\r\n").status() == 0
    with many(SLOW, served.port, b"\x16\x03\x01\x02\x00\x01"):
        assert _common_name(served) == "CN=first"
