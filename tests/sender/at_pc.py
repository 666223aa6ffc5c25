"""A person at a collection PC, for tests of an inbox: what is answered, and what is heard of an upload."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dropslot.sender.credentials import HostKey, Question
from dropslot.sender.inbox import Inbox, Outgoing
from dropslot.sftp.pace import Pace

BAG = "heart-20261129T193000Z-Brogden_A-01JE"


@dataclass
class Answers:
    """Gives these answers, one after the other; then none. `asked` is what was asked."""

    passwords: list[str] = field(default_factory=list)
    passphrases: list[str] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)
    trusted: bool = False
    asked: list[str] = field(default_factory=list)

    def user(self, server: str) -> str | None:
        return None

    def password(self, account: str, *, again: bool) -> str | None:
        self.asked.append(f"password {account}{' again' if again else ''}")
        return self.passwords.pop(0) if self.passwords else None

    def passphrase(self, key_file: str, *, again: bool) -> str | None:
        self.asked.append(f"passphrase{' again' if again else ''}")
        return self.passphrases.pop(0) if self.passphrases else None

    def answers(self, title: str, instructions: str, questions: Sequence[Question]) -> Sequence[str] | None:
        self.asked += [question.text for question in questions]
        return [self.codes.pop(0) for _ in questions] if self.codes else None

    def trusts(self, key: HostKey) -> bool:
        self.asked.append(f"trust {key.server} {key.fingerprint}")
        return self.trusted

    def token(self, server: str, *, again: bool) -> str | None:
        return None

    def accepted(self) -> None:
        self.asked.append("accepted")


@dataclass
class Heard:
    """The progress of an upload; `at` is called with each number of bytes that moved."""

    at: Callable[[int], None] = lambda _size: None
    digests: dict[str, str] = field(default_factory=dict)
    marks: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    end: Exception | None = None
    is_named: bool = False

    def moved(self, path: str, size_bytes: int) -> None:
        self.at(size_bytes)

    def reached(self, path: str, durable_bytes: int) -> None:
        self.marks[path] = durable_bytes

    def done(self, path: str, sha256: str) -> None:
        self.digests[path] = sha256

    def left(self, path: str, reason: str) -> None:
        self.reasons[path] = reason

    def naming(self) -> None:
        self.is_named = True

    def check(self) -> None:
        if self.end:
            raise self.end


def outgoing(folder: Path) -> list[Outgoing]:
    """All files of a folder, as a scan finds them."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            seen = path.stat()
            inner = f"data/raw/{path.relative_to(folder)}"
            found.append(Outgoing(path, inner, seen.st_size, seen.st_mtime_ns))
    return found


def make(folder: Path, content: Mapping[str, bytes]) -> Path:
    for name, data in content.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def tags(digests: Mapping[str, str], size_bytes: int) -> dict[str, bytes]:
    """The tag files of a bag with these files."""
    encoded = {path.replace("\n", "%0A"): sha256 for path, sha256 in digests.items()}
    manifest = "".join(f"{sha256}  {path}\n" for path, sha256 in encoded.items())
    return {
        "bagit.txt": b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n",
        "bag-info.txt": f"Payload-Oxum: {size_bytes}.{len(digests)}\n".encode(),
        "manifest-sha256.txt": manifest.encode(),
    }


def send(inbox: Inbox, files: Sequence[Outgoing], heard: Heard | None = None, bag: str = BAG) -> Heard:
    """A whole bag, up to its last file."""
    heard = heard or Heard()
    inbox.begin(bag, files)
    inbox.upload(bag, files, {}, heard, Pace())
    return heard


def finish(inbox: Inbox, files: Sequence[Outgoing], heard: Heard, bag: str = BAG) -> bool:
    sent = [file for file in files if file.path in heard.digests]
    tag_files = tags(heard.digests, sum(file.size_bytes for file in sent))
    return inbox.finish(bag, tag_files, heard.naming, may_be_named=heard.is_named)


def unnoted() -> None:
    """Nobody notes that the bag is about to get its name."""


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
