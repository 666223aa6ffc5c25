"""sshd for a trial: its own keys, a free loopback port, and a second port that is further away."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.disks import run

_PATIENCE_SECONDS = 20


@dataclass(frozen=True)
class Server:
    """`port` is where clients connect to."""

    folder: Path
    port: int

    @property
    def key(self) -> Path:
        return self.folder / "key"

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    @property
    def ssh(self) -> str:
        """As a command for programs that use one."""
        return " ".join(["ssh", "-p", str(self.port), *self.options])

    @property
    def options(self) -> list[str]:
        return ["-i", str(self.key), "-o", f"UserKnownHostsFile={self.known_hosts}", "-o", "BatchMode=yes"]


@contextmanager
def serving(folder: Path, round_trip_seconds: float = 0, bytes_a_second: float = 0) -> Iterator[Server]:
    """A server that ends with the block. `bytes_a_second`: what each connection gets; 0: all."""
    folder.mkdir()
    Path("/run/sshd").mkdir(exist_ok=True)
    for name in ("host", "key"):
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name)
    own, far = _free_port(), _free_port()
    lines = [
        f"Port {own}",
        "ListenAddress 127.0.0.1",
        f"HostKey {folder}/host",
        f"AuthorizedKeysFile {folder}/key.pub",
        f"PidFile {folder}/pid",
        "StrictModes no",
        "UsePAM no",
        "PermitRootLogin yes",
        "Subsystem sftp internal-sftp",
    ]
    (folder / "config").write_text("\n".join(lines) + "\n")
    commands: list[list[str]] = [["/usr/sbin/sshd", "-D", "-f", f"{folder}/config", "-E", f"{folder}/log"]]
    if round_trip_seconds or bytes_a_second:
        repository = str(Path(__file__).parent.parent)
        kind, value = ("limit", bytes_a_second) if bytes_a_second else ("delay", round_trip_seconds)
        between = ["-m", f"benchmarks.{kind}", str(far), str(own), str(value)]
        commands.append(["env", f"PYTHONPATH={repository}", sys.executable, *between])
    port = far if len(commands) > 1 else own
    kind, key = (folder / "host.pub").read_text().split()[:2]
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {kind} {key}\n")
    processes = [subprocess.Popen(command) for command in commands]
    try:
        _wait_for(own)
        _wait_for(port)
        yield Server(folder, port)
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait(20)


def _wait_for(port: int) -> None:
    end = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < end:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
                if connection.recv(4) == b"SSH-":
                    return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"nothing answers on port {port}")


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
