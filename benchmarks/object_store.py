"""SeaweedFS for a trial: free loopback ports, a folder of its own, one bucket."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KEY, SECRET, BUCKET = "bench", "of-no-worth", "bench"
_PROGRAM = str(Path(sys.executable).with_name("weed"))
_TRIES = 3
_PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class ObjectStore:
    """`port` is where clients connect to."""

    port: int

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self) -> Any:
        """The SDK's client."""
        import botocore.session
        from botocore.config import Config

        session = botocore.session.Session()
        session.set_credentials(KEY, SECRET)
        config = Config(s3={"addressing_style": "path"}, connect_timeout=2, read_timeout=10)
        return session.create_client("s3", "us-east-1", endpoint_url=self.endpoint, config=config)

    def holds(self, prefix: str) -> tuple[int, int]:
        """How many objects there are below a prefix, and their bytes; manifests and the trial do not count."""
        pages = self.client().get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        found = [each for page in pages for each in page.get("Contents", ())]
        sizes = [each["Size"] for each in found if "/.dropslot/" not in each["Key"]]
        return len(sizes), sum(sizes)


@contextmanager
def storing(folder: Path) -> Iterator[ObjectStore]:
    """A store that ends with the block."""
    (folder / "data").mkdir(parents=True)
    identity = {
        "name": "bench",
        "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
        "actions": ["Admin", "Read", "List", "Write", "Tagging"],
    }
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    started = next(filter(None, (_started(folder) for _ in range(_TRIES))), None)
    if started is None:
        raise RuntimeError(f"SeaweedFS does not start: {(folder / 'log').read_text()[-2000:]}")
    process, store = started
    try:
        yield store
    finally:
        _end(process)


def _started(folder: Path) -> tuple[subprocess.Popen[bytes], ObjectStore] | None:
    """None: it has ended, or does not answer. Somebody else may have taken one of its ports meanwhile."""
    store = ObjectStore(_free_port())
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(_command(folder, store), stdout=log, stderr=log, cwd=folder)
    if _answers(process, store):
        return process, store
    _end(process)
    return None


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait(20)


def _command(folder: Path, store: ObjectStore) -> list[str]:
    parts = ("master", "volume", "filer")
    ports = [f"-{part}.port{kind}={_free_port()}" for part in parts for kind in ("", ".grpc")]
    s3 = [f"-s3.port={store.port}", f"-s3.port.grpc={_free_port()}", f"-s3.config={folder / 's3.json'}"]
    more = [
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-volume.max=0",
        "-master.volumeSizeLimitMB=1024",
        "-master.telemetry=false",
    ]
    return [
        _PROGRAM,
        "server",
        f"-dir={folder / 'data'}",
        "-ip=127.0.0.1",
        "-filer",
        "-s3",
        *ports,
        *s3,
        *more,
    ]


def _answers(process: subprocess.Popen[bytes], store: ObjectStore) -> bool:
    """Wait until it does: its parts find each other some time after they listen."""
    end = time.monotonic() + _PATIENCE_SECONDS
    while process.poll() is None and time.monotonic() < end:
        try:
            store.client().create_bucket(Bucket=BUCKET)
        except Exception:  # noqa: BLE001 - whatever it is, it is not ready
            time.sleep(0.2)
        else:
            return True
    return False


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
