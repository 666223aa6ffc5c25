"""The whole way: `dropslot send` on a PC, OpenSSH's server, what the server's own command delivers, and receipts."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from collecting import ROUTE, Pc
from mounts import Mounts
from product import Product
from sshd import Sshd
from waiting import wait_until


def laboratory(product: Product, **route: Any) -> Product:
    product.configure({"study": ROUTE | route})
    (product.root / "study" / "receipts").mkdir(exist_ok=True)
    return product


@pytest.fixture
def lab(sqlite_product: Product) -> Product:
    return laboratory(sqlite_product)


@pytest.fixture
def make_pc(lab: Product, shared_sshd: Sshd, tmp_path: Path) -> Callable[[str], Pc]:
    return lambda name: Pc(tmp_path / name, shared_sshd, lab.folder("inbox"))


@pytest.fixture
def pc(make_pc: Callable[[str], Pc]) -> Pc:
    return make_pc("pc")


def states(pc: Pc) -> dict[str, str]:
    return {row["file"].removeprefix("eprime/"): row["state"] for row in pc.sent()}


def unfinished(lab: Product) -> list[str]:
    return [entry.name for entry in lab.folder("inbox").iterdir() if entry.name.startswith(".")]


def test_a_name_that_the_output_cannot_store_ends_no_command(pc: Pc) -> None:
    """As with Windows, where a log or pipe has the characters of one region only."""
    pc.write("参加者01.edat3")
    words = ["send", str(pc.data), "--dry-run", *pc.signed_in]
    environment = pc.environment | {"PYTHONIOENCODING": "cp1252"}
    done = subprocess.run([sys.executable, "-m", "dropslot", *words], env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert rb"data/\u53c2\u52a0\u800501.edat3" in done.stdout


def test_what_is_new_is_sent_once_delivered_exactly_and_known_to_be(pc: Pc, lab: Product) -> None:
    files = {
        "s01.edat3": b"one",
        "visit 2/s02.edat3": b"two" * 50_000,
        "100% süß.txt": b"three",
        "empty": b"",
    }
    for name, content in files.items():
        pc.write(name, content)
    assert "4 files" in pc.send("--no-wait", "--location", "Brogden A").stdout
    assert set(states(pc).values()) == {"uploaded"}
    (bag,) = lab.folder("inbox").iterdir()
    assert bag.name.startswith("heart-") and "-Brogden_A-" in bag.name
    lab.drain()
    assert lab.delivered() == {f"heart/eprime/{name}": content for name, content in files.items()}
    assert {row["location"] for row in lab.history()} == {"Brogden_A"}
    assert states(pc) == dict.fromkeys(files, "delivered")
    (arrival,) = lab.arrivals()
    assert {(row["arrival"], *row["reason"]) for row in pc.sent()} == {(arrival["id"],)}
    assert "Nothing is new" in pc.send("--no-wait").stdout
    assert pc.send("--all", "--no-wait").status == 0
    lab.drain()
    assert [row["state"] for row in pc.sent()] == ["delivered"] * 4 + ["unchanged"] * 4


def test_two_pcs_send_to_the_same_study_at_once_and_wait_for_their_ticks(
    make_pc: Callable[[str], Pc], lab: Product
) -> None:
    pcs = [make_pc("one"), make_pc("two")]
    for number, pc in enumerate(pcs):
        for count in range(30):
            pc.write(f"pc{number}/{count}.txt", f"{number} {count}".encode())
    lab.start("run")
    senders = [
        pc.start("send", pc.data, "--subfolder", "eprime", *pc.signed_in, "--json", "--wait") for pc in pcs
    ]
    for sender in senders:
        stdout, stderr = sender.communicate(timeout=120)
        assert sender.returncode == 0, stderr
        seen = [json.loads(line) for line in stdout.splitlines()]
        assert [
            sum(row["state"] == state for row in seen) for state in ("uploading", "uploaded", "delivered")
        ] == [30] * 3
    expected = {f"heart/eprime/pc{n}/{c}.txt": f"{n} {c}".encode() for n in range(2) for c in range(30)}
    assert lab.delivered() == expected


def test_a_killed_send_continues_with_the_same_bag(pc: Pc, lab: Product) -> None:
    content = os.urandom(30_000_000)
    pc.write("big.bin", content)
    pc.write("small.txt")
    words: list[str | Path] = [
        "send",
        pc.data,
        "--subfolder",
        "eprime",
        *pc.signed_in,
        "--no-wait",
        "--limit",
    ]
    first = pc.start(*words, "5MB/s")
    big = wait_until(lambda: next(lab.folder("inbox").rglob("big.bin"), None), what="the upload's beginning")
    assert big
    wait_until(lambda: big.stat().st_size > 6_000_000, what="a part of the upload")
    first.send_signal(signal.SIGKILL)
    first.communicate()
    (bag,) = unfinished(lab)
    assert "uploading" in states(pc).values()
    again = pc.run("send", "--no-wait")
    assert f"Continuing {bag[1:]}" in again.stdout
    assert [entry.name for entry in lab.folder("inbox").iterdir()] == [bag[1:]]
    lab.drain()
    assert lab.delivered() == {"heart/eprime/big.bin": content, "heart/eprime/small.txt": b"data"}


@pytest.mark.parametrize("lost", ["a file", "the bag"])
def test_what_is_lost_at_the_server_meanwhile_is_sent_again(pc: Pc, lab: Product, lost: str) -> None:
    files = {f"{number:02}.bin": os.urandom(400_000) for number in range(12)}
    for name, content in files.items():
        pc.write(name, content)
    first = pc.start(
        "send", pc.data, "--subfolder", "eprime", *pc.signed_in, "--no-wait", "--limit", "1500kB/s"
    )

    def done() -> list[str]:
        uri = f"file:{pc.home}/ledger.sqlite3?mode=ro"
        with contextlib.suppress(sqlite3.OperationalError), sqlite3.connect(uri, uri=True) as ledger:
            return [name for (name,) in ledger.execute("SELECT path FROM file WHERE sha256 <> ''")]
        return []

    wait_until(done, what="a file that is whole")
    first.kill()
    first.communicate()
    (bag,) = lab.folder("inbox").iterdir()
    gone = bag / "data" / done()[0]
    shutil.rmtree(bag) if lost == "the bag" else gone.unlink()
    pc.run("send", "--no-wait")
    lab.drain()
    assert lab.delivered() == {f"heart/eprime/{name}": content for name, content in files.items()}
    assert set(states(pc).values()) == {"delivered"}


def test_ctrl_c_keeps_what_was_sent_and_says_so(pc: Pc, lab: Product) -> None:
    pc.write("big.bin", bytes(20_000_000))
    sender = pc.start(
        "send", pc.data, "--subfolder", "eprime", *pc.signed_in, "--no-wait", "--limit", "2MB/s"
    )
    wait_until(lambda: next(lab.folder("inbox").rglob("big.bin"), None), what="the upload's beginning")
    sender.send_signal(signal.SIGINT)
    _, stderr = sender.communicate(timeout=30)
    assert sender.returncode == 130
    assert "`dropslot send` continues" in stderr and "Traceback" not in stderr
    assert unfinished(lab)
    pc.run("send", "--no-wait")
    assert set(states(pc).values()) == {"uploaded"}


def test_a_refused_arrival_waits_for_a_correction(pc: Pc, sqlite_product: Product) -> None:
    lab = laboratory(sqlite_product, select={"mime": ["text/plain"]})
    pc.write("good.txt", b"plain words\n")
    pc.write("bad.txt", b"\x7fELF\x02\x01\x01" + bytes(60))
    pc.send("--no-wait")
    lab.drain(status=None)
    rows = {row["file"]: row for row in pc.sent()}
    assert {row["state"] for row in rows.values()} == {"refused"}
    assert rows["eprime/bad.txt"]["reason"]
    waits = pc.send("--no-wait", status=1)
    assert "bad.txt: the server refused it" in waits.stdout
    pc.write("bad.txt", b"corrected words\n")
    pc.send("--no-wait")
    lab.drain()
    assert lab.delivered() == {
        "heart/eprime/good.txt": b"plain words\n",
        "heart/eprime/bad.txt": b"corrected words\n",
    }
    assert [row["state"] for row in pc.sent()] == ["refused", "refused", "delivered", "delivered"]


def test_a_damaged_ledger_is_made_anew_from_receipts(pc: Pc, lab: Product) -> None:
    pc.write("a.txt", b"alpha")
    pc.send("--no-wait")
    lab.drain()
    assert states(pc) == {"a.txt": "delivered"}
    ledger = pc.home / "ledger.sqlite3"
    for suffix in ("-wal", "-shm"):
        ledger.with_name(ledger.name + suffix).unlink(missing_ok=True)
    ledger.write_bytes(b"no ledger any more" * 1000)
    pc.write("b.txt", b"beta")
    done = pc.send("--no-wait")
    assert "is damaged" in done.stderr and "No file of yours is touched" in done.stderr
    assert list(pc.home.glob("ledger.sqlite3.damaged-*"))
    assert states(pc) == {"a.txt": "delivered", "b.txt": "uploaded"}
    lab.drain()
    assert lab.delivered() == {"heart/eprime/a.txt": b"alpha", "heart/eprime/b.txt": b"beta"}


def test_two_senders_on_one_pc_do_not_send_the_same_twice(pc: Pc, lab: Product) -> None:
    pc.write("big.bin", bytes(20_000_000))
    sender = pc.start(
        "send", pc.data, "--subfolder", "eprime", *pc.signed_in, "--no-wait", "--limit", "4MB/s"
    )
    wait_until(lambda: next(lab.folder("inbox").rglob("big.bin"), None), what="the upload's beginning")
    busy = pc.send("--no-wait", status=1)
    assert "Another dropslot on this computer is sending now" in busy.stderr
    sender.communicate(timeout=60)
    assert sender.returncode == 0
    assert len(list(lab.folder("inbox").iterdir())) == 1


def test_a_file_that_changes_while_it_is_sent_is_left_out_and_named(pc: Pc, lab: Product) -> None:
    changing, vanishing = (
        pc.write("changing.bin", bytes(12_000_000)),
        pc.write("vanishing.bin", bytes(12_000_000)),
    )
    pc.write("steady.txt", b"steady")
    sender = pc.start(
        "send", pc.data, "--subfolder", "eprime", *pc.signed_in, "--no-wait", "--limit", "6MB/s"
    )
    wait_until(lambda: next(lab.folder("inbox").rglob("changing.bin"), None), what="the upload's beginning")
    with changing.open("ab") as file:
        file.write(b"more")
    vanishing.unlink()
    stdout, stderr = sender.communicate(timeout=60)
    assert sender.returncode == 1, stderr
    assert "Not sent: " in stdout and "changing.bin" in stdout
    lab.drain()
    assert lab.delivered()["heart/eprime/steady.txt"] == b"steady"
    assert "heart/eprime/changing.bin" not in lab.delivered()
    pc.send("--no-wait")
    lab.drain()
    assert lab.delivered()["heart/eprime/changing.bin"] == changing.read_bytes()


def other_key(pc: Pc) -> list[str]:
    key = pc.root / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    assert pc.server
    return ["--key", str(key), "--known-hosts", str(pc.server.known_hosts)]


def unknown_host(pc: Pc) -> list[str]:
    assert pc.server
    return ["--key", str(pc.server.key), "--known-hosts", str(pc.root / "none")]


def changed_host(pc: Pc) -> list[str]:
    assert pc.server
    public = Path(other_key(pc)[1] + ".pub").read_text().split()
    hosts = pc.root / "changed_hosts"
    hosts.write_text(f"[127.0.0.1]:{pc.server.port} {public[0]} {public[1]}\n")
    return ["--key", str(pc.server.key), "--known-hosts", str(hosts)]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (other_key, "did not let root sign in"),
        (unknown_host, "does not know 127.0.0.1"),
        (changed_host, "changed"),
        (lambda pc: [*unknown_host(pc), "--trust", "SHA256:" + "A" * 43], "not"),
        (
            lambda pc: [*pc.signed_in[4:], "--to", f"sftp://root@127.0.0.1:{pc.server.port}/nowhere"],
            "no inbox",
        ),
        (lambda pc: [*pc.signed_in[4:], "--to", "sftp://root@127.0.0.1:1/inbox"], "127.0.0.1:1"),
    ],
    ids=["key", "unknown-host", "changed-host", "other-fingerprint", "inbox-missing", "no-server"],
)
def test_what_keeps_one_out_is_said_and_nothing_is_claimed(
    pc: Pc, lab: Product, options: Callable[[Pc], list[str]], said: str
) -> None:
    pc.write("a.txt")
    where = ["--to", pc.signed_in[1], "--study", "heart"]
    done = pc.run("send", pc.data, *where, *options(pc), "--no-wait", status=1)
    assert said in done.stderr.lower() and "Traceback" not in done.stderr
    assert pc.sent() == []
    assert not list(lab.folder("inbox").iterdir())
    pc.send("--no-wait")
    assert len(list(lab.folder("inbox").iterdir())) == 1


def test_a_forged_receipt_changes_nothing_and_keeps_no_other_back(pc: Pc, lab: Product) -> None:
    for name in ("a.txt", "b.txt"):
        pc.write(name, name.encode())
        pc.send("--no-wait")
    lab.drain()
    forged = next(
        path for path in lab.root.glob("study/receipts/root/heart-*.json") if "a.txt" in path.read_text()
    )
    true = forged.read_text()
    found = json.loads(true)
    forged.write_text(json.dumps(found | {"body": found["body"].replace('"done"', '"failed"')}))
    assert "signature" in pc.run("sent", status=1).stderr
    rows = pc.run("sent", "--json", status=1).objects
    assert {row["file"]: row["state"] for row in rows} == {
        "eprime/a.txt": "uploaded",
        "eprime/b.txt": "delivered",
    }
    assert pc.run("sent", "--json", "--limit", "1", status=1).objects == rows[1:]
    forged.write_text("no receipt at all")
    assert "cannot be read" in pc.run("sent", status=1).stderr
    forged.write_text(true)
    assert states(pc) == {"a.txt": "delivered", "b.txt": "delivered"}


def test_a_file_without_a_receipt_for_days_is_named(pc: Pc, lab: Product) -> None:
    pc.write("a.txt")
    pc.send("--no-wait")
    assert "had no receipt" not in pc.run("sent").stderr
    with contextlib.closing(sqlite3.connect(pc.home / "ledger.sqlite3")) as ledger, ledger:
        ledger.execute("UPDATE file SET at = '2026-01-02T03:04:05.678Z'")
    assert "1 file had no receipt for 2 days" in pc.run("sent").stderr
    lab.drain()
    assert "had no receipt" not in pc.run("sent").stderr


def test_a_full_disk_of_the_pc_is_said(pc: Pc, lab: Product, mounts: Mounts) -> None:
    disk = mounts.tmpfs("2m")
    pc.home = disk / "home"
    pc.write("a.txt")
    pc.send("--dry-run")
    (disk / "filling").write_bytes(b"")
    with (disk / "filling").open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    done = pc.send("--no-wait", status=1)
    assert "Make room on this disk" in done.stderr and "Traceback" not in done.stderr
    (disk / "filling").unlink()
    pc.send("--no-wait")
    lab.drain()
    assert lab.delivered() == {"heart/eprime/a.txt": b"data"}


def test_presets_with_mistakes_name_every_one(pc: Pc) -> None:
    pc.home.mkdir()
    (pc.home / "settings.yaml").write_text(
        "presets:\n  heart-a:\n    to: ftp://lab/inbox\n    foldres: {}\n    limit: fast\n"
        "    folders: {'a/b': {path: data, slected: no}, eeg: {path: \"/eeg\\0\"}}\n"
    )
    done = pc.run("send", "heart-a", status=1)
    for words in (
        "heart-a",
        "a hyphen ends",
        "ftp://lab/inbox",
        "did you mean folders",
        "expected a rate",
        "a whole path",
        "folders.eeg.path",
    ):
        assert words in done.stderr
    assert (
        "did you mean selected" in done.stderr
        and "line 4" in done.stderr
        and "Nothing was sent" in done.stderr
    )


def test_a_shared_preset_is_sent_with_the_location_of_this_pc_also_if_another_one_cannot_be(
    pc: Pc, lab: Product
) -> None:
    pc.write("s1.txt", b"one")
    pc.write("practice1.txt", b"no data")
    assert pc.server
    shared = pc.root / "lab.yaml"
    shared.write_text(
        f"presets:\n  heart:\n    to: {pc.server.url(lab.folder('inbox'))}\n    key: {pc.server.key}\n"
        f"    known_hosts: {pc.server.known_hosts}\n    exclude: ['practice*']\n"
        f"    folders:\n      eprime: {pc.data}\n      biopac: {{path: {pc.root}/unplugged, selected: false}}\n"
    )
    pc.home.mkdir()
    (pc.home / "settings.yaml").write_text(
        f"location: Brogden B\npresets_from: {shared}\nshared_may_set: [key, known_hosts]\npresets:\n"
        f"  away: {{to: '{pc.server.url('/nowhere')}', key: {pc.server.key},"
        f" known_hosts: {pc.server.known_hosts}, folders: {{eprime: {pc.data}}}}}\n"
    )
    assert "1 file would be sent" in pc.run("send", "heart", "--dry-run").stdout
    assert not list(lab.folder("inbox").iterdir())
    both = pc.run("send", "away", "heart", "--no-wait", status=1)
    assert "no inbox /nowhere" in both.stderr and "Uploaded whole: 1 file" in both.stdout
    lab.drain()
    assert lab.delivered() == {"heart/eprime/s1.txt": b"one"}
    assert [row["location"] for row in lab.history()] == ["Brogden_B"]
