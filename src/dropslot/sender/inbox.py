"""What the sender needs of a server's inbox. SFTP and HTTPS each have one; the rest of the sender knows no protocol."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from dropslot.sftp.pace import Pace


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One file to send. `path` is its path in the bag, such as `data/eprime/s01.edat2`; size and time are those of the
    scan: a file that differs from them when it is read was changed, and is left for next time."""

    source: Path
    path: str
    size_bytes: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class SignedReceipt:
    """A receipt as the server made it, not checked yet.

    `body` is the signed text (canonical JSON), `signature` its armored SSH signature. `files` has one JSON object a
    line for each file of the arrival; `body` holds the SHA-256 of this text under `files_sha256`.
    """

    body: str
    signature: str
    files: str

    @classmethod
    def of(cls, said: Any) -> SignedReceipt:
        """From the JSON of a server. Raises one of MALFORMED."""
        parts = [said[key] for key in ("body", "signature", "files")]
        if not all(isinstance(part, str) for part in parts):
            raise TypeError("its parts are not texts")
        return cls(*parts)


class Progress(Protocol):
    """What an upload reports while it runs. Each call may come from any thread, and returns at once."""

    def moved(self, path: str, size_bytes: int) -> None:
        """So many more bytes of this file went over the line."""

    def reached(self, path: str, durable_bytes: int) -> None:
        """The server has this many bytes of the file durably, from its start: an upload can be resumed there."""

    def done(self, path: str, sha256: str) -> None:
        """The file is whole and durable at the server; the digest is that of the bytes that were sent (hex)."""

    def left(self, path: str, reason: str) -> None:
        """The file cannot be sent now (changed, gone, locked); nothing of it is left in the bag. The reason is a
        sentence for people."""

    def check(self) -> None:
        """Raises an error when the person wants the upload to pause or end; called often."""


class Inbox(Protocol):
    """One server's inbox, with somebody signed in. All calls block. Each raises a DropslotError; one that is
    `retryable` may be called again, after a pause, and continues where it was.

    While a bag is on its way it has a name that begins with a period, so that no watcher takes it.
    """

    @property
    def where(self) -> str:
        """The address for people and for the ledger: without a password, the same each time."""

    def begin(self, bag: str, files: Sequence[Outgoing]) -> None:
        """Make the hidden folder of this bag; fine if it is there. `files`: those that will be sent; what takes its
        time can be made ready for them."""

    def upload(
        self, bag: str, files: Sequence[Outgoing], reached: Mapping[str, int], progress: Progress, pace: Pace
    ) -> None:
        """Send the files, several at once. `reached` has the durable bytes of files that were begun in an earlier call;
        files that are done are not given. Returns when each file is done or left. Raises BagGone."""

    def finish(
        self, bag: str, tag_files: Mapping[str, bytes], naming: Callable[[], None], *, may_be_named: bool
    ) -> bool:
        """Send the bag's tag files (name to content), compare what the server has, call `naming`, and give the bag its
        name without the period. It may be repeated after a crash. `may_be_named`: `naming` was called before; only
        then a bag that is not there counts as finished. Returns False for that: the server took it, or somebody removed
        it. Raises BagIncomplete."""

    def discard(self, bag: str) -> None:
        """Remove an unfinished bag with all that was sent of it; fine if it is gone."""

    def receipt(self, bag: str) -> SignedReceipt | None:
        """The newest receipt of this bag; None if there is none yet."""

    def signers(self) -> str:
        """The server's public keys for receipts, as ssh-keygen's allowed_signers; empty if it has none."""

    def close(self) -> None:
        """Sign out."""
