#!/usr/bin/env python3
"""Verify a proof of dropslot, without dropslot: these files, Python 3.9 or later, and ssh-keygen (OpenSSH 8.2).

    python3 check_bundle.py [FILE…]

Checked are: that bundle.json, receipt and events speak of the same arrival; the receipt's SSH signature; that each
manifest has the SHA-256 that the signed receipt names; that the proved file is in its manifest; that each event's hash
is SHA-256 over the hash before it and its own canonical JSON, and that the signed head is the hash of its event. A FILE
is compared with the SHA-256 that is proved. Compare the key in allowed_signers with one that you have from elsewhere:
whoever made another bundle has another key.
Exit status: 0 OK; 1 something is wrong and is named; 2 wrong usage.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

HERE = Path(__file__).resolve().parent


class Malformed(ValueError):
    """Something in the bundle does not fit."""


check_export: Any = None  # the file beside this one; this program runs without dropslot, which has a context


def _beside(name: str) -> ModuleType:
    """The module in the file beside this one: `python3 -I` does not look there, and it must be no other."""
    spec = spec_from_file_location(name, HERE / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main(arguments: list[str] | None = None) -> int:
    """Print what was checked and what is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    global check_export
    check_export = _beside("check_export")
    wrong = 0
    for check in (_receipt, _manifests, _delivery, _events, lambda: _files(options.files)):
        try:
            for line in check():
                print(f"OK {line}")
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            wrong += 1
            what = (
                str(error) if isinstance(error, (Malformed, OSError)) else f"{type(error).__name__}: {error}"
            )
            print(f"FAULT {what}")
    print(f"{wrong} fault(s)." if wrong else "All of it fits together.")
    return 1 if wrong else 0


def _bundle() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_read("bundle.json"))
    return found


def _read(name: str) -> bytes:
    path = HERE / name
    if path.resolve().parent not in (HERE, HERE / "manifests"):
        raise Malformed(f"{name!a} leads out of the bundle")
    return path.read_bytes()


def _body() -> dict[str, Any]:
    found: dict[str, Any] = check_export.parsed(_read("receipt.json"))
    return found


def _receipt() -> Iterator[str]:
    if not _bundle()["receipt"]:
        yield "there is no receipt in this bundle: nothing in it is signed"
        return
    body = _body()
    if body["arrival"] != _bundle()["arrival"]:
        raise Malformed("the receipt is that of another arrival")
    signature = _read("receipt.sig").decode("ascii")
    text = _read("receipt.json").decode("utf-8")
    check_export.verify_signature(text, signature, HERE / "allowed_signers", body["arrival"])
    yield f"the receipt of arrival {body['arrival']} is signed by a key in allowed_signers"


def _manifests() -> Iterator[str]:
    for url, name in _bundle()["manifests"].items():
        if hashlib.sha256(_read(name)).hexdigest() != _body()["manifests"].get(url):
            raise Malformed(f"{name!a} is not the manifest that the receipt names for {url!a}")
        yield f"the manifest {name!a} is the one that the receipt names"


def _delivery() -> Iterator[str]:
    delivery = _bundle()["delivery"]
    if not delivery:
        return
    name = _bundle()["manifests"].get(delivery["destination"])
    if name is None:
        yield "the manifest is not in this bundle, so only the portal has said what the file's SHA-256 is"
        return
    if delivery["manifest_line"] not in _read(name).decode("utf-8", "surrogateescape").splitlines():
        raise Malformed(f"the manifest has no line {delivery['manifest_line']!a}")
    if not delivery["manifest_line"].lstrip("\\").startswith(delivery["sha256"] + "  "):
        raise Malformed("the line of the manifest has another SHA-256")
    yield f"the manifest lists {delivery['stored_as']!a} with SHA-256 {delivery['sha256']}"


def _events() -> Iterator[str]:
    before, count = (0, ""), 0
    head = _body()["head"] if _bundle()["receipt"] else {"seq": -1, "hash": ""}
    for line in _read("events.jsonl").splitlines():
        content = check_export.parsed(line)
        check_export.require(content, {"event": dict, "hash": str, "previous": str})
        event = content["event"]
        check_export.require(event, check_export.EVENT_TYPES)
        text = content["previous"] + check_export.canonical(event)
        if hashlib.sha256(text.encode("utf-8")).hexdigest() != content["hash"]:
            raise Malformed(f"the hash of event {event['seq']} does not fit: it was changed")
        if event["seq"] == before[0] + 1 and before[0] and content["previous"] != before[1]:
            raise Malformed(f"event {event['seq']} does not follow event {before[0]}")
        if event["seq"] == head["seq"]:
            if content["hash"] != head["hash"]:
                raise Malformed(f"the receipt names another event {event['seq']}")
            yield f"event {event['seq']} is the head of the chain that the receipt names"
        before, count = (event["seq"], content["hash"]), count + 1
    yield f"the hashes of {count} event(s) fit"


def _files(files: list[Path]) -> Iterator[str]:
    delivery = _bundle()["delivery"]
    for path in files:
        if not delivery:
            raise Malformed("this bundle proves a whole arrival: use `sha256sum -c` with its manifest")
        digest = hashlib.sha256()
        with path.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
        if digest.hexdigest() != delivery["sha256"]:
            raise Malformed(f"{str(path)!a} is another file: its SHA-256 is {digest.hexdigest()}")
        yield f"{str(path)!a} is the file that was delivered"


if __name__ == "__main__":
    sys.exit(main())
