"""Uploads by clients of others to a portal that really runs, and what a killed portal or a full disk does to them."""

from __future__ import annotations

import asyncio
import http.client
import io
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import aiotus
import pytest
from tusclient.client import TusClient

from mounts import Mounts
from portals import PASSWORD, Served, installed
from product import Product
from tusing import BODY, TUS, metadata, signed_in
from waiting import wait_until


@pytest.fixture
def portal(served: Served) -> Served:
    served.account("sam", "sender")
    return served.start()


def _headers(served: Served) -> dict[str, str]:
    return signed_in(served.url, "sam", PASSWORD)


def _inbox(served: Served, route: str = "results") -> Path:
    return served.product.folder("inbox", route)


def test_tuspy_uploads_in_pieces_with_checksums(portal: Served, tmp_path: Path) -> None:
    data = os.urandom(2_500_000)
    client = TusClient(f"{portal.url}{TUS}", headers=_headers(portal))
    uploader = client.uploader(
        file_stream=io.BytesIO(data),
        chunk_size=1_000_000,
        metadata={"route": "results", "filename": "north-1.pdf"},
        upload_checksum=True,
    )
    uploader.upload()
    assert (_inbox(portal) / "north-1.pdf").read_bytes() == data


def test_aiotus_uploads(portal: Served) -> None:
    data = os.urandom(9_000_000)
    said = {"route": b"results", "filename": "north-é.pdf".encode()}
    address = asyncio.run(
        aiotus.upload(
            f"{portal.url}{TUS}", io.BytesIO(data), said, headers=_headers(portal), chunksize=1_000_000
        )
    )
    assert address is not None
    assert (_inbox(portal) / "north-é.pdf").read_bytes() == data


_NODE = """
const tus = require("tus-js-client");
const [endpoint, headers, size] = [process.argv[2], JSON.parse(process.argv[3]), Number(process.argv[4])];
const upload = new tus.Upload(Buffer.alloc(size, "x"), {
  endpoint, headers, chunkSize: 1000000, uploadDataDuringCreation: true, retryDelays: [100, 1000],
  metadata: {route: "study", filename: "scan.nii", relativePath: "visit/series é/scan.nii", batch: "from-node"},
  onError: (error) => { console.error(String(error)); process.exit(1); },
  onSuccess: () => console.log(upload.url),
});
upload.start();
"""


@pytest.fixture(scope="session")
def node_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tus-js-client, which npm brings."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("node and npm are not installed")
    folder = tmp_path_factory.mktemp("node")
    command = ["npm", "install", "--silent", "--no-audit", "--no-fund", "tus-js-client@4"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=180)
    if done.returncode:
        pytest.skip(f"npm cannot install tus-js-client here: {done.stderr[-200:]}")
    return folder


@pytest.mark.may_skip(reason="npm's registry may not be reached")
def test_tus_js_client_sends_a_file_of_a_folder(portal: Served, node_modules: Path) -> None:
    script = node_modules / "send.js"
    script.write_text(_NODE)
    headers = _headers(portal)
    command = ["node", str(script), f"{portal.url}{TUS}", json.dumps(headers), "2500000"]
    done = subprocess.run(command, cwd=node_modules, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    content = {"route": "study", "name": "heart-1", "files": 1}
    status, answer = _post(portal, headers, f"{TUS}batches/from-node/finish", content)
    assert (status, answer["files"]) == (200, 1)
    sent = _inbox(portal, "study") / "heart-1" / "series é" / "scan.nii"
    assert sent.read_bytes() == b"x" * 2_500_000


def _post(
    served: Served, headers: Mapping[str, str], address: str, content: object
) -> tuple[int, dict[str, object]]:
    status, _, body = _send(
        served, "POST", address, {**headers, "Content-Type": "application/json"}, json.dumps(content).encode()
    )
    return status, json.loads(body)


def _send(
    served: Served, method: str, address: str, headers: Mapping[str, str], data: bytes = b""
) -> tuple[int, http.client.HTTPMessage, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=120)
    try:
        said = {"Tus-Resumable": "1.0.0", **headers}
        connection.request(method, address, data or None, said)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def _create(served: Served, headers: Mapping[str, str], length: int, name: str = "north-1.pdf") -> str:
    said = metadata(route="results", filename=name)
    more = {"Upload-Length": str(length), "Upload-Metadata": said}
    status, found, body = _send(served, "POST", TUS, {**headers, **more})
    assert status == 201, body
    return urlsplit(str(found["Location"])).path


def _patch(
    served: Served, headers: Mapping[str, str], address: str, offset: int, data: bytes
) -> tuple[int, dict[str, object]]:
    more = {"Upload-Offset": str(offset), "Content-Type": BODY}
    status, _, body = _send(served, "PATCH", address, {**headers, **more}, data)
    return status, json.loads(body) if body else {}


def _offset(served: Served, headers: Mapping[str, str], address: str) -> int:
    """Once the portal has done with an earlier request."""

    def answer() -> http.client.HTTPMessage | None:
        status, found, _ = _send(served, "HEAD", address, headers)
        assert status in (200, 423)
        return found if status == 200 else None

    found = wait_until(answer, what="the end of an earlier request")
    assert found
    return int(found["Upload-Offset"])


def _wait_for_bytes(served: Served, address: str, size_bytes: int) -> None:
    """Until so much is there of an upload that is under way."""
    received = _inbox(served) / f".dropslot-upload-{address.split('/')[-2]}" / "data" / "north-1.pdf"
    wait_until(lambda: received.stat().st_size >= size_bytes, what="the first bytes")


def _begin_patch(
    served: Served, headers: Mapping[str, str], address: str, length: int
) -> http.client.HTTPConnection:
    """A request whose body is still to come."""
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=120)
    connection.putrequest("PATCH", address)
    said = {
        "Tus-Resumable": "1.0.0",
        "Upload-Offset": "0",
        "Content-Type": BODY,
        "Content-Length": str(length),
    }
    for key, value in {**headers, **said}.items():
        connection.putheader(key, value)
    connection.endheaders()
    return connection


def test_an_upload_goes_on_after_the_portal_was_killed_in_the_middle(portal: Served) -> None:
    data = os.urandom(8_000_000)
    headers = _headers(portal)
    address = _create(portal, headers, len(data))
    connection = _begin_patch(portal, headers, address, len(data))
    connection.send(data[:5_000_000])
    _wait_for_bytes(portal, address, 3_000_000)
    assert portal.process is not None
    os.killpg(portal.process.pid, signal.SIGKILL)
    portal.process.wait()
    connection.close()
    portal.start()
    at = _offset(portal, headers, address)
    assert 3_000_000 <= at < len(data)
    assert _patch(portal, headers, address, at, data[at:])[0] == 204
    assert (_inbox(portal) / "north-1.pdf").read_bytes() == data


def test_what_came_before_a_cut_is_kept_and_its_lock_is_free(portal: Served) -> None:
    data = os.urandom(4_000_000)
    headers = _headers(portal)
    address = _create(portal, headers, len(data))
    connection = _begin_patch(portal, headers, address, len(data))
    connection.send(data[:2_500_000])
    _wait_for_bytes(portal, address, 1_000_000)
    connection.close()
    at = _offset(portal, headers, address)
    assert at == 2_500_000  # nothing that had come is sent again
    assert _patch(portal, headers, address, at, data[at:])[0] == 204
    assert (_inbox(portal) / "north-1.pdf").read_bytes() == data


def test_two_requests_for_one_upload_do_not_write_at_once(portal: Served) -> None:
    headers = _headers(portal)
    address = _create(portal, headers, 3_000_000)
    connection = _begin_patch(portal, headers, address, 3_000_000)
    connection.send(bytes(2_000_000))
    _wait_for_bytes(portal, address, 1_000_000)
    status, said = _patch(portal, headers, address, 1_000_000, b"other")
    assert status == 423, said
    assert said["next_step"]
    assert _send(portal, "HEAD", address, headers)[0] == 423
    connection.send(bytes(1_000_000))
    assert connection.getresponse().status == 204
    connection.close()
    assert (_inbox(portal) / "north-1.pdf").read_bytes() == bytes(3_000_000)


def test_a_full_disk_is_said_and_the_upload_goes_on_when_there_is_room(
    sqlite_product: Product, mounts: Mounts
) -> None:
    disk = mounts.tmpfs("8m")
    for name in ("inbox", "processing", "done", "failed"):
        (disk / name).mkdir()
    route = {
        "folders": str(disk),
        "takes": "files",
        "deliver": [{"to": str(sqlite_product.root / "clinics")}],
    }
    served = installed(sqlite_product, {"results": route})
    served.account("sam", "sender")
    served.start()
    data = os.urandom(5_000_000)
    headers = _headers(served)
    other = disk / "other"
    other.write_bytes(bytes(5_000_000))
    address = _create(served, headers, len(data))
    status, said = _patch(served, headers, address, 0, data)
    assert status == 507
    assert "free space" in str(said["next_step"])
    other.unlink()
    at = _offset(served, headers, address)
    assert _patch(served, headers, address, at, data[at:])[0] == 204
    assert (disk / "inbox" / "north-1.pdf").read_bytes() == data


def test_a_large_upload_needs_no_memory(portal: Served) -> None:
    headers = _headers(portal)
    length, piece = 1_000_000_000, os.urandom(1_000_000)
    _patch(portal, headers, _create(portal, headers, len(piece), "north-0.pdf"), 0, piece)
    address = _create(portal, headers, length)
    before = _memory(portal)
    connection = _begin_patch(portal, headers, address, length)
    for _ in range(length // len(piece)):
        connection.send(piece)
    assert connection.getresponse().status == 204
    connection.close()
    assert _memory(portal) - before < 40_000_000
    assert (_inbox(portal) / "north-1.pdf").stat().st_size == length


def _memory(served: Served) -> int:
    """The largest resident size that any process of the portal has had, in bytes."""
    assert served.process is not None
    peaks = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            group = int((folder / "stat").read_text().rpartition(")")[2].split()[2])
            lines = (folder / "status").read_text().splitlines()
        except (OSError, ValueError):
            continue
        if group == served.process.pid:
            peaks += [int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")]
    return max(peaks)
