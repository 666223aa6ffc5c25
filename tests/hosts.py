"""Machines, as far as a test needs them: each with a network and a name of its own, on this machine's kernel. Needs
root."""

from __future__ import annotations

import itertools
import os
import select
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from people import Program, program

_numbers = itertools.count(1)
_SET_UP = 'hostname "$0" && while [ "$1" != -- ]; do mount -t tmpfs none "$1" && shift || exit; done; shift; exec "$@"'


class Host:
    """A machine that reaches the test's machine, and a port there, through one cable."""

    def __init__(self, port: int) -> None:
        number = next(_numbers)
        self.name = f"ds{os.getpid() % 100000}n{number}"
        net = f"198.18.{os.getpid() % 256}.{4 * number}"
        self.address = (
            net.rpartition(".")[0] + f".{4 * number + 1}"
        )  # of the test's machine, as this one sees it
        _run("ip", "netns", "add", self.name)
        _run("ip", "link", "add", f"v{self.name}"[:15], "type", "veth", "peer", "eth0", "netns", self.name)
        self._cable = f"v{self.name}"[:15]
        _run("ip", "address", "add", f"{self.address}/30", "dev", self._cable)
        _run("ip", "link", "set", self._cable, "up")
        own = net.rpartition(".")[0] + f".{4 * number + 2}"
        for words in (("address", "add", f"{own}/30", "dev", "eth0"), ("link", "set", "lo", "up")):
            _run("ip", "-n", self.name, *words)
        self.join()
        self._server = socket.create_server((self.address, 0))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=_accept, args=(self._server, port), daemon=True).start()

    def program(self, *hidden: Path) -> Program:
        """How dropslot is started there, where these folders are empty."""
        there = ["ip", "netns", "exec", self.name, "unshare", "--uts", "sh", "-c", _SET_UP]
        usual = program()
        return Program([*there, self.name, *map(str, hidden), "--", *usual.command], usual.environment)

    def cut(self) -> None:
        """Pull the cable: connections hang, nothing is refused."""
        _run("ip", "-n", self.name, "link", "set", "eth0", "down")

    def join(self) -> None:
        """Put it in again."""
        _run("ip", "-n", self.name, "link", "set", "eth0", "up")

    def rename(self, name: str, process: int) -> None:
        """Give the machine on which this process runs another name."""
        _run("nsenter", "--uts", "--target", str(process), "hostname", name)

    def close(self) -> None:
        self._server.close()
        subprocess.run(["ip", "link", "delete", self._cable], check=False, capture_output=True)
        _run("ip", "netns", "delete", self.name)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=20)


def _accept(server: socket.socket, port: int) -> None:
    with suppress(OSError):  # closed
        while True:
            theirs, _ = server.accept()
            try:
                ours = socket.create_connection(("127.0.0.1", port))
            except OSError:  # nobody listens now
                theirs.close()
                continue
            threading.Thread(target=_pass_on, args=(theirs, ours), daemon=True).start()


def _pass_on(one: socket.socket, other: socket.socket) -> None:
    with one, other, suppress(OSError):
        while True:
            for ready in select.select([one, other], [], [])[0]:
                if not (data := ready.recv(65536)):
                    return
                (other if ready is one else one).sendall(data)


class Hosts:
    """Makes them; all are gone afterwards."""

    def __init__(self, ended: ExitStack) -> None:
        self._ended = ended

    def __call__(self, port: int) -> Host:
        host = Host(port)
        self._ended.callback(host.close)
        return host


@pytest.fixture
def hosts() -> Iterator[Hosts]:
    """Machines with networks of their own: `hosts(port)` reaches this port of the loopback at its `address`, `port`."""
    if os.geteuid() != 0:
        pytest.skip("only root can make networks")
    with ExitStack() as ended:
        yield Hosts(ended)
