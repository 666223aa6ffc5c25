"""A body comes to the application as it is sent, in memory that does not grow with it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import counting_server
from inherited import environment
from ports import free_port
from slow_clients import Raw
from waiting import wait_until

MEGABYTE = 1_000_000
LARGE = 300 * MEGABYTE
SOURCE = Path(__file__).parents[2] / "src"


@pytest.fixture
def counting() -> Iterator[tuple[int, int]]:
    """The port and the process id of a server that counts."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, counting_server.__file__, str(port)], env=environment() | {"PYTHONPATH": str(SOURCE)}
    )

    def answers() -> bool:
        try:
            return Raw(port).send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").status() == 200
        except OSError:
            return False

    try:
        wait_until(answers, what="the server")
        yield port, process.pid
    finally:
        process.kill()
        process.wait()


def _peak(pid: int) -> int:
    """The most memory that it had, in bytes."""
    [line] = [
        line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")
    ]
    return int(line.split()[1]) * 1024


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


@pytest.mark.parametrize("how", ["length", "chunked"])
def test_a_large_body_is_read_in_flat_memory(counting: tuple[int, int], how: str) -> None:
    port, pid = counting
    before = _peak(pid)
    size = b"Transfer-Encoding: chunked" if how == "chunked" else b"Content-Length: %d" % LARGE
    client = Raw(port).send(b"PUT / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + size + b"\r\n\r\n")
    piece = bytes(MEGABYTE)
    for _ in range(LARGE // MEGABYTE):
        client.send(_chunk(piece) if how == "chunked" else piece)
    if how == "chunked":
        client.send(b"0\r\n\r\n")
    assert client.status() == 200
    assert client.rest().endswith(b"\r\n\r\n%d" % LARGE)
    assert _peak(pid) - before < 20 * MEGABYTE


def test_a_body_that_ends_early_leaves_what_came(counting: tuple[int, int]) -> None:
    port, _ = counting
    client = Raw(port).send(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" + bytes(70_000))
    client.socket.shutdown(1)
    assert client.status() == 200
    assert client.rest().endswith(b"70000")


def test_the_rest_of_a_body_that_was_not_read_is_no_request(counting: tuple[int, int]) -> None:
    port, _ = counting
    hidden = b"GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n"
    client = Raw(port).send(
        b"PUT /early HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n"
        + hidden
        + bytes(200_000 - len(hidden))
    )
    assert client.status() == 200
    assert client.rest().count(b"HTTP/1.1") == 0
