"""A receipt is believed only if the known server signed it, for this bag, and over the bytes that were sent."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dropslot.audit.canonical import canonical
from dropslot.core.signing import signers, sshsig
from dropslot.sender.home_folder import HomeUnready
from dropslot.sender.inbox import SignedReceipt
from dropslot.sender.receipts.kept_signers import KeptSigners, NoSigners, SignersChanged
from dropslot.sender.receipts.verify_receipt import BadReceipt, Checked, check

BAG = "heart-20261129T193000Z-pc-01"
KEY, STRANGER = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
KNOWN, OTHER = (frozenset({sshsig.public_blob(key.public_key())}) for key in (KEY, STRANGER))
SENT = {"eprime/a.edat2": "a" * 64, "eprime/b.edat2": "b" * 64}
WHERE = "sftp://drop@lab.example/inbox"


def row(path: str, outcome: str = "delivered", **more: Any) -> dict[str, Any]:
    stored = [{"as": path, "version": 1, "outcome": outcome}] if outcome != "refused" else []
    digest = None if outcome == "refused" else SENT.get(path)
    return {"file": path, "outcome": outcome, "sha256": digest, "reason": [], "stored": stored} | more


def made(
    *rows: dict[str, Any], key: Ed25519PrivateKey = KEY, namespace: str = "dropslot", **more: Any
) -> SignedReceipt:
    files = "".join(canonical(one) + "\n" for one in rows)
    body = canonical(
        {
            "arrival": "01J",
            "sent_as": BAG,
            "state": "done",
            "reason": [],
            "finished_at": "2026-11-29T19:30:00Z",
        }
        | {"files_sha256": hashlib.sha256(files.encode()).hexdigest()}
        | more
    )
    return SignedReceipt(body, sshsig.sign(key, namespace, body.encode()), files)


def signed(body: str, files: str = "") -> SignedReceipt:
    return SignedReceipt(body, sshsig.sign(KEY, "dropslot", body.encode()), files)


ROWS = (row("eprime/a.edat2"), row("eprime/b.edat2", "unchanged"))
WHOLE = made(*ROWS)


def checked(receipt: SignedReceipt) -> Checked:
    return check(receipt, BAG, SENT, KNOWN)


def test_each_file_gets_the_outcome_that_the_server_signed() -> None:
    found = checked(WHOLE)
    assert (found.state, found.arrival) == ("done", "01J")
    assert {path: one.state for path, one in found.files.items()} == {
        "eprime/a.edat2": "delivered",
        "eprime/b.edat2": "unchanged",
    }
    assert found.files["eprime/a.edat2"].version == 1


FORGED = {
    "made by a stranger": made(row("eprime/a.edat2"), key=STRANGER),
    "made for another purpose": made(row("eprime/a.edat2"), namespace="file"),
    "of another bag": made(row("eprime/a.edat2"), row("eprime/b.edat2"), sent_as="heart-2"),
    "with a changed body": dataclasses.replace(WHOLE, body=WHOLE.body.replace("done", "DONE")),
    "with a changed list": dataclasses.replace(WHOLE, files=WHOLE.files.replace("unchanged", "delivered")),
    "with a list that is cut off": dataclasses.replace(WHOLE, files=WHOLE.files.splitlines()[0]),
    "of other bytes": made(row("eprime/a.edat2", sha256="c" * 64), row("eprime/b.edat2")),
    "with an unknown state": made(row("eprime/a.edat2"), state="perhaps"),
    "with an unknown outcome": made(row("eprime/a.edat2", "lost"), row("eprime/b.edat2")),
    "with an arrival that is no text": made(*ROWS, arrival={"id": "01J"}),
    "without a signature": dataclasses.replace(WHOLE, signature=""),
    "with a body that no UTF-8 holds": dataclasses.replace(WHOLE, body="\ud800"),
    "that is a list": signed("[]"),
    "of too many levels": signed("[" * 100_000),
    "with a number that no program holds": signed("9" * 10_000),
    "without an arrival": signed(canonical({"sent_as": BAG, "state": "done"})),
    "with rows of another form": made({"file": ["a"], "outcome": {}}),
    "with names that are numbers": made(*ROWS, reason=7),
}


@pytest.mark.parametrize("receipt", FORGED.values(), ids=FORGED)
def test_a_receipt_that_is_forged_foreign_or_altered_says_nothing(receipt: SignedReceipt) -> None:
    with pytest.raises(BadReceipt, match=BAG) as caught:
        checked(receipt)
    assert "keep the state" in caught.value.where and "delete" in caught.value.next_step


def test_what_a_server_says_moves_no_terminal() -> None:
    found = checked(made(*ROWS, finished_at="\x1b[2J", arrival="\x1b[1A"))
    assert (found.finished_at, found.arrival) == ("\\x1b[2J", "\\x1b[1A")


def test_of_a_refused_arrival_only_the_file_at_fault_is_named_as_such() -> None:
    fault = "eprime/a.edat2: the name is not allowed"
    receipt = made(
        row("eprime/a.edat2", "refused", reason=[fault]),
        row("eprime/b.edat2", "refused"),
        state="failed",
        reason=[fault],
    )
    found = checked(receipt).files
    assert {one.state for one in found.values()} == {"refused"}
    assert found["eprime/a.edat2"].is_at_fault and found["eprime/a.edat2"].reason == (fault,)
    assert not found["eprime/b.edat2"].is_at_fault and fault in found["eprime/b.edat2"].reason


def test_a_file_that_the_receipt_does_not_list_is_not_delivered() -> None:
    found = checked(made(row("eprime/a.edat2"))).files["eprime/b.edat2"]
    assert found.state == "refused" and "does not list" in found.reason[0]


def offering(keys: frozenset[bytes]) -> str:
    return "".join(f"{signers.line(key, name=signers.PRINCIPAL)}\n" for key in keys)


def test_a_servers_key_is_kept_at_first_sight_and_a_changed_one_stops(tmp_path: Path) -> None:
    kept = KeptSigners(tmp_path / "signers", WHERE)
    with pytest.raises(NoSigners):
        kept.trusted(lambda: "")
    assert kept.trusted(lambda: offering(KNOWN)) == KNOWN
    again = KeptSigners(tmp_path / "signers", WHERE)
    assert again.trusted(lambda: offering(KNOWN)) == KNOWN
    for changed in (OTHER, KNOWN | OTHER):
        with pytest.raises(SignersChanged, match="SHA256:") as caught:
            again.trusted(lambda changed=changed: offering(changed))  # type: ignore[misc]
        assert str(again.path) in caught.value.next_step
    assert again.trusted(lambda: offering(KNOWN)) == KNOWN
    assert KeptSigners(tmp_path / "signers", "https://lab.example").trusted(lambda: offering(OTHER)) == OTHER
    again.path.write_bytes(b"\xff\xfe damaged")
    with pytest.raises(SignersChanged, match="cannot be read"):
        again.trusted(lambda: offering(KNOWN))
    kept = KeptSigners(tmp_path / "full", WHERE)
    kept.path.with_name(f"{kept.path.name}.{os.getpid()}.new").mkdir(parents=True)
    with pytest.raises(HomeUnready, match="cannot be written"):
        kept.trusted(lambda: offering(KNOWN))


def test_the_presets_signer_alone_counts(tmp_path: Path) -> None:
    (line,) = (signers.line(key) for key in KNOWN)
    pinned = KeptSigners(tmp_path / "signers", WHERE, line)
    with pytest.raises(SignersChanged, match="preset"):
        pinned.trusted(lambda: offering(OTHER))
    assert pinned.trusted(lambda: offering(KNOWN | OTHER)) == KNOWN
    assert not (tmp_path / "signers").exists()
    with pytest.raises(SignersChanged, match="cannot be read"):
        KeptSigners(tmp_path, WHERE, "ssh-rsa AAAA").trusted(lambda: offering(KNOWN))
