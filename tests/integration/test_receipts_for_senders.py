"""Each sender finds the signed receipts of what it sent in a folder that nobody else may read."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bagit
import pytest

from acting import acting
from dropslot.core.signing import signers
from dropslot.sender.inbox import SignedReceipt
from dropslot.sender.receipts.verify_receipt import Checked, check
from people import Person, Program
from product import Product, write_tree
from tracing import Strace
from waiting import wait_until

ROUTE: dict[str, Any] = {
    "folders": "./study",
    "takes": "directories",
    "name": r"(?P<study>\w+)-(?P<sent>.+)",
    "receipts": "./receipts/{sender}",
    "select": {"patterns": ["*.edat2"]},
    "deliver": [{"to": "./studies/{study}"}],
}
FILES = {"eprime/a.edat2": b"first", "eprime/b.edat2": b"second"}


@pytest.fixture
def laboratory(make_product: Callable[..., Product], open_folder: Path, database_url: str) -> Product:
    """Where other accounts may go in; the senders' folders are made by the service."""
    product = make_product(database_url, open_folder / "laboratory")
    product.root.chmod(0o755)
    product.configure({"study": ROUTE})
    (product.root / "receipts").mkdir(mode=0o711)
    (product.root / "receipts").chmod(0o711)
    return product


def send(product: Product, sender: Person, name: str, files: dict[str, bytes]) -> dict[str, str]:
    """A bag, dropped by this account. Returns the digest of each file."""
    aside = product.root / f".{name}"
    write_tree(aside, files)
    bagit.make_bag(str(aside), checksums=["sha256"])
    for path in (aside, *aside.rglob("*")):
        os.chown(path, sender.uid, sender.gid)
    aside.rename(product.folder("inbox") / name)
    return {path: hashlib.sha256(content).hexdigest() for path, content in files.items()}


def read(product: Product, reader: Person, sender: Person, name: str) -> bytes:
    return acting(reader, (product.root / "receipts" / sender.name / name).read_bytes)


def receipt(product: Product, sender: Person, name: str, sent: dict[str, str]) -> Checked:
    """As the sender's program reads it."""
    keys = signers.parse(read(product, sender, sender, "allowed_signers").decode())
    found = json.loads(read(product, sender, sender, f"{name}.json"))
    return check(SignedReceipt(**found), name, sent, keys)


def states(checked: Checked) -> dict[str, str]:
    return {path: one.state for path, one in checked.files.items()}


def test_a_sender_reads_what_became_of_each_file_and_nobody_else_does(
    laboratory: Product, other_user: Person, service_user: Person
) -> None:
    sent = send(laboratory, other_user, "heart-1", FILES)
    laboratory.drain()
    found = receipt(laboratory, other_user, "heart-1", sent)
    assert (found.state, states(found)) == ("done", dict.fromkeys(FILES, "delivered"))
    assert found.files["eprime/a.edat2"].stored_as == "eprime/a.edat2"
    for name in ("heart-1.json", "allowed_signers"):
        with pytest.raises(PermissionError):
            read(laboratory, service_user, other_user, name)
        with pytest.raises(PermissionError):
            acting(other_user, lambda name=name: _file(laboratory, other_user, name).write_bytes(b""))  # type: ignore[misc]
        with pytest.raises(PermissionError):
            acting(other_user, _file(laboratory, other_user, name).unlink)
    again = send(laboratory, other_user, "heart-2", {**FILES, "eprime/c.edat2": b"third"})
    laboratory.drain()
    assert states(receipt(laboratory, other_user, "heart-2", again)) == {
        **dict.fromkeys(FILES, "unchanged"),
        "eprime/c.edat2": "delivered",
    }


def _file(product: Product, sender: Person, name: str) -> Path:
    return product.root / "receipts" / sender.name / name


def test_a_refused_arrival_has_a_receipt_that_a_later_delivery_replaces(
    laboratory: Product, other_user: Person
) -> None:
    sent = send(laboratory, other_user, "heart-1", {**FILES, "eprime/notes.txt": b"no data"})
    laboratory.drain(status=1)
    found = receipt(laboratory, other_user, "heart-1", sent)
    assert (found.state, set(states(found).values())) == ("failed", {"refused"})
    at_fault = {path for path, one in found.files.items() if one.is_at_fault}
    assert at_fault == {"eprime/notes.txt"} and "patterns" in found.files["eprime/notes.txt"].reason[0]
    laboratory.configure({"study": {**ROUTE, "select": {}}})
    (row,) = laboratory.arrivals()
    laboratory.run("retry", row["id"], "--name", "heart-9")
    laboratory.drain()
    found = receipt(laboratory, other_user, "heart-1", sent)
    assert (found.state, set(states(found).values())) == ("done", {"delivered"})
    assert not _file(laboratory, other_user, "heart-9.json").exists()


def test_deliveries_do_not_wait_for_a_folder_of_receipts_and_nothing_is_missing_later(
    laboratory: Product, other_user: Person
) -> None:
    shutil.rmtree(laboratory.root / "receipts")
    sent = send(laboratory, other_user, "heart-1", FILES)
    laboratory.drain()
    assert len(laboratory.history()) == 2
    said = laboratory.run("doctor", status=1).stdout
    assert "receipts is missing, so no sender gets a receipt" in said and "install -d -m 711" in said
    (laboratory.root / "receipts").mkdir(mode=0o711)
    (laboratory.root / "receipts").chmod(0o711)

    def is_written() -> bool:
        laboratory.drain()
        return _file(laboratory, other_user, "heart-1.json").exists()

    wait_until(is_written, deadline_seconds=60, what="the receipt that was put off")
    assert states(receipt(laboratory, other_user, "heart-1", sent)) == dict.fromkeys(FILES, "delivered")


def test_after_a_kill_while_a_receipt_gets_its_name_the_next_run_writes_it(
    sqlite_product: Product, strace: Strace
) -> None:
    product = sqlite_product.configure({"study": ROUTE})
    (product.root / "receipts").mkdir()
    folder = product.root / "receipts" / "root"
    product.drop("heart-0", FILES)
    product.drain()
    product.drop("heart-1", FILES)
    number = _names_given(product, strace).index("heart-1.json") + 1
    product.drop("heart-2", FILES)
    assert _names_given(product, strace, f"renameat:signal=KILL:when={number}")[-1] == "heart-2.json"
    (left,) = folder.glob(".dropslot-*")
    assert not (folder / "heart-2.json").exists()
    product.drain()
    assert json.loads((folder / "heart-2.json").read_text())["signature"].startswith("-----BEGIN SSH")
    for old in (left, folder / "heart-1.json"):
        os.utime(old, (0, 0))
    product.drain()
    assert {path.name for path in folder.iterdir()} == {"allowed_signers", "heart-0.json", "heart-2.json"}


def _names_given(product: Product, strace: Strace, *inject: str) -> list[str]:
    """The names that a drain gives by this call."""
    command = product.command("drain", "--now")
    trace = strace(command, calls="renameat", inject=inject, env=product.environment)
    return [call.args.rpartition('"')[0].rpartition('"')[2] for call in trace.calls]


def test_a_link_that_a_sender_makes_leads_nowhere(laboratory: Product, other_user: Person) -> None:
    laboratory.configure({"study": {**ROUTE, "receipts": "./homes/{sender}/receipts"}})
    home, elsewhere = laboratory.root / "homes" / other_user.name, laboratory.root / "elsewhere"
    home.mkdir(parents=True)
    elsewhere.mkdir()
    other_user.owns(home)
    (home / "receipts").symlink_to(elsewhere)
    sent = send(laboratory, other_user, "heart-1", FILES)
    laboratory.drain()
    assert not list(elsewhere.iterdir())
    (home / "receipts").unlink()
    (home / "receipts").mkdir()
    send(laboratory, other_user, "heart-2", {"eprime/c.edat2": b"c"})
    drained = laboratory.drain()
    assert "Others may use" in drained.stdout + drained.stderr
    assert not list((home / "receipts").iterdir())
    (home / "receipts").chmod(0o700)

    def is_written() -> bool:
        laboratory.drain()
        return (home / "receipts" / "heart-1.json").exists()

    wait_until(is_written, deadline_seconds=60, what="the receipt that was put off")
    content = acting(other_user, (home / "receipts" / "heart-1.json").read_text)
    keys = signers.parse(acting(other_user, (home / "receipts" / "allowed_signers").read_text))
    assert check(SignedReceipt(**json.loads(content)), "heart-1", sent, keys).state == "done"


def test_a_service_that_is_not_root_hands_out_receipts_too(
    make_product: Callable[..., Product],
    open_folder: Path,
    program_for_everybody: Program,
    other_user: Person,
    service_user: Person,
) -> None:
    product = make_product(root=open_folder / "laboratory", how=program_for_everybody)
    product.configure({"study": {**ROUTE, "complete": "named"}})
    (product.root / "receipts").mkdir(mode=0o711)
    subprocess.run(["chown", "-R", f"{service_user.uid}:{service_user.gid}", product.root], check=True)
    product.root.chmod(0o755)
    (product.root / "receipts").chmod(0o711)
    product.folder("inbox").chmod(0o3773)
    script = 'umask 0 && mkdir -p "$1/heart-1" && echo x > "$1/heart-1/a.edat2"'
    other_user.run("sh", "-c", script, "sh", product.folder("inbox"))
    product.run("drain", "--now", as_person=service_user)
    sent = {"a.edat2": hashlib.sha256(b"x\n").hexdigest()}
    assert states(receipt(product, other_user, "heart-1", sent)) == {"a.edat2": "delivered"}
