"""DICOM nodes that other people wrote: Debian's Orthanc with its DICOMweb plugin, and dcmtk's storescp. Each is on free
loopback ports, in a folder of its own."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ports import free_port
from waiting import wait_until

_PLUGIN = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"
_TRIES_FOR_A_PORT = 5


def _start(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", *command],
            stdout=output,
            stderr=output,
            start_new_session=True,
            env={**os.environ, "TCP_NODELAY": "1"},
        )


def _stop(process: subprocess.Popen[bytes] | None) -> None:
    if process is not None:
        process.kill()  # it may wait for its peers
        process.wait(60)


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            return True
    except OSError:
        return False


class Orthanc:
    """An archive with the AE title ORTHANC. `settings` are its own."""

    aet = "ORTHANC"

    def __init__(self, folder: Path, **settings: Any) -> None:
        for program in ("/usr/sbin/Orthanc", _PLUGIN):
            if not Path(program).exists():
                pytest.skip(f"{program} is not installed; `setup/packages test` installs it as root.")
        self.folder, self.settings = folder, settings
        self.port = self.web_port = 0
        self.log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True)

    @property
    def to(self) -> str:
        """Its address as a destination."""
        return f"dicom://{self.aet}@127.0.0.1:{self.port}"

    @property
    def web(self) -> str:
        """Its DICOMweb service as a destination."""
        return f"dicomweb+http://127.0.0.1:{self.web_port}/dicom-web"

    def start(self) -> Orthanc:
        for _ in range(_TRIES_FOR_A_PORT):
            self.port, self.web_port = self.port or free_port(), self.web_port or free_port()
            self._write_config()
            self._process = _start(["/usr/sbin/Orthanc", str(self.folder / "config.json")], self.log)
            if wait_until(self._answers_or_ended, deadline_seconds=60, what="Orthanc's start") == "answers":
                return self
            self.port = self.web_port = 0
        raise RuntimeError(f"Orthanc did not start:\n{self.log.read_text()}")

    def stop(self) -> None:
        _stop(self._process)
        self._process = None

    def ask(self, path: str) -> Any:
        """The answer of its REST API: decoded JSON, or bytes."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.web_port}{path}")
        for user, password in self.settings.get("RegisteredUsers", {}).items():
            both = base64.b64encode(f"{user}:{password}".encode()).decode()
            request.add_header("Authorization", f"Basic {both}")
        with urllib.request.urlopen(request, timeout=30) as answer:
            body = answer.read()
            return json.loads(body) if "json" in answer.headers["Content-Type"] else body

    def files(self) -> dict[str, bytes]:
        """Each instance that it has, as a file, by its SOPInstanceUID."""
        found = self.ask("/instances?expand")
        return {
            each["MainDicomTags"]["SOPInstanceUID"]: self.ask(f"/instances/{each['ID']}/file")
            for each in found
        }

    def _write_config(self) -> None:
        settings: dict[str, Any] = {
            "StorageDirectory": str(self.folder / "storage"),
            "IndexDirectory": str(self.folder / "storage"),
            "HttpPort": self.web_port,
            "DicomPort": self.port,
            "DicomAet": self.aet,
            "DicomCheckCalledAet": True,
            "DicomAlwaysAllowFind": True,
            "AuthenticationEnabled": False,
            "RemoteAccessAllowed": False,
            "Plugins": [_PLUGIN],
            "DicomWeb": {"Enable": True},
        }
        (self.folder / "config.json").write_text(json.dumps(settings | self.settings))

    def _answers_or_ended(self) -> str:
        if self._process is None or self._process.poll() is not None:
            return "ended"
        return "answers" if _listens(self.port) and _listens(self.web_port) else ""


class Storescp:
    """dcmtk's receiver with the AE title STORE; it takes any title. `options` are its own."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder, self.options, self.port = folder, options, 0
        self.log = folder / "log"
        self.stored = folder / "stored"
        self.stored.mkdir(parents=True)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def to(self) -> str:
        return f"dicom://STORE@127.0.0.1:{self.port}"

    def start(self) -> Storescp:
        for _ in range(_TRIES_FOR_A_PORT):
            self.port = self.port or free_port()
            where = ["--bit-preserving", "-aet", "STORE", "-od", str(self.stored), str(self.port)]
            self._process = _start(["storescp", *self.options, *where], self.log)
            if wait_until(self._answers_or_ended, what="storescp's start") == "answers":
                return self
            self.port = 0
        raise RuntimeError(f"storescp did not start:\n{self.log.read_text()}")

    def stop(self) -> None:
        _stop(self._process)
        self._process = None

    def files(self) -> list[bytes]:
        return [path.read_bytes() for path in sorted(self.stored.iterdir())]

    def _answers_or_ended(self) -> str:
        if self._process is None or self._process.poll() is not None:
            return "ended"
        return "answers" if _listens(self.port) else ""


@pytest.fixture
def make_orthanc(tmp_path: Path) -> Iterator[Callable[..., Orthanc]]:
    """`make_orthanc(DicomAlwaysAllowStore=False)`."""
    made: list[Orthanc] = []

    def make(**settings: Any) -> Orthanc:
        made.append(Orthanc(tmp_path / f"orthanc{len(made) + 1}", **settings))
        return made[-1].start()

    yield make
    for node in made:
        node.stop()
        shutil.rmtree(node.folder)


@pytest.fixture
def orthanc(make_orthanc: Callable[..., Orthanc]) -> Orthanc:
    """An empty archive that accepts everything."""
    return make_orthanc()


@pytest.fixture
def make_storescp(tmp_path: Path) -> Iterator[Callable[..., Storescp]]:
    """`make_storescp("--accept-all")`."""
    made: list[Storescp] = []

    def make(*options: str) -> Storescp:
        made.append(Storescp(tmp_path / f"storescp{len(made) + 1}", *options))
        return made[-1].start()

    yield make
    for node in made:
        node.stop()
