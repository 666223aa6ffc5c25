#!/usr/bin/env python3
"""Verify an exported audit trail of dropslot, without dropslot: this one file and Python 3.9 or later.

    python3 check_export.py EXPORT.jsonl [--head SEQ:HASH]… [--allowed-signers FILE]

Checked are: the form of every line; that events count 1, 2, 3, …; that each one's hash is SHA-256 over the
hash before it and its own canonical JSON; that the heads inside of receipts, and those given, are in the
chain; that the export is complete; with --allowed-signers, every receipt's SSH signature (by ssh-keygen).
Exit status: 0 OK; 1 something is wrong and is named; 2 wrong usage.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
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

    def __init__(self, allowed_signers: Path | None = None) -> None:
        self.faults: list[str] = []
        self.found = 0
        self.events = 0
        self.receipts = 0
        self.signatures = 0
        self._allowed_signers = allowed_signers
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
    options = parser.parse_args(arguments)
    checker = Checker(options.allowed_signers)
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
    print(f"OK: {checker.events} events, {checker.receipts} receipts, {signatures}; head {checker.head}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
