"""Logs behind SFTP, read from a real sshd."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from dropslot.acknowledgments.remote import RemoteFolder
from dropslot.acknowledgments.rotation import Mark, parts
from dropslot.acknowledgments.sources import LogUnready
from waiting import wait_until

_CONFIGURATION = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
PidFile none
AuthorizedKeysFile {folder}/authorized
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin yes
Subsystem sftp internal-sftp
"""


class Server:
    """sshd with one host key and one key that may log in."""

    def __init__(self) -> None:
        self._program = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
        if self._program is None:
            pytest.skip("sshd is not installed; `setup/packages test` installs it as root.")
        self.folder = Path(tempfile.mkdtemp(prefix="dropslot-sshd-"))
        for name in ("host", "key"):
            _make_key(self.folder / name)
        shutil.copy(self.folder / "key.pub", self.folder / "authorized")
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self.port = listener.getsockname()[1]
        host_key = (self.folder / "host.pub").read_text()
        self.known_hosts = self.folder / "known_hosts"
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {host_key}")
        (self.folder / "sshd.conf").write_text(_CONFIGURATION.format(folder=self.folder, port=self.port))
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        command = [self._program, "-D", "-e", "-f", str(self.folder / "sshd.conf")]
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(["setpriv", "--pdeathsig", "TERM", *command], stderr=log)
        wait_until(self._answers, what="sshd's start")

    def url(self, path: Path) -> str:
        return f"sftp://{pwd.getpwuid(os.geteuid()).pw_name}@127.0.0.1:{self.port}{path}"

    def open(self, path: Path, known_hosts: Path | None = None, key: str = "key") -> RemoteFolder:
        return RemoteFolder(self.url(path), str(self.folder / key), str(known_hosts or self.known_hosts))

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(20)
        shutil.rmtree(self.folder)

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 5).close()
        except OSError:
            assert self._process.poll() is None, (self.folder / "log").read_text()
            return False
        return True


def _make_key(path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.stop()


def test_remote_log_is_read_from_an_offset_and_through_rotation(server: Server, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_bytes(b"one\ntwo\n")
    with server.open(log) as source:
        [part] = parts(source, [])
        assert (part.file.size(), part.file.read(4, 100)) == (8, b"two\n")
        mark = Mark().moved(part.file, 8, skipping=False)
    log.rename(tmp_path / "access.log.1")
    subprocess.run(["gzip", str(tmp_path / "access.log.1")], check=True)
    log.write_bytes(b"three\n")
    with server.open(log) as source:
        assert [(part.name, part.known) for part in parts(source, [mark])] == [
            ("access.log.1.gz", True), ("access.log", False),
        ]  # fmt: skip


def test_log_that_is_not_there_is_told_apart(server: Server, tmp_path: Path) -> None:
    with server.open(tmp_path / "none.log") as source, pytest.raises(FileNotFoundError):
        source.open("none.log")


def test_host_whose_key_is_unknown_or_another_is_refused(server: Server, tmp_path: Path) -> None:
    unknown, changed = tmp_path / "unknown", tmp_path / "changed"
    unknown.write_text("")
    _make_key(tmp_path / "other")
    changed.write_text(f"[127.0.0.1]:{server.port} {(tmp_path / 'other.pub').read_text()}")
    for known_hosts in (unknown, changed):
        with (
            server.open(tmp_path / "x", known_hosts) as source,
            pytest.raises(LogUnready, match="known_hosts") as caught,
        ):
            source.names()
        assert "ssh-keyscan" in caught.value.next_step
        assert caught.value.retryable


def test_key_that_may_not_log_in_is_told(server: Server, tmp_path: Path) -> None:
    _make_key(server.folder / "stranger")
    with (
        server.open(tmp_path / "x", key="stranger") as source,
        pytest.raises(LogUnready, match="refused the login"),
    ):
        source.names()


def test_server_that_is_away_is_told_and_tried_again(server: Server, tmp_path: Path) -> None:
    source = server.open(tmp_path / "x")
    (tmp_path / "x").write_text("x\n")
    assert "x" in source.names()
    source.close()
    away = RemoteFolder("sftp://nobody@127.0.0.1:1/x", None, str(server.known_hosts))
    with away, pytest.raises(LogUnready, match="cannot be read") as caught:
        away.names()
    assert caught.value.retryable
