"""The sender's inbox over HTTPS to a portal over loopback: one large file, many small ones, and the memory it takes.

The peers are curl, with the whole file in one request, and tuspy, with as many threads as the sender has. Files and
portal are in memory.
"""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import requests
from tusclient.client import TusClient

from benchmarks import uploads
from benchmarks.memory import Peak
from benchmarks.report import Row
from dropslot.sender.connecting import Access
from dropslot.sender.credentials import HostKey, Question
from dropslot.sender.inbox import Outgoing
from dropslot.sender.over_https.inbox import HttpsInbox
from dropslot.sender.over_https.tus_batch import AT_ONCE
from dropslot.sftp.pace import Pace

_LARGE, _FILES, _FILE = 2_000_000_000, 5000, os.urandom(10_000)
_RATE_LIMIT, _TIMES_LIMIT, _MEMORY_LIMIT = 150, 0.8, 40


class _Token:
    """Whoever is asked gives the token."""

    def __init__(self, token: str) -> None:
        self._token = token

    def token(self, server: str, *, again: bool) -> str | None:  # noqa: ARG002
        return self._token

    def user(self, server: str) -> str | None:  # noqa: ARG002
        return None

    def password(self, account: str, *, again: bool) -> str | None:  # noqa: ARG002
        return None

    def passphrase(self, key_file: str, *, again: bool) -> str | None:  # noqa: ARG002
        return None

    def answers(self, title: str, instructions: str, questions: Sequence[Question]) -> None:  # noqa: ARG002
        return None

    def trusts(self, key: HostKey) -> bool:  # noqa: ARG002
        return False

    def accepted(self) -> None:
        return


class _Unseen:
    """Progress that nobody looks at."""

    def moved(self, path: str, size_bytes: int) -> None: ...

    def reached(self, path: str, durable_bytes: int) -> None: ...

    def done(self, path: str, sha256: str) -> None: ...

    def left(self, path: str, reason: str) -> None:
        raise RuntimeError(f"{path}: {reason}")

    def check(self) -> None: ...


class _Pc:
    """What is sent, and to whom."""

    def __init__(self, folder: Path, port: int, token: str) -> None:
        self.folder, self.token, self.url = folder, token, f"http://127.0.0.1:{port}"
        self.trials = 0

    def send(self, paths: Sequence[Path]) -> None:
        """By the sender, until the bag is in the inbox."""
        self.trials += 1
        inbox, bag = HttpsInbox(Access(self.url), _Token(self.token)), f"heart-{self.trials}"
        inbox.upload(bag, [_outgoing(self.folder, path) for path in paths], {}, _Unseen(), Pace())
        manifest = "".join(f"{'0' * 64}  data/{path.relative_to(self.folder)}\n" for path in paths)
        inbox.finish(bag, {"manifest-sha256.txt": manifest.encode()}, lambda: None, may_be_named=False)
        inbox.close()

    def curl(self, path: Path) -> None:
        """The whole file with one request, which takes no digest."""
        self.trials += 1
        sign_in = {"Authorization": f"Bearer {self.token}", "Tus-Resumable": "1.0.0"}
        said = f"route {_b64('route')},filename {_b64(f'curl{self.trials}')}"
        facts = {"Upload-Length": str(path.stat().st_size), "Upload-Metadata": said}
        made = requests.post(f"{self.url}/api/v1/tus/", headers=sign_in | facts, timeout=60)
        made.raise_for_status()
        sign_in |= {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
        words = [word for name, value in sign_in.items() for word in ("-H", f"{name}: {value}")]
        command = [
            "curl",
            "-sS",
            "--fail-with-body",
            "-X",
            "PATCH",
            *words,
            "-T",
            str(path),
            made.headers["Location"],
        ]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    def tuspy(self, paths: Sequence[Path]) -> None:
        """By threads, each file by an uploader of its own; then the batch is finished."""
        self.trials += 1
        name, sign_in = f"tuspy-{self.trials}", {"Authorization": f"Bearer {self.token}"}
        client = TusClient(f"{self.url}/api/v1/tus/", headers=sign_in)

        def one(path: Path) -> None:
            inside = f"{name}/{path.relative_to(self.folder)}"
            said = {"route": "route", "filename": path.name, "relativePath": inside, "batch": name}
            client.uploader(str(path), metadata=said).upload()

        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(one, paths))
        wanted = {"route": "route", "name": name, "files": len(paths)}
        address = f"{self.url}/api/v1/tus/batches/{name}/finish"
        requests.post(address, json=wanted, headers=sign_in, timeout=300).raise_for_status()


def measure(scratch: Path, trials: int) -> list[Row]:
    """Rates beside the peers', and what the sender's memory grows by."""
    with uploads.in_memory(scratch / "memory") as memory, uploads.portal(memory) as (port, _, token):
        pc = _Pc(memory / "pc", port, token)
        pc.folder.mkdir()
        large, small = _make(pc.folder)
        inbox = memory / "slot" / "route" / "inbox"
        rest, busy = Peak(), Peak()
        rest.look(os.getpid())
        ours = [_timed(lambda: _watched(busy, lambda: pc.send([large])), inbox) for _ in range(trials)]
        theirs = [_timed(lambda: pc.curl(large), inbox) for _ in range(trials)]
        many = [_timed(lambda: pc.send(small), inbox) for _ in range(trials)]
        by_tuspy = [_timed(lambda: pc.tuspy(small), inbox) for _ in range(trials)]
    rate, peer = (_LARGE / 1e6 / median(taken) for taken in (ours, theirs))
    times = median(many) / median(by_tuspy)
    growth = busy.pss - rest.pss
    against = f"curl, one request, no digest ({rate / peer:.2f} ×)"
    small_row = f"{_FILES} files of 10 kB"
    return [
        Row(
            "one file of 2 GB",
            f"{rate:.0f} MB/s",
            against,
            f"{peer:.0f} MB/s",
            rate,
            _RATE_LIMIT,
            "MB/s",
            at_most=False,
        ),
        Row(
            small_row, f"{median(many):.1f} s", "tuspy", f"{median(by_tuspy):.1f} s", times, _TIMES_LIMIT, "×"
        ),
        Row("memory that 2 GB add at their peak", f"{growth:.0f} MB", "", "", growth, _MEMORY_LIMIT, "MB"),
    ]


def _make(folder: Path) -> tuple[Path, list[Path]]:
    large, piece = folder / "large", os.urandom(1_000_000)
    with large.open("wb") as stream:
        for _ in range(_LARGE // len(piece)):
            stream.write(piece)
    (folder / "many").mkdir()
    small = [folder / "many" / f"{number:05}" for number in range(_FILES)]
    for path in small:
        path.write_bytes(_FILE)
    return large, small


def _timed(work: Callable[[], None], inbox: Path) -> float:
    begun = time.perf_counter()
    work()
    taken = time.perf_counter() - begun
    for path in inbox.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return taken


def _watched(busy: Peak, work: Callable[[], None]) -> None:
    ended = threading.Event()
    watching = threading.Thread(target=busy.watch, args=(os.getpid(), ended.is_set, 600))
    watching.start()
    try:
        work()
    finally:
        ended.set()
        watching.join()


def _outgoing(folder: Path, path: Path) -> Outgoing:
    seen = path.stat()
    return Outgoing(path, f"data/{path.relative_to(folder)}", seen.st_size, seen.st_mtime_ns)


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
