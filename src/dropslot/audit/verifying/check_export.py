#!/usr/bin/env python3
"""Verify an exported audit trail of dropslot, without dropslot: this one file and Python 3.9 or later.

    python3 check_export.py EXPORT.jsonl [--head SEQ:HASH]… [--allowed-signers FILE] [--tsa-certificates FILE]

Checked are: the form of every line; that events count 1, 2, 3, …; that each one's hash is SHA-256 over the
hash before it and its own canonical JSON; that the heads inside of receipts and time stamps, and those
given, are in the chain; that the export is complete; with --allowed-signers, every receipt's SSH signature
(by ssh-keygen); with --tsa-certificates, every time stamp (by openssl).
Exit status: 0 OK; 1 something is wrong and is named; 2 wrong usage.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hashlib
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

NAMESPACE = "dropslot"
PRINCIPAL = "dropslot"
FORMAT = 1
LISTED = 1000
GENESIS = "0" * 64
LONGEST_LINE = 1024 * 1024 * 1024
EVENT_TYPES = {"arrival": str, "at": str, "data": dict, "kind": str, "seq": int}
RECEIPT_TYPES = {"arrival": str, "body": str, "signature": str}


class Malformed(ValueError):
    """A line does not have the form that an export has at this place."""


class Checker:
    """Takes the lines of one export, in order; 32 bytes of memory an event."""

    def __init__(self, allowed_signers: Path | None = None, tsa_certificates: Path | None = None) -> None:
        self.faults: list[str] = []
        self.found = 0
        self.events = 0
        self.receipts = 0
        self.signatures = 0
        self.stamps = 0
        self.stamped = ""
        self._allowed_signers = allowed_signers
        self._tsa_certificates = tsa_certificates
        self._seq = 0
        self._hash = GENESIS
        self._hashes = bytearray()  # of events 1, 2, 3, … up to the first gap
        self._whole = True
        self._part = "header"

    @property
    def head(self) -> str:
        return f"{self._seq}:{self._hash}"

    def fault(self, what: str) -> None:
        self.found += 1
        if len(self.faults) < LISTED:
            self.faults.append(what)

    def check(self, lines: Iterable[bytes], heads: Iterable[tuple[int, str]] = ()) -> None:
        """Check a whole export and the heads that were kept elsewhere."""
        for number, line in enumerate(lines, 1):
            try:
                self._line(line)
            except (Malformed, RecursionError) as error:
                self.fault(f"line {number}: {error}")
        if self._part != "over":
            self.fault("the last line is missing: the export is cut short")
        for seq, digest in heads:
            self._check_head(seq, digest, f"head {seq}:{digest}")

    def _line(self, line: bytes) -> None:
        content = parsed(line)
        if self._part == "over":
            raise Malformed("there is more after the last line")
        if self._part == "header":
            self._part = "events"
            self._header(content)
        elif set(content) == {"event", "hash"} and self._part == "events":
            self._event(content["event"], content["hash"])
        elif set(content) == {"receipt"}:
            self._part = "receipts"
            self._receipt(content["receipt"])
        elif set(content) == {"end"}:
            self._part = "over"
            self._end(content["end"])
        else:
            raise Malformed("this line does not belong here")

    def _header(self, content: dict[str, Any]) -> None:
        if content.get("dropslot_export") != FORMAT:
            raise Malformed(f"this is not an export of dropslot in format {FORMAT}")

    def _event(self, event: Any, stored: Any) -> None:
        require(event, EVENT_TYPES)
        require({"hash": stored}, {"hash": str})
        self.events += 1
        seq, expected, text = event["seq"], self._seq + 1, self._hash + canonical(event)
        if seq >= expected:
            self._seq, self._hash = seq, stored
        if seq != expected:
            self._whole = False
            raise Malformed(f"event {seq} stands where event {expected} belongs: lines were removed or moved")
        if self._whole:
            self._hashes += digest_bytes(stored)
        if hashlib.sha256(text.encode("utf-8")).hexdigest() != stored:
            raise Malformed(f"the hash of event {seq} does not fit: it, or the event before it, was changed")
        if event["kind"] == "timestamped":
            self._stamp(seq, event["data"])

    def _stamp(self, number: int, data: dict[str, Any]) -> None:
        head: Any = data.get("head")
        require(head, {"hash": str, "seq": int})
        if head["seq"] >= number:
            raise Malformed(f"the time stamp in event {number} is of a later event")
        self._check_head(head["seq"], head["hash"], f"the time stamp in event {number}")
        if self._tsa_certificates is not None:
            verify_stamp(data, f"{head['seq']}:{head['hash']}", self._tsa_certificates, number)
            self.stamps += 1
            self.stamped = f"; all up to event {head['seq']} existed at {data['at']}"

    def _receipt(self, receipt: Any) -> None:
        require(receipt, RECEIPT_TYPES)
        self.receipts += 1
        arrival, body = receipt["arrival"], parsed(receipt["body"].encode("utf-8"))
        require(body.get("head"), {"hash": str, "seq": int})
        if body.get("arrival") != arrival:
            raise Malformed(f"receipt {arrival} holds that of another arrival")
        self._check_head(body["head"]["seq"], body["head"]["hash"], f"receipt {arrival}")
        if self._allowed_signers is not None:
            verify_signature(receipt["body"], receipt["signature"], self._allowed_signers, arrival)
            self.signatures += 1

    def _end(self, end: Any) -> None:
        require(end, {"events": int, "head": dict, "receipts": int})
        here = {"hash": self._hash, "seq": self._seq}
        found = {"events": self.events, "head": here, "receipts": self.receipts}
        if end != found:
            raise Malformed(
                f"the last line speaks of {canonical(end)}, but the export holds {canonical(found)}"
            )

    def _check_head(self, seq: int, digest: str, where: str) -> None:
        if not 0 <= seq <= self._seq or len(self._hashes) < 32 * seq:
            self.fault(f"{where} proves an event {seq}, which is not here: the end of the chain was removed")
        elif (self._hashes[32 * (seq - 1) : 32 * seq].hex() if seq else GENESIS) != digest:
            self.fault(f"{where} contradicts event {seq}: the chain was rewritten")


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


# Made once: json.dumps and json.loads would make new ones for every line.
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
_DECODER = json.JSONDecoder(parse_constant=_no_constant)


def canonical(value: Any) -> str:
    """The canonical JSON of a value: sorted keys, no blanks, characters as themselves."""
    return _ENCODER.encode(value)


def parsed(line: bytes) -> dict[str, Any]:
    """The object in a line, which must be written canonically: no key comes twice, nothing is hidden."""
    try:
        text = line.decode("utf-8")
        content = _DECODER.decode(text)
        if type(content) is dict and canonical(content) == text:
            return content
    except (ValueError, UnicodeError) as error:
        raise Malformed(f"it is not JSON in UTF-8: {str(error)!a}") from error
    raise Malformed("it is not one canonical JSON object")


def require(value: Any, types: Mapping[str, type]) -> None:
    """Raise Malformed unless `value` has these keys, no others, and values of just these types."""
    if type(value) is not dict or {key: type(inner) for key, inner in value.items()} != types:
        raise Malformed(
            f"it must have {', '.join(f'{key} ({kind.__name__})' for key, kind in types.items())}"
        )


def digest_bytes(text: str) -> bytes:
    """32 bytes of 64 hex digits; 32 zeros for anything else, which its own fault names."""
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        raw = b""
    return raw if len(raw) == 32 and raw.hex() == text else bytes(32)


def verify_signature(body: str, signature: str, allowed_signers: Path, arrival: str) -> None:
    """Raise Malformed unless ssh-keygen finds the signature good and its signer allowed."""
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder, "receipt.sig")
        written.write_text(signature, "utf-8")
        command = ["ssh-keygen", "-Y", "verify", "-f", str(allowed_signers), "-I", PRINCIPAL]
        command += ["-n", NAMESPACE, "-s", str(written)]
        try:
            run = subprocess.run(command, input=body.encode("utf-8"), capture_output=True, check=False)
        except OSError as error:
            raise Malformed(f"ssh-keygen cannot be run, so no signature is verified: {error}") from error
    if run.returncode != 0:
        said = ascii((run.stdout + run.stderr).decode(errors="replace").strip())
        raise Malformed(f"the signature of receipt {arrival} is not valid: {said}")


def verify_stamp(data: Mapping[str, Any], head: str, certificates: Path, number: int) -> None:
    """Raise Malformed unless openssl finds the stamp good at the time that it has, and the event says the same time."""
    require(data, {"at": str, "authority": str, "head": dict, "response": str, "signer": str})
    with tempfile.TemporaryDirectory() as folder:
        written, text = Path(folder, "stamp.tsr"), Path(folder, "head.txt")
        text.write_text(head, "ascii")
        try:
            written.write_bytes(base64.b64decode(data["response"], validate=True))
        except binascii.Error as error:
            raise Malformed(f"the time stamp in event {number} is not base64: {error}") from error
        _, shown = openssl(["-reply", "-in", str(written), "-text"])
        at = time_in(shown)
        if at is None or abs(at - time_of(data["at"])) >= timedelta(seconds=1):
            raise Malformed(f"the time stamp in event {number} has another time than its event says")
        when = ["-attime", str(int(at.timestamp()))]  # certificates of old stamps may be over by now
        options = ["-verify", "-in", str(written), "-data", str(text), "-CAfile", str(certificates), *when]
        is_good, said = openssl(options)
    if not is_good:
        why = " ".join(
            said.rpartition("Verify error:")[2].split()
        )  # without the names of openssl's own files
        raise Malformed(f"the time stamp in event {number} is not valid: {ascii(why)[:500]}")


def openssl(options: list[str]) -> tuple[bool, str]:
    """Whether `openssl ts` succeeded, and what it said."""
    try:
        run = subprocess.run(["openssl", "ts", *options], capture_output=True, check=False)
    except OSError as error:
        raise Malformed(f"openssl cannot be run, so no time stamp is verified: {error}") from error
    return run.returncode == 0, (run.stdout + run.stderr).decode(errors="replace")


def time_in(shown: str) -> datetime | None:
    """The time in what openssl prints of an answer: "Time stamp: Nov 30 02:41:11.5 2026 GMT"."""
    found = re.search(r"^Time stamp: (\w{3} +\d+ [\d:]{8})(?:\.\d+)? (\d{4}) GMT$", shown, re.MULTILINE)
    if found is None:
        return None
    return datetime.strptime(f"{found[1]} {found[2]}", "%b %d %H:%M:%S %Y").replace(tzinfo=UTC)


def time_of(text: str) -> datetime:
    """The time that an event says, to the second."""
    try:
        return datetime.strptime(text[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
    except ValueError as error:
        raise Malformed(f"{text!a} is not a time") from error


def lines_of(file: BinaryIO) -> Iterator[bytes]:
    """Lines without their newline; one that has none, or is absurdly long, is passed on as broken."""
    while line := file.readline(LONGEST_LINE):
        yield line[:-1] if line.endswith(b"\n") else b"cut short"


def head(text: str) -> tuple[int, str]:
    """SEQ:HASH as given on the command line."""
    seq, _, digest = text.partition(":")
    if not (seq.isascii() and seq.isdigit()) or len(digest) != 64:
        raise argparse.ArgumentTypeError("write it as SEQ:HASH, with 64 hex digits")
    return int(seq), digest.lower()


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 OK, 1 something is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("export", type=Path)
    parser.add_argument("--head", type=head, action="append", default=[], metavar="SEQ:HASH")
    parser.add_argument("--allowed-signers", type=Path, metavar="FILE")
    parser.add_argument("--tsa-certificates", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    checker = Checker(options.allowed_signers, options.tsa_certificates)
    try:
        with options.export.open("rb") as file:
            checker.check(lines_of(file), options.head)
    except OSError as error:
        checker.fault(f"the export cannot be read: {error}")
    return told(checker)


def told(checker: Checker) -> int:
    """Print what was found; returns the exit status."""
    for fault in checker.faults:
        print(f"FAULT {fault}")
    if checker.found:
        print(f"{checker.found} fault(s) in {checker.events} events and {checker.receipts} receipts.")
        return 1
    signatures = f"{checker.signatures} signatures" if checker.signatures else "signatures not checked"
    stamps = f", {checker.stamps} time stamps{checker.stamped}" if checker.stamps else ""
    print(
        f"OK: {checker.events} events, {checker.receipts} receipts, {signatures}{stamps}; head {checker.head}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
