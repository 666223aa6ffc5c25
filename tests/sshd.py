"""Debian's own sshd with its internal SFTP server: private keys, configuration and folders, on a free loopback port."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from ports import free_port
from waiting import wait_until

_PROGRAM = "/usr/sbin/sshd"
_TRIES_FOR_A_PORT = 5


class Sshd:
    """Everybody who has `key` may log in; what runs is OpenSSH's server, untouched."""

    def __init__(self, folder: Path, *lines: str, sftp: str = "internal-sftp", port: int = 0) -> None:
        if not Path(_PROGRAM).exists():
            pytest.skip("openssh-server is not installed; `setup/packages test` installs it as root.")
        self.folder, self.port = folder, port
        self.folder.mkdir(parents=True, exist_ok=True)
        self.host_key, self.key = self.folder / "host", self.folder / "key"
        self.known_hosts = self.folder / "known_hosts"
        self._lines, self._sftp = lines, sftp
        self._process: subprocess.Popen[bytes] | None = None
        for path in (self.host_key, self.key):
            self.make_key(path)

    @staticmethod
    def make_key(path: Path) -> None:
        path.unlink(missing_ok=True)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)

    def start(self) -> Sshd:
        Path("/run/sshd").mkdir(exist_ok=True)  # where its unprivileged part lives
        for _ in range(_TRIES_FOR_A_PORT):
            self.port = self.port or free_port()
            self._write_config()
            with (self.folder / "log").open("ab") as log:
                command = [
                    "setpriv",
                    "--pdeathsig",
                    "TERM",
                    _PROGRAM,
                    "-D",
                    "-e",
                    "-f",
                    str(self.folder / "config"),
                ]
                self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
            if wait_until(self._answers_or_ended, what="sshd's start") == "answers":
                self.trust()
                return self
            self.port = 0
        raise RuntimeError(f"sshd did not start:\n{(self.folder / 'log').read_text()}")

    def stop(self) -> None:
        """End the server and every session that it has."""
        if self._process:
            self.cut()
            self._process.terminate()
            self._process.wait(60)
            self._process = None

    def cut(self) -> None:
        """Kill the sessions, as a crash of the machine would; the server itself stays."""
        for pid in self.sessions():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue

    def sessions(self) -> list[int]:
        """Every process that serves somebody."""
        assert self._process
        return _descendants(self._process.pid)

    def trust(self) -> None:
        """Write known_hosts, as somebody who compared the fingerprint would."""
        kind, key = self.host_key.with_suffix(".pub").read_text().split()[:2]
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {kind} {key}\n")

    def url(self, path: Path | str, user: str = "root") -> str:
        return f"sftp://{user}@127.0.0.1:{self.port}/{str(path).lstrip('/')}"

    def _write_config(self) -> None:
        lines = [
            f"Port {self.port}",
            "ListenAddress 127.0.0.1",
            f"HostKey {self.host_key}",
            f"AuthorizedKeysFile {self.key}.pub",
            f"PidFile {self.folder}/pid",
            "StrictModes no",
            "UsePAM no",
            "PermitRootLogin yes",
            "MaxStartups 100",
            f"Subsystem sftp {self._sftp}",
            *self._lines,
        ]
        (self.folder / "config").write_text("\n".join(lines) + "\n")

    def _answers_or_ended(self) -> str:
        if self._process is None or self._process.poll() is not None:
            return "ended"
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                return "answers" if connection.recv(4) == b"SSH-" else ""
        except OSError:
            return ""


def _descendants(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    found = []
    for child in map(int, children):
        found.append(child)
        try:
            found += _descendants(child)
        except OSError:
            continue
    return found


@pytest.fixture(scope="session")
def shared_sshd() -> Iterator[Sshd]:
    """One for all tests that neither stop nor cut it."""
    yield from serving_for_long()


def serving_for_long() -> Iterator[Sshd]:
    """A server that outlives a test, in a folder that every account can look into."""
    folder = Path(tempfile.mkdtemp(prefix="dropslot-sshd-"))
    folder.chmod(0o755)
    server = Sshd(folder).start()
    yield server
    server.stop()
    shutil.rmtree(folder)


@pytest.fixture
def make_sshd(open_folder: Path) -> Iterator[Callable[..., Sshd]]:
    """Servers of one's own: `make_sshd("MaxSessions 1", sftp="internal-sftp -P hardlink")`."""
    made: list[Sshd] = []

    def make(*lines: str, sftp: str = "internal-sftp") -> Sshd:
        made.append(Sshd(open_folder / f"sshd-{secrets.token_hex(3)}", *lines, sftp=sftp).start())
        return made[-1]

    yield make
    for server in made:
        server.stop()


def account_lines(user: str, *more: str) -> Sequence[str]:
    """Configuration for one user alone; to be given last."""
    return [f"Match User {user}", *(f"    {line}" for line in more)]
