"""Bags go to a real portal over HTTP(S): whole, once, and resumed where they were."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from dropslot.sender.bags.tag_files import PAYLOAD
from dropslot.sender.connecting import Access
from dropslot.sender.credentials import HostKey, Question
from dropslot.sender.inbox import Outgoing
from dropslot.sender.over_https.inbox import HttpsInbox
from dropslot.sftp.pace import Pace
from portals import Served
from product import read_tree

BAG = "heart-20261129T193000Z-pc-01KBE8QZ3M"
LARGE = os.urandom(1 << 20) * 40


class Nobody:
    """Has a token, or none; nobody can be asked for anything else."""

    def __init__(self, *tokens: str) -> None:
        self.tokens, self.asked, self.was_accepted = list(tokens), 0, False

    def token(self, server: str, *, again: bool) -> str | None:
        self.asked += 1
        return self.tokens.pop(0) if self.tokens else None

    def user(self, server: str) -> str | None:
        return None

    def password(self, account: str, *, again: bool) -> str | None:
        return None

    def passphrase(self, key_file: str, *, again: bool) -> str | None:
        return None

    def answers(self, title: str, instructions: str, questions: Sequence[Question]) -> None:
        return None

    def trusts(self, key: HostKey) -> bool:
        return False

    def accepted(self) -> None:
        self.was_accepted = True


class Noted:
    """What an upload reported. `at`: called with the bytes that went over the line so far."""

    def __init__(self, at: Callable[[int], None] = lambda _: None) -> None:
        self.bytes, self.whole, self.unsent, self.durable = (
            0,
            dict[str, str](),
            dict[str, str](),
            dict[str, int](),
        )
        self._at, self._lock = at, threading.Lock()

    def moved(self, path: str, size_bytes: int) -> None:
        with self._lock:
            self.bytes += size_bytes

    def reached(self, path: str, durable_bytes: int) -> None:
        self.durable[path] = durable_bytes

    def done(self, path: str, sha256: str) -> None:
        self.whole[path] = sha256

    def left(self, path: str, reason: str) -> None:
        self.unsent[path] = reason

    def check(self) -> None:
        self._at(self.bytes)


class Bag:
    """Files on this PC, and what is needed to send them."""

    def __init__(self, folder: Path, files: Mapping[str, bytes]) -> None:
        self.folder, self.digests = folder, dict[str, str]()
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            self.digests[PAYLOAD + name] = hashlib.sha256(content).hexdigest()

    def outgoing(self, *without: str) -> list[Outgoing]:
        found = []
        for path in self.digests.keys() - set(without):
            source = self.folder / path.removeprefix(PAYLOAD)
            seen = source.stat()
            found.append(Outgoing(source, path, seen.st_size, seen.st_mtime_ns))
        return found

    @property
    def tags(self) -> dict[str, bytes]:
        manifest = "".join(f"{digest}  {path}\n" for path, digest in self.digests.items()).encode()
        declared = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
        return {"bagit.txt": declared, "manifest-sha256.txt": manifest}


@pytest.fixture
def token(served: Served) -> str:
    served.account("sam", "sender")
    return served.product.run("addtoken", "sam", "--scope", "upload", "--days", "1").stdout.strip()


def inbox(served: Served, token: str, route: str = "study") -> HttpsInbox:
    return HttpsInbox(Access(served.url, route=route), Nobody(token))


def send(box: HttpsInbox, bag: Bag, progress: Noted | None = None, *without: str) -> Noted:
    noted = progress or Noted()
    box.upload(BAG, bag.outgoing(*without), {}, noted, Pace())
    return noted


def entries(served: Served) -> list[str]:
    return sorted(name for name in os.listdir(served.product.folder("inbox")) if not name.startswith("."))


FILES = {f"eprime/s{number:03}.edat2": os.urandom(number) for number in range(60)}


def test_a_bag_goes_in_whole_and_its_receipt_comes_back(served: Served, token: str, tmp_path: Path) -> None:
    served.start("run")
    bag = Bag(tmp_path / "pc", {**FILES, "biopac/large": LARGE, "ü ,;/a%b.txt": b"odd", "nothing": b""})
    box = inbox(served, token)
    assert box.receipt(BAG) is None
    box.begin(BAG)
    noted = send(box, bag)
    assert noted.whole == bag.digests and noted.bytes == sum(map(len, FILES.values())) + len(LARGE) + 3
    assert not entries(served)
    for _ in range(2):
        box.finish(BAG, bag.tags)
    served.product.wait_for_state(BAG, "done")
    delivered = read_tree(served.product.studies / "heart" / BAG.partition("-")[2])
    assert {
        PAYLOAD + path: hashlib.sha256(data).hexdigest() for path, data in delivered.items()
    } == bag.digests
    receipt = box.receipt(BAG)
    assert receipt is not None and '"state":"done"' in receipt.body
    assert box.signers().startswith("dropslot namespaces=")
    box.finish(BAG, bag.tags)
    box.close()
