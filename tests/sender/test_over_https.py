"""Bags go to a real portal over HTTP(S): whole, once, and resumed where they were."""

from __future__ import annotations

import hashlib
import os
import signal
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import pytest
import requests
import yaml

from at_pc import unnoted
from dropslot.core.errors import DropslotError
from dropslot.sender.bags.tag_files import PAYLOAD
from dropslot.sender.connecting import Access
from dropslot.sender.credentials import HostKey, Question
from dropslot.sender.faults import (
    BagGone,
    BagIncomplete,
    BagRefused,
    InboxClosed,
    InboxMissing,
    SignInRefused,
)
from dropslot.sender.inbox import Outgoing
from dropslot.sender.over_https.inbox import HttpsInbox
from dropslot.sftp.pace import Pace
from mounts import Mounts
from pacing import Standing
from portals import Served, installed
from product import Product, read_tree
from waiting import wait_until

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
    box.begin(BAG, [])
    noted = send(box, bag)
    assert noted.whole == bag.digests and noted.bytes == sum(map(len, FILES.values())) + len(LARGE) + 3
    assert not entries(served)
    for _ in range(2):
        box.finish(BAG, bag.tags, unnoted, may_be_named=False)
    served.product.wait_for_state(BAG, "done")
    delivered = read_tree(served.product.studies / "heart" / BAG.partition("-")[2])
    assert {
        PAYLOAD + path: hashlib.sha256(data).hexdigest() for path, data in delivered.items()
    } == bag.digests
    receipt = box.receipt(BAG)
    assert receipt is not None and '"state":"done"' in receipt.body
    assert box.signers().startswith("dropslot namespaces=")
    box.finish(BAG, bag.tags, unnoted, may_be_named=False)
    box.close()


class Cut(DropslotError):
    """What a person's pause, or a test, raises."""


def cut_after(size_bytes: int) -> Callable[[int], None]:
    def at(moved: int) -> None:
        if moved >= size_bytes:
            raise Cut("cut")

    return at


def test_an_upload_that_is_cut_goes_on_where_the_portal_is(
    served: Served, token: str, tmp_path: Path
) -> None:
    served.start()
    bag = Bag(tmp_path / "pc", {"large": LARGE, **FILES})
    first = Noted(cut_after(len(LARGE) // 2))
    with pytest.raises(Cut):
        send(inbox(served, token), bag, first)
    box = inbox(served, token)
    second = send(box, bag, None, *first.whole)
    assert first.whole | second.whole == bag.digests
    total = len(LARGE) + sum(map(len, FILES.values()))
    assert total <= first.bytes + second.bytes < 1.02 * total
    box.finish(BAG, bag.tags, unnoted, may_be_named=False)
    assert (served.product.folder("inbox") / BAG / "data" / "large").read_bytes() == LARGE
    box.close()


@pytest.mark.crash
def test_a_portal_that_is_killed_loses_nothing_that_it_acknowledged(
    served: Served, token: str, tmp_path: Path
) -> None:
    served.start()
    bag = Bag(tmp_path / "pc", {"large": LARGE, **FILES})

    def kill(moved: int) -> None:
        if moved > len(LARGE) // 2 and served.process and served.process.poll() is None:
            os.killpg(served.process.pid, signal.SIGKILL)
            served.process.wait()

    box, first = inbox(served, token), Noted(kill)
    with pytest.raises(DropslotError) as caught:
        send(box, bag, first)
    assert caught.value.retryable and "goes on by itself" in caught.value.next_step
    served.start()
    second = send(box, bag, None, *first.whole)
    assert second.bytes < len(LARGE)
    box.finish(BAG, bag.tags, unnoted, may_be_named=False)
    found = read_tree(served.product.folder("inbox") / BAG / "data")
    assert {PAYLOAD + path: hashlib.sha256(data).hexdigest() for path, data in found.items()} == bag.digests


def test_what_cannot_be_sent_is_left_out_and_named(served: Served, token: str, tmp_path: Path) -> None:
    served.start()
    bag = Bag(tmp_path / "pc", {**FILES, "large": LARGE, "gone": b"x", "line\nend": b"x"})
    wanted = bag.outgoing()
    (bag.folder / "gone").unlink()

    def change(moved: int) -> None:
        if moved > 5_000_000:
            os.utime(bag.folder / "large", (1, 1))

    box, noted = inbox(served, token), Noted(change)
    box.upload(BAG, wanted, {}, noted, Pace())
    assert set(noted.unsent) == {"data/gone", "data/large", "data/line\nend"}
    assert "deleted" in noted.unsent["data/gone"] and "changed" in noted.unsent["data/large"]
    assert "control character" in noted.unsent["data/line\nend"]
    for path in noted.unsent:
        del bag.digests[path]
    box.finish(BAG, bag.tags, unnoted, may_be_named=False)
    assert sorted(os.listdir(served.product.folder("inbox") / BAG / "data")) == ["eprime"]


def test_an_upload_that_was_removed_or_is_not_whole_is_not_finished(
    served: Served, token: str, tmp_path: Path
) -> None:
    served.start()
    bag, box = Bag(tmp_path / "pc", FILES), inbox(served, token)
    for _ in range(2):
        box.discard(BAG)
    with pytest.raises(BagGone):
        box.finish(BAG, bag.tags, unnoted, may_be_named=False)
    missing = next(iter(bag.digests))
    send(box, bag, None, missing)
    with pytest.raises(BagIncomplete) as caught:
        box.finish(BAG, bag.tags, unnoted, may_be_named=False)
    assert caught.value.paths == (missing,) and not entries(served)
    box.discard(BAG)
    assert [name for name in os.listdir(served.product.folder("inbox")) if "upload" in name] == []


def test_rules_of_the_route_refuse_a_bag_before_it_is_dropped(
    served: Served, token: str, tmp_path: Path
) -> None:
    served.start()
    bag, box = Bag(tmp_path / "pc", {"a": b"a"}), inbox(served, token)
    box.upload("nostudy", bag.outgoing(), {}, Noted(), Pace())
    with pytest.raises(BagRefused, match="nostudy"):
        box.finish("nostudy", bag.tags, unnoted, may_be_named=False)


def test_a_used_up_quota_is_said_and_what_was_sent_is_kept(
    make_product: Callable[..., Product], tmp_path: Path
) -> None:
    served = installed(make_product(), quota="10MB")
    served.account("sam", "sender")
    token = served.product.run("addtoken", "sam", "--scope", "upload", "--days", "1").stdout.strip()
    served.start()
    bag, noted = Bag(tmp_path / "pc", {**FILES, "large": LARGE}), Noted()
    with pytest.raises(DropslotError, match="limit for an account") as caught:
        send(inbox(served, token), bag, noted)
    assert caught.value.code == "quota" and caught.value.retryable and "is kept" in caught.value.where


def test_a_limit_paces_a_single_small_file(served: Served, token: str, tmp_path: Path) -> None:
    served.start()
    bag, clock, noted = Bag(tmp_path / "pc", {"one": LARGE[:900_000]}), Standing(), Noted()
    box = inbox(served, token)
    box.upload(BAG, bag.outgoing(), {}, noted, Pace(lambda: 400_000, clock))
    assert noted.whole == bag.digests
    assert clock.passed == pytest.approx(2.0, abs=0.01)  # the first quarter of a second's bytes go at once
    box.close()


def is_refused(served: Served, token: str) -> bool:
    headers = {"Authorization": f"Bearer {token}", "Tus-Resumable": "1.0.0"}
    return requests.post(f"{served.url}/api/v1/tus/", headers=headers, timeout=60).status_code == 401


def test_a_token_that_expires_meanwhile_is_said_and_another_goes_on(
    sqlite_product: Product, tmp_path: Path
) -> None:
    served = installed(sqlite_product)
    served.account("sam", "sender")
    tokens = [
        served.product.run("addtoken", "sam", "--scope", "upload", "--days", "1").stdout.strip()
        for _ in range(2)
    ]
    served.start()
    bag = Bag(tmp_path / "pc", {"large": LARGE * 4, **FILES})

    expired = threading.Event()

    def expire(sent_bytes: int) -> None:
        if sent_bytes > len(LARGE) and not expired.is_set():
            expired.set()
            with closing(sqlite3.connect(served.product.root / "var" / "dropslot.sqlite3")) as database:
                past = "UPDATE dropslot_token SET expires_at = '2020-01-01' WHERE digest = ?"
                database.execute(past, (hashlib.sha256(tokens[0].encode()).hexdigest(),))
                database.commit()
            wait_until(lambda: is_refused(served, tokens[0]), what="the portal looking up the token again")

    first = Noted(expire)
    with pytest.raises(SignInRefused, match="expired") as caught:
        send(inbox(served, tokens[0]), bag, first)
    assert "is kept" in caught.value.where and "data/large" not in first.whole
    box = inbox(served, tokens[1])
    second = send(box, bag, None, *first.whole)
    assert first.whole | second.whole == bag.digests
    assert second.bytes < 4 * len(LARGE)
    box.finish(BAG, bag.tags, unnoted, may_be_named=False)
    assert entries(served) == [BAG]
    box.close()


def test_a_full_disk_of_the_portal_keeps_what_came_until_there_is_room(
    served: Served, token: str, tmp_path: Path, mounts: Mounts
) -> None:
    disk = mounts.tmpfs("30m")
    study = {"folders": str(disk / "study"), "takes": "directories", "deliver": [{"to": "./studies"}]}
    for name in ("inbox", "processing", "done", "failed"):
        (disk / "study" / name).mkdir(parents=True)
    content = yaml.safe_load(served.product.config.read_text())
    content["routes"]["study"] = study
    served.product.config.write_text(yaml.safe_dump(content))
    served.start()
    bag, box, first = Bag(tmp_path / "pc", {**FILES, "large": LARGE}), inbox(served, token), Noted()
    with pytest.raises(DropslotError, match="disk of the inbox is full") as caught:
        send(box, bag, first)
    assert caught.value.code == "disk-full" and caught.value.retryable and "is kept" in caught.value.where
    subprocess.run(["mount", "-o", "remount,size=100m", disk], check=True)
    second = send(box, bag, None, *first.whole)
    assert second.bytes < 0.6 * len(LARGE)
    box.finish(BAG, bag.tags, unnoted, may_be_named=False)
    assert (disk / "study" / "inbox" / BAG / "data" / "large").read_bytes() == LARGE


def test_only_a_token_that_may_upload_signs_in(served: Served, token: str, tmp_path: Path) -> None:
    reading = served.product.run("addtoken", "sam", "--scope", "read", "--days", "1").stdout.strip()
    served.start()
    wrong = Nobody("ds_wrong", token)
    HttpsInbox(Access(served.url), wrong).close()
    assert (wrong.asked, wrong.was_accepted) == (2, True)
    file = tmp_path / "token"
    file.write_text("ds_wrong\n")
    odd = Nobody(
        "ds_\u2026", "ds_one\nds_two", f"token {token}"
    )  # of a page, copied with more than the token
    with pytest.raises(SignInRefused, match="has no blanks"):
        HttpsInbox(Access(served.url), odd)
    assert odd.asked == 3
    refused: list[tuple[type[DropslotError], Access, Nobody]] = [
        (SignInRefused, Access(served.url), Nobody()),
        (SignInRefused, Access(served.url, token_file=str(file)), Nobody(token)),
        (InboxClosed, Access(served.url), Nobody(reading)),
        (InboxMissing, Access(served.url, route="other"), Nobody(token)),
        (InboxClosed, Access("http://drop.lab.example"), Nobody(token)),
    ]
    for kind, access, who in refused:
        with pytest.raises(kind) as caught:
            HttpsInbox(access, who)
        assert "Nothing was sent" in caught.value.where or kind is SignInRefused
        assert not who.was_accepted and caught.value.next_step
