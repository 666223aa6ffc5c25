"""Checks a receipt before anything is believed of it: who signed it, for which bag, and over which bytes.

A receipt that fails any of this changes nothing: the files keep the state that they had.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from dropslot.core.errors import DropslotError
from dropslot.core.names import escape
from dropslot.core.reading_json import MALFORMED
from dropslot.core.signing import sshsig
from dropslot.core.signing.signers import NAMESPACE
from dropslot.sender.inbox import SignedReceipt

Outcome = Literal["delivered", "unchanged", "refused"]
_OUTCOMES = frozenset({"delivered", "unchanged", "refused"})
_WITH_THE_ARRIVAL = "The arrival was refused as a whole for another reason"
_LEFT_OUT = "The server does not deliver files of this name; its receipt does not list the file"


class BadReceipt(DropslotError):
    """A receipt that is forged, altered, or of something else; nothing was changed by it."""

    code = "bad-receipt"


@dataclass(frozen=True, slots=True)
class FileOutcome:
    """What became of one file. `is_at_fault`: it was refused for what it is, not for another file of the arrival."""

    state: Outcome
    sha256: str  # of the bytes that were sent
    reason: tuple[str, ...] = ()
    stored_as: str = ""  # its name at the first destination, as far as a sender may know it
    version: int | None = None
    is_at_fault: bool = False


@dataclass(frozen=True, slots=True)
class Checked:
    """A receipt that is proved. `files` has an outcome for every file that was sent, by its path in the payload."""

    bag: str
    arrival: str
    state: Literal["done", "failed"]
    finished_at: str  # UTC, ISO 8601
    reason: tuple[str, ...]
    files: Mapping[str, FileOutcome]


def check(receipt: SignedReceipt, bag: str, sent: Mapping[str, str], signers: Collection[bytes]) -> Checked:
    """The outcome of each file in `sent` (path in the payload to the SHA-256 that was sent). `signers` are the server's
    keys, from `KeptSigners`. Raises BadReceipt."""
    _require_signed(receipt, bag, signers)
    try:
        body = json.loads(receipt.body)
        _require_same(bag, body)
        _require_list(receipt, bag, body)
        listed = dict(_listed(line) for line in receipt.files.splitlines() if line)
        reason = tuple(map(str, body["reason"]))
        files = {path: _outcome(bag, path, digest, listed.get(path), body) for path, digest in sent.items()}
        return Checked(bag, _text(body["arrival"]), body["state"], _text(body["finished_at"]), reason, files)
    except MALFORMED as error:
        raise _bad(
            bag, "It is not in the form of a receipt; the server may be newer than this program"
        ) from error


def _bad(bag: str, why: str) -> BadReceipt:
    return BadReceipt(
        f"The receipt of {escape(bag)} proves nothing. {why}",
        where="The files keep the state that they had: sent, but not known to be delivered",
        next_step="Tell the person who runs the server; do not delete the files on this computer",
    )


def _require_signed(receipt: SignedReceipt, bag: str, signers: Collection[bytes]) -> None:
    try:
        sshsig.verify(receipt.signature, NAMESPACE, receipt.body.encode("utf-8"), signers)
    except (sshsig.BadSignature, UnicodeError) as error:
        raise _bad(bag, f"Its signature is not valid: {error}") from error


def _require_same(bag: str, body: Mapping[str, Any]) -> None:
    if body.get("sent_as") != escape(bag):
        raise _bad(bag, f"It is the receipt of something else: {escape(str(body.get('sent_as')))}")
    if body["state"] not in ("done", "failed"):
        raise _bad(bag, f"It has an unknown state: {escape(str(body['state']))}")


def _require_list(receipt: SignedReceipt, bag: str, body: Mapping[str, Any]) -> None:
    if hashlib.sha256(receipt.files.encode("utf-8")).hexdigest() != body["files_sha256"]:
        raise _bad(bag, "Its list of files was changed after it was signed")


def _text(value: Any) -> str:
    """A text that a terminal can show."""
    if not isinstance(value, str):
        raise TypeError("expected a text")
    return escape(value)


def _listed(line: str) -> tuple[str, Mapping[str, Any]]:
    row = json.loads(line)
    if row["outcome"] not in _OUTCOMES:
        raise ValueError(f"unknown outcome {row['outcome']}")
    return row["file"], row


def _outcome(
    bag: str, path: str, digest: str, row: Mapping[str, Any] | None, body: Mapping[str, Any]
) -> FileOutcome:
    if body["state"] == "failed":
        own = tuple(map(str, row["reason"])) if row else ()
        return FileOutcome("refused", digest, own or _whole(body), is_at_fault=bool(own))
    if row is None:
        return FileOutcome("refused", digest, (_LEFT_OUT,), is_at_fault=True)
    if row["sha256"] != digest:
        raise _bad(bag, f"It says that {escape(path)} arrived with other bytes than were sent")
    stored: Mapping[str, Any] = next(iter(row["stored"]), {})
    return FileOutcome(row["outcome"], digest, (), stored.get("as", ""), stored.get("version"))


def _whole(body: Mapping[str, Any]) -> tuple[str, ...]:
    return (_WITH_THE_ARRIVAL, *map(str, body["reason"]))
