"""The files of one bag on their way to a portal: a batch of tus uploads, several at once, resumed where they were."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Executor, wait
from dataclasses import dataclass
from time import monotonic
from typing import Any
from urllib.parse import quote

from requests import Response

from dropslot.core.names import escape
from dropslot.sender.inbox import Outgoing, Progress
from dropslot.sender.over_https.body import Reading
from dropslot.sender.over_https.https_errors import Busy, NotThere, PartRefused, unexpected
from dropslot.sender.over_https.portal_client import Portal
from dropslot.sender.source_file import Unsendable
from dropslot.sftp.pace import Pace

AT_ONCE = 8
SMALL_BYTES = (
    1024 * 1024
)  # sent with the request that makes the upload, which is synced when the bag is finished
PATCH_BYTES = 64 * 1024 * 1024  # of one request: what proxies let through, and how often the server syncs
BUSY_SECONDS = 45.0  # the server ends a request that stands still after 30 s; until then it holds the file
_TICK_SECONDS = 0.5
_BODY = "application/offset+octet-stream"


@dataclass(frozen=True, slots=True)
class Batch:
    """A bag at the portal. `fields`: what the portal asks for besides, to find the inbox."""

    name: str
    route: str
    fields: Mapping[str, str]

    @property
    def id(self) -> str:
        """What the portal calls it; it takes 100 characters."""
        return self.name if len(self.name) <= 100 else self.name[-100:]

    @property
    def path(self) -> str:
        return f"tus/batches/{quote(self.id, safe='')}"

    def headers(self, path: str, size_bytes: int, mtime_ns: int) -> dict[str, str]:
        """Those with which the upload of one file begins."""
        inside = f"{self.name}/{path}"
        said = {"route": self.route, "filename": path.rpartition("/")[2], "relativePath": inside}
        said |= {"batch": self.id, "modified": str(max(mtime_ns, 0) // 1_000_000), **self.fields}
        pairs = (f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in said.items())
        return {"Upload-Length": str(size_bytes), "Upload-Metadata": ",".join(pairs)}


def checked(content: bytes) -> dict[str, str]:
    """The headers of a body that is the whole of a file: the portal keeps nothing else than these bytes."""
    digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
    return {"Upload-Checksum": f"sha256 {digest}", "Content-Type": _BODY}


@dataclass(frozen=True, slots=True)
class Begun:
    """A file that the portal knows: how much is there, how much is to come, and its address below the API."""

    received: int
    length: int
    address: str


def begun(portal: Portal, batch: Batch) -> tuple[dict[str, Begun], bool]:
    """The files that the portal knows of a bag, by path; and whether the bag is finished."""
    try:
        return portal.read(batch.path, _begun, {"route": batch.route})
    except NotThere:
        return {}, False


def _begun(said: Any) -> tuple[dict[str, Begun], bool]:
    files = {
        path.partition("/")[2]: Begun(int(received), int(length), _below_api(address))
        for path, received, length, address in said["files"]
    }
    return files, said["finished_as"] is not None


def _below_api(address: str) -> str:
    return f"tus/{address.rpartition('/tus/')[2]}"


class _Ending(Exception):
    """Another thread failed, or the person wants an end: this one stops where it is."""


class Sending:
    """Sends files of one bag; `run` returns when each is done or left."""

    def __init__(
        self, portal: Portal, batch: Batch, progress: Progress, pace: Pace, executor: Executor
    ) -> None:
        self._portal, self._batch = portal, batch
        self._progress, self._pace, self._executor = progress, pace, executor
        self._is_ending, self._lock = threading.Event(), threading.Lock()
        self._error: BaseException | None = None
        self._addresses: dict[str, str] = {}  # of what was begun here

    def run(self, files: Sequence[Outgoing]) -> None:
        """Raises the first error of any file; what the others have sent until then is kept."""
        known, _ = begun(self._portal, self._batch)
        # The largest first: a long one at the end would be alone.
        waiting = iter(sorted(files, key=lambda file: -file.size_bytes))
        jobs = [self._executor.submit(self._work, waiting, known) for _ in range(min(AT_ONCE, len(files)))]
        try:
            wait(jobs, return_when=FIRST_EXCEPTION)
        finally:
            self._is_ending.set()
            wait(jobs)
        if self._error is not None:
            raise self._error

    def _work(self, waiting: Iterator[Outgoing], known: Mapping[str, Begun]) -> None:
        """One of several threads: takes one file after the other."""
        try:
            while True:
                with self._lock:
                    file = next(waiting, None)
                if file is None:
                    return
                self._send(file, known.get(file.path))
        except _Ending:
            return
        except BaseException as error:
            with self._lock:
                self._error = self._error or error
            self._is_ending.set()
            raise

    def _check(self) -> None:
        if self._is_ending.is_set():
            raise _Ending
        self._progress.check()

    def _send(self, file: Outgoing, there: Begun | None) -> None:
        try:
            with Reading(file, self._progress, self._pace, self._check) as reading:
                self._transfer(reading, there)
                digest = reading.digest()
        except (Unsendable, PartRefused) as error:
            self._remove(file, there)
            self._progress.left(file.path, str(error))
        else:
            self._progress.done(file.path, digest)

    def _transfer(self, reading: Reading, there: Begun | None) -> None:
        file = reading.file
        if there is not None and there.length == file.size_bytes == there.received:
            reading.to(file.size_bytes)  # its answer was lost; the digest is taken here
        elif file.size_bytes <= min(SMALL_BYTES, self._pace.step() or SMALL_BYTES):
            self._create(file, reading.all())
        elif there is not None and there.length == file.size_bytes:
            reading.to(self._offset(there.address))
            self._go_on(reading, there.address)
        else:
            self._go_on(reading, self._create(file))

    def _create(self, file: Outgoing, content: bytes | None = None) -> str:
        """Make the upload anew, also where there was one; returns its address. `content`: all of a small file."""
        headers = self._batch.headers(file.path, file.size_bytes, file.mtime_ns)
        if content is not None:
            headers |= checked(content)
        answer = self._patiently(lambda: self._portal.ask("POST", "tus/", body=content, headers=headers))
        address = self._addresses[file.path] = _below_api(self._portal.header(answer, "Location"))
        return address

    def _offset(self, address: str) -> int:
        """What the server has durably."""
        answer = self._patiently(lambda: self._portal.ask("HEAD", address))
        return self._at(answer)

    def _at(self, answer: Response) -> int:
        said = self._portal.header(answer, "Upload-Offset")
        if not (said.isascii() and said.isdigit()) or len(said) > 18:
            raise unexpected(self._portal.base, f"the offset {escape(said[:40])}")
        return int(said)

    def _go_on(self, reading: Reading, address: str) -> None:
        file = reading.file
        while reading.at < file.size_bytes:
            headers = {"Upload-Offset": str(reading.at), "Content-Type": _BODY}
            body = reading.rest(min(PATCH_BYTES, file.size_bytes - reading.at))
            answer = self._portal.ask("PATCH", address, body=body, headers=headers)
            self._progress.reached(file.path, self._at(answer))

    def _remove(self, file: Outgoing, there: Begun | None) -> None:
        """Nothing of it stays in the bag. What an unanswered request began is removed when the bag is finished."""
        address = self._addresses.get(file.path, there.address if there else "")
        if address:
            self._patiently(lambda: self._portal.ask("DELETE", address))

    def _patiently(self, ask: Callable[[], Response]) -> Response:
        """Wait while an earlier request still holds the file: this PC was cut off, and the server has not noticed."""
        end = monotonic() + BUSY_SECONDS
        while True:
            try:
                return ask()
            except Busy:
                if monotonic() > end:
                    raise
            self._is_ending.wait(_TICK_SECONDS)
            self._check()


def remove(portal: Portal, batch: Batch) -> None:
    """Remove an unfinished bag; fine if it is gone."""
    try:
        portal.ask("DELETE", batch.path, query={"route": batch.route})
    except NotThere:
        return
