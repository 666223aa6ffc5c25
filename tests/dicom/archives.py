"""Archives that a test starts: dcmtk's dcmqrscp and Debian's Orthanc, each on a free port in a folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from ports import free_port
from waiting import wait_until

AET = "ARCHIVE"


@dataclass(frozen=True)
class Archive:
    """A running archive. `knows`: the port of DROPSLOT, which it can send to."""

    port: int
    web_port: int = 0
    pid: int = 0

    @property
    def address(self) -> str:
        return f"{AET}@127.0.0.1:{self.port}"

    def store(self, paths: Sequence[Path]) -> None:
        subprocess.run(
            ["storescu", "-aec", AET, "127.0.0.1", str(self.port), *map(str, paths)],
            check=True,
            timeout=60,
            env=os.environ | {"TCP_NODELAY": "1"},
        )

    def move(self, study_uid: str, to: str, by: str) -> None:
        """A C-MOVE of a study that the AE title `by` asks for."""
        keys = ["-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study_uid}"]
        subprocess.run(
            ["movescu", "-S", "-aet", by, "-aec", AET, "-aem", to, *keys, "127.0.0.1", str(self.port)],
            check=True,
            capture_output=True,
            timeout=60,
            env=os.environ | {"TCP_NODELAY": "1"},
        )


@contextmanager
def dcmqrscp(folder: Path, knows: int) -> Iterator[Archive]:
    """dcmtk's archive; its database is FOLDER/db."""
    port = free_port()
    (folder / "db").mkdir(parents=True)
    (folder / "dcmqrscp.cfg").write_text(
        f"NetworkTCPPort = {port}\nMaxPDUSize = 131072\nMaxAssociations = 16\n"
        f"HostTable BEGIN\nus = (DROPSLOT, 127.0.0.1, {knows})\nHostTable END\n"
        "VendorTable BEGIN\nVendorTable END\n"
        f"AETable BEGIN\n{AET} {folder}/db RW (200, 1024mb) ANY\nAETable END\n"
    )
    yield from _running(["dcmqrscp", "-c", str(folder / "dcmqrscp.cfg")], folder, Archive(port))


@contextmanager
def orthanc(folder: Path, knows: int, port: int = 0) -> Iterator[Archive]:
    """Debian's Orthanc, without authentication on the loopback. A folder that it had before has its images."""
    folder.mkdir(parents=True, exist_ok=True)
    archive = Archive(port or free_port(), free_port())
    modality = {"AET": "DROPSLOT", "Host": "127.0.0.1", "Port": knows, "AllowStorageCommitment": True}
    settings = {
        "Name": "test",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "DicomAet": AET,
        "DicomPort": archive.port,
        "HttpPort": archive.web_port,
        "AuthenticationEnabled": False,
        "RemoteAccessAllowed": False,
        "DicomModalities": {"dropslot": modality},
        "DicomAlwaysAllowGet": True,
        "DicomAlwaysAllowFind": True,
        "DicomAlwaysAllowMove": True,
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    yield from _running(["Orthanc", str(folder / "orthanc.json")], folder, archive)


def _running(words: Sequence[str], folder: Path, archive: Archive) -> Iterator[Archive]:
    with (folder / "log").open("a") as log:
        process = subprocess.Popen(words, stdout=log, stderr=subprocess.STDOUT, cwd=folder)
    try:
        wait_until(lambda: _answers(archive.port), deadline_seconds=60, what="an answer of the archive")
        yield replace(archive, pid=process.pid)
    finally:
        process.terminate()
        process.wait(60)


def _answers(port: int) -> bool:
    words = ["echoscu", "-aec", AET, "127.0.0.1", str(port)]
    return subprocess.run(words, capture_output=True, timeout=20, check=False).returncode == 0
