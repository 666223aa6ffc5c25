"""Object stores that other people wrote: SeaweedFS, which keeps conditions, and `rclone serve s3`, which ignores them.

Each is on free loopback ports, in a folder of its own.
"""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ports import free_port
from waiting import wait_until

KEY, SECRET = "dropslot-tests", "of-no-worth"
BUCKET = "lab"
_TRIES_FOR_A_PORT = 5


def program(name: str) -> str:
    """One that a package of PyPI has put beside Python."""
    return str(Path(sys.executable).with_name(name))


class ObjectStore(ABC):
    """A server with one bucket."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, 0
        self.log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self._looking: Any = None
        folder.mkdir(parents=True, exist_ok=True)

    @abstractmethod
    def command(self) -> list[str]:
        """The server's command line; `port` is chosen already."""

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def keys(self) -> dict[str, Any]:
        """What an entry of `deliver` needs besides `to`; the environment has the secrets."""
        return {"endpoint": self.endpoint, "access_key": "STORE_KEY", "secret_key": "STORE_SECRET"}

    def client(self, **settings: Any) -> Any:
        """The SDK's client, to look from outside."""
        import botocore.session  # takes a while
        from botocore.config import Config

        session = botocore.session.Session()
        session.set_credentials(KEY, SECRET)
        config = Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}, **settings)
        return session.create_client("s3", "us-east-1", endpoint_url=self.endpoint, config=config)

    def start(self) -> ObjectStore:
        for _ in range(_TRIES_FOR_A_PORT):
            self.port = self.port or free_port()
            with self.log.open("ab") as log:
                self._process = subprocess.Popen(
                    ["setpriv", "--pdeathsig", "KILL", *self.command()],
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    cwd=self.folder,
                )
            if (
                wait_until(self._answers_or_ended, deadline_seconds=60, what=f"the start of {self}")
                == "answers"
            ):
                return self
            self.port = 0
        raise RuntimeError(f"{self} did not start:\n{self.log.read_text()[-3000:]}")

    def stop(self) -> None:
        if self._process:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait(60)
            self._process = None

    def freeze(self) -> None:
        """It answers nothing until it is thawed."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGCONT)

    def _answers_or_ended(self) -> str:
        if self._process is None or self._process.poll() is not None:
            return "ended"
        return "answers" if _listens(self.port) and self._is_ready() else ""

    def _is_ready(self) -> bool:
        return True

    # What others see and do there

    @property
    def _outside(self) -> Any:
        """A client that is kept: to make one takes a third of a second."""
        self._looking = self._looking or self.client()
        return self._looking

    def put(self, key: str, data: bytes) -> None:
        self._outside.put_object(Bucket=BUCKET, Key=key, Body=data)

    def get(self, key: str) -> bytes:
        data: bytes = self._outside.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return data

    def remove(self, key: str) -> None:
        self._outside.delete_object(Bucket=BUCKET, Key=key)

    def list_keys(self, prefix: str = "") -> list[str]:
        pages = self._outside.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return [each["Key"] for page in pages for each in page.get("Contents", ())]

    def uploads(self, prefix: str = "") -> list[str]:
        found = self._outside.list_multipart_uploads(Bucket=BUCKET, Prefix=prefix)
        return [each["Key"] for each in found.get("Uploads", ())]


class SeaweedFS(ObjectStore):
    """`weed server -s3`, in one process."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        identity = {
            "name": "dropslot",
            "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
            "actions": ["Admin", "Read", "List", "Write", "Tagging"],
        }
        (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
        (folder / "data").mkdir(exist_ok=True)

    def command(self) -> list[str]:
        parts = ("master", "volume", "filer")
        ports = [f"-{part}.port{kind}={free_port()}" for part in parts for kind in ("", ".grpc")]
        return [
            program("weed"),
            "server",
            f"-dir={self.folder / 'data'}",
            "-ip=127.0.0.1",
            *ports,
            "-filer",
            "-s3",
            f"-s3.port={self.port}",
            f"-s3.port.grpc={free_port()}",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            f"-s3.config={self.folder / 's3.json'}",
            "-volume.max=0",
            "-master.volumeSizeLimitMB=1024",
            "-volume.preStopSeconds=0",
            "-master.telemetry=false",
            "-s3.autoCreateBucket=false",
        ]

    def _is_ready(self) -> bool:
        """Whether it takes an object: its parts find each other some time after they listen."""
        client = self.client(connect_timeout=2, read_timeout=5)
        try:
            client.create_bucket(Bucket=BUCKET)
        except (client.exceptions.BucketAlreadyOwnedByYou, client.exceptions.BucketAlreadyExists):
            pass
        except Exception:  # noqa: BLE001 - it is asked again until the deadline
            return False
        return True


class RcloneStore(ObjectStore):
    """`rclone serve s3`: a folder of this machine as a store; by TLS with a certificate, whose key lies beside it."""

    def __init__(self, folder: Path, certificate: Path | None = None) -> None:
        super().__init__(folder)
        self.certificate = certificate

    @property
    def endpoint(self) -> str:
        return super().endpoint.replace("http:", "https:") if self.certificate else super().endpoint

    def command(self) -> list[str]:
        (self.folder / "data" / BUCKET).mkdir(parents=True, exist_ok=True)
        where = ["--addr", f"127.0.0.1:{self.port}", "--auth-key", f"{KEY},{SECRET}"]
        if self.certificate:
            where += ["--cert", str(self.certificate), "--key", str(self.certificate.with_suffix(".key"))]
        return [program("rclone"), "serve", "s3", "--config", "", *where, str(self.folder / "data")]


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            return True
    except OSError:
        return False


@pytest.fixture(scope="session")
def shared_store() -> Iterator[ObjectStore]:
    """SeaweedFS for all tests that neither stop nor freeze it; each keeps to prefixes of its own."""
    yield from serving_objects(SeaweedFS)


@pytest.fixture(scope="session")
def careless_store() -> Iterator[ObjectStore]:
    """A store that ignores If-None-Match."""
    yield from serving_objects(RcloneStore)


def serving_objects(kind: Callable[[Path], ObjectStore]) -> Iterator[ObjectStore]:
    """A store that outlives a test."""
    folder = Path(tempfile.mkdtemp(prefix="dropslot-store-"))
    store = kind(folder).start()
    yield store
    store.stop()
    shutil.rmtree(folder)


@pytest.fixture
def make_store(tmp_path: Path) -> Iterator[Callable[[], SeaweedFS]]:
    """Stores of one's own, to be stopped, frozen and started again."""
    made: list[SeaweedFS] = []

    def make() -> SeaweedFS:
        made.append(SeaweedFS(tmp_path / f"store{len(made)}"))
        made[-1].start()
        return made[-1]

    yield make
    for store in made:
        store.stop()


@pytest.fixture
def store_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of whoever delivers into one of these stores."""
    monkeypatch.setenv("STORE_KEY", KEY)
    monkeypatch.setenv("STORE_SECRET", SECRET)
