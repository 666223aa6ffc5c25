"""An inbox at OpenSSH's server: what is in a bag, what a service may do with it, and what interrupts or refuses it."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import bagit
import pytest

from at_pc import BAG, Answers, Heard, content, finish, make, outgoing, send, sha256, tags
from dropslot.core.errors import DropslotError, StorageFault
from dropslot.sender.connecting import Access
from dropslot.sender.faults import BagGone, BagIncomplete, BagNameTaken, InboxClosed, InboxMissing
from dropslot.sender.inbox import SignedReceipt
from dropslot.sender.over_sftp.bag_upload import BagUpload
from dropslot.sender.over_sftp.inbox import SftpInbox
from dropslot.sftp import runtime
from dropslot.sftp.channel import Channel
from dropslot.sftp.pace import Pace
from dropslot.sftp.transfers import many_files
from lines import line_to
from misbehaving import FailsToSync, Misbehaving
from pacing import Standing
from people import Person
from sshd import Sshd

FILES = {
    "s01.edat3": b"one",
    "visit 2/deep/s02.edat3": b"two" * 50_000,
    "süß\n.txt": b"three",
    "empty": b"",
}


@pytest.fixture(autouse=True)
def signed_out() -> Iterator[None]:
    yield
    runtime.close()


def sign_in(server: Sshd | Misbehaving, inbox: Path | str, user: str = "root", **access: Any) -> SftpInbox:
    to = f"sftp://{user}@127.0.0.1:{server.port}{inbox}"
    return SftpInbox(
        Access(to, key=str(server.key), known_hosts=str(server.known_hosts), **access), Answers()
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (folder := tmp_path / "inbox").mkdir()
    return folder


@pytest.fixture
def inbox(shared_sshd: Sshd, folder: Path) -> SftpInbox:
    return sign_in(shared_sshd, folder)


def test_a_bag_is_hidden_until_it_is_whole_and_what_it_has_is_exact(
    inbox: SftpInbox, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BagUpload, "mark_bytes", 16 << 20)
    large = os.urandom(20_000_000)
    files = outgoing(make(tmp_path / "pc", FILES | {"large.raw": large}))
    heard = send(inbox, files)
    assert [entry.name for entry in folder.iterdir()] == [f".{BAG}"]
    finish(inbox, files, heard)
    finish(inbox, files, heard)  # fine again
    assert [entry.name for entry in folder.iterdir()] == [BAG]
    assert content(folder / BAG / "data" / "raw") == FILES | {"large.raw": large}
    assert (
        heard.digests["data/raw/large.raw"] == sha256(large) and heard.marks["data/raw/large.raw"] >= 16 << 20
    )
    path = folder / BAG / "data/raw/s01.edat3"
    assert int(path.stat().st_mtime) == int((tmp_path / "pc/s01.edat3").stat().st_mtime)
    bagit.Bag(str(folder / BAG)).validate()
    (folder / BAG).rename(tmp_path / "taken")
    finish(inbox, files, heard)  # a watcher has taken it
    assert list(folder.iterdir()) == []


# What interrupts


def test_finishing_goes_on_wherever_the_connection_was_lost(
    shared_sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answers to each batch of requests are lost in turn, and the next session finishes."""
    data = {"one.txt": b"one", "deep/empty": b""}
    files = outgoing(make(tmp_path / "pc", data))
    ask, left = Channel.ask, [10**9]

    def lost(self: Channel, *requests: Any) -> Any:
        left[0] -= 1
        future = ask(self, *requests)
        if left[0] < 0:
            self.end("cut")
        return future

    monkeypatch.setattr(Channel, "ask", lost)
    steps, cut = 0, True
    while cut:
        (folder := tmp_path / f"inbox{steps}").mkdir()
        heard = send(sign_in(shared_sshd, folder), files)
        left[0], cut = steps, False
        try:
            finish(sign_in(shared_sshd, folder), files, heard)
        except DropslotError as error:
            cut = error.retryable
            left[0] = 10**9
            finish(sign_in(shared_sshd, folder), files, heard)
        assert [entry.name for entry in folder.iterdir()] == [BAG]
        assert content(folder / BAG / "data" / "raw") == data
        bagit.Bag(str(folder / BAG)).validate()
        left[0], steps = 10**9, steps + 1
    assert steps > 10


def test_a_cut_network_is_gone_on_with(shared_sshd: Sshd, folder: Path, tmp_path: Path) -> None:
    data = {"large.raw": os.urandom(30_000_000)} | {f"{n}.txt": os.urandom(30_000) for n in range(100)}
    files = outgoing(make(tmp_path / "pc", data))
    with line_to(shared_sshd.port) as line:
        hosts = tmp_path / "hosts"
        hosts.write_text(shared_sshd.known_hosts.read_text().replace(str(shared_sshd.port), str(line.port)))
        to = f"sftp://root@127.0.0.1:{line.port}{folder}"
        inbox = SftpInbox(Access(to, key=str(shared_sshd.key), known_hosts=str(hosts)), Answers())
        line.crossed, line.limit_bytes = line.cut, 20_000_000
        heard = send(inbox, files)
        assert line.limit_bytes == float("inf")
        finish(inbox, files, heard)
    assert content(folder / BAG / "data" / "raw") == data


def test_what_a_server_lost_of_a_durable_part_is_sent_again(
    inbox: SftpInbox, folder: Path, tmp_path: Path
) -> None:
    """It was put back from an older copy: sizes are right, bytes are not. Only the last piece tells."""
    files = outgoing(make(tmp_path / "pc", {"large.raw": os.urandom(40_000_000)}))
    heard = Heard()
    inbox.begin(BAG, [])
    (there := folder / f".{BAG}/data/raw").mkdir(parents=True)
    (there / "large.raw").write_bytes(bytes(33_000_000))
    inbox.upload(BAG, files, {"data/raw/large.raw": 32 << 20}, heard, Pace())
    finish(inbox, files, heard)
    assert content(folder / BAG / "data/raw") == content(tmp_path / "pc")


def test_a_pause_ends_an_upload_soon_and_what_is_there_is_not_sent_again(
    inbox: SftpInbox, folder: Path, tmp_path: Path
) -> None:
    files = outgoing(make(tmp_path / "pc", {"large.raw": os.urandom(60_000_000), "small": b"s"}))
    moved: list[int] = []

    def pause(size_bytes: int) -> None:
        moved.append(size_bytes)
        if sum(moved) > 20_000_000:
            heard.end = DropslotError("paused")

    heard = Heard(at=pause)
    with pytest.raises(DropslotError, match="paused"):
        send(inbox, files, heard)
    there = (folder / f".{BAG}/data/raw/large.raw").stat().st_size
    assert 20_000_000 < there < 30_000_000
    sent: list[int] = []
    original = many_files.Upload._send_piece  # noqa: SLF001 - ours

    def noted(self: Any, now: Any, large: Any, offset: int, data: bytes, equal: int) -> None:
        sent.append(len(data) - equal)
        original(self, now, large, offset, data, equal)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(many_files.Upload, "_send_piece", noted)
        again = Heard()
        inbox.upload(BAG, files, heard.marks, again, Pace())
    assert sum(sent) == 60_000_000 - there
    finish(inbox, files, again)
    assert content(folder / BAG / "data/raw") == content(tmp_path / "pc")


def test_what_a_failed_sync_leaves_is_removed_and_sent_anew(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Misbehaving(tmp_path, FailsToSync, monkeypatch)
    inbox = sign_in(server, folder)
    files = outgoing(make(tmp_path / "pc", {"one.txt": b"one"}))
    with pytest.raises(StorageFault, match="Syncing") as failed:
        send(inbox, files)
    assert failed.value.retryable and content(folder) == {}
    finish(inbox, files, send(inbox, files))
    assert content(folder / BAG / "data" / "raw") == {"one.txt": b"one"}
    inbox.close()
    server.stop()


def test_where_nothing_may_be_read_back_what_is_there_counts(
    make_sshd: Callable[..., Sshd], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such an account reads no receipts either, and is told so."""
    inbox = sign_in(make_sshd(sftp="internal-sftp -P read,symlink,readlink,hardlink,copy-data"), folder)
    data = os.urandom(20_000_000)
    files = outgoing(make(tmp_path / "pc", {"large.raw": data, "begun.txt": b"small"}))
    inbox.begin(BAG, [])
    make(folder / f".{BAG}/data/raw", {"large.raw": data[:18_000_000], "begun.txt": b"sm"})
    sent: list[int] = []
    original = many_files.Upload._send_piece  # noqa: SLF001 - ours

    def noted(self: Any, now: Any, large: Any, offset: int, data: bytes, equal: int) -> None:
        sent.append(len(data) - equal)
        original(self, now, large, offset, data, equal)

    monkeypatch.setattr(many_files.Upload, "_send_piece", noted)
    heard = Heard()
    inbox.upload(BAG, files, {"data/raw/large.raw": 16 << 20}, heard, Pace())
    assert sum(sent) == 2_000_000
    finish(inbox, files, heard)
    assert content(folder / BAG / "data" / "raw") == content(tmp_path / "pc")
    (folder.parent / "receipts").mkdir()
    (folder.parent / "receipts" / f"{BAG}.json").touch()
    with pytest.raises(InboxClosed, match="may not read its receipts"):
        inbox.receipt(BAG)


def test_a_limit_paces_a_single_small_file(inbox: SftpInbox, folder: Path, tmp_path: Path) -> None:
    files, clock, heard = outgoing(make(tmp_path / "pc", {"one": os.urandom(2_000_000)})), Standing(), Heard()
    inbox.begin(BAG, [])
    inbox.upload(BAG, files, {}, heard, Pace(lambda: 1_000_000, clock))
    assert clock.passed == pytest.approx(1.75, abs=0.01)  # the first quarter of a second's bytes go at once
    finish(inbox, files, heard)
    assert content(folder / BAG / "data" / "raw") == content(tmp_path / "pc")


def test_a_discarded_bag_leaves_nothing_behind(inbox: SftpInbox, folder: Path, tmp_path: Path) -> None:
    send(inbox, outgoing(make(tmp_path / "pc", FILES)))
    inbox.discard(BAG)
    inbox.discard(BAG)
    assert list(folder.iterdir()) == []
    send(inbox, outgoing(tmp_path / "pc"))
    (folder / f".{BAG}").rename(folder / f".gone-{BAG}")  # as far as it got when the connection was lost
    inbox.discard(BAG)
    assert list(folder.iterdir()) == []


# Files that cannot be sent


def test_files_that_change_or_vanish_are_left_and_the_others_arrive(
    inbox: SftpInbox, folder: Path, tmp_path: Path
) -> None:
    pc = make(tmp_path / "pc", FILES | {"large.raw": bytes(20_000_000), "z.txt": b"last", "n" * 250: b"n"})
    files = outgoing(pc)
    files.append(replace(files[-1], path="data/raw/" + "ü" * 130))
    (pc / "s01.edat3").write_bytes(b"other")
    (pc / "empty").unlink()

    def truncate(_size_bytes: int) -> None:
        os.truncate(pc / "large.raw", 9_000_000)

    heard = send(inbox, files, Heard(at=truncate))
    left = {path.removeprefix("data/raw/"): reason for path, reason in heard.reasons.items()}
    assert left.keys() == {"s01.edat3", "empty", "large.raw", "ü" * 130}
    assert "changed" in left["s01.edat3"] and "changed" in left["large.raw"] and "deleted" in left["empty"]
    finish(inbox, files, heard)
    there = content(folder / BAG / "data" / "raw")
    assert there.keys() == {"visit 2/deep/s02.edat3", "süß\n.txt", "z.txt", "n" * 250}


# What a service may do with it


@pytest.mark.parametrize("umask", ["002", "022", "077"])
def test_a_service_without_privilege_may_take_a_bag_of_any_umask(
    make_sshd: Callable[..., Sshd],
    open_folder: Path,
    service_user: Person,
    other_user: Person,
    umask: str,
    tmp_path: Path,
) -> None:
    """An inbox of mode 3773, which the sender cannot list, is a member of no group of the service."""
    inbox, processing = open_folder / "inbox", open_folder / "processing"
    for path, mode in ((inbox, 0o3773), (processing, 0o700)):
        path.mkdir()
        service_user.owns(path)
        path.chmod(mode)
    server = make_sshd(f"Match User {other_user.name}", f"    ForceCommand internal-sftp -u {umask}")
    files = outgoing(make(tmp_path / "pc", FILES))
    signed_in = sign_in(server, inbox, other_user.name)
    heard = send(signed_in, files)
    finish(signed_in, files, heard)
    (bag,) = inbox.iterdir()
    assert bag.stat().st_uid == other_user.uid and not stat.S_IMODE(bag.stat().st_mode) & 0o007
    # As the service's watcher does: it moves the folder, reads it, and later removes it.
    service_user.run("mv", bag, processing / BAG)
    service_user.run("cp", "-r", processing / BAG, processing / "copy")
    assert content(processing / "copy" / "data" / "raw") == FILES
    service_user.run("rm", "-rf", processing / BAG)
    assert not (processing / BAG).exists()


@pytest.fixture
def jail() -> Iterator[Path]:
    """sshd wants that nobody may write to any folder above a chroot, which rules /tmp out."""
    folder = Path(tempfile.mkdtemp(prefix="dropslot-jail-", dir="/srv"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_an_account_that_is_kept_in_a_folder_sends_and_reads_its_receipt(
    make_sshd: Callable[..., Sshd], jail: Path, tmp_path: Path
) -> None:
    person = pwd.getpwnam("games")
    for name in ("inbox", "receipts"):
        (jail / name).mkdir()
    os.chown(jail / "inbox", person.pw_uid, person.pw_gid)
    server = make_sshd("Match User games", f"    ChrootDirectory {jail}", "    ForceCommand internal-sftp")
    inbox = sign_in(server, "/inbox", "games")
    files = outgoing(make(tmp_path / "pc", FILES))
    finish(inbox, files, send(inbox, files))
    assert content(jail / "inbox" / BAG / "data" / "raw") == FILES
    assert (inbox.receipt(BAG), inbox.signers()) == (None, "")
    (jail / "receipts" / f"{BAG}.json").write_text('{"body": "b", "signature": "s", "files": "f\\n"}')
    (jail / "receipts" / "allowed_signers").write_text("drop ssh-ed25519 AAAA\n")
    assert inbox.receipt(BAG) == SignedReceipt("b", "s", "f\n")
    assert inbox.signers() == "drop ssh-ed25519 AAAA\n"
    for odd in ("[]", "[" * 100_000, '{"body": 1, "signature": 2, "files": 3}'):
        (jail / "receipts" / f"{BAG}.json").write_text(odd)
        with pytest.raises(DropslotError, match="cannot be read"):
            inbox.receipt(BAG)


# What is refused


def test_an_inbox_that_is_missing_or_closed_is_named_for_the_person(
    make_sshd: Callable[..., Sshd], shared_sshd: Sshd, open_folder: Path, other_user: Person
) -> None:
    with pytest.raises(InboxMissing, match="no inbox") as missing:
        sign_in(shared_sshd, open_folder / "nowhere").begin(BAG, [])
    closed = open_folder / "closed"
    closed.mkdir(mode=0o755)
    server = make_sshd(f"Match User {other_user.name}", "    ForceCommand internal-sftp")
    with pytest.raises(InboxClosed, match="your account") as refused:
        sign_in(server, closed, other_user.name).begin(BAG, [])
    for error in (missing.value, refused.value):
        assert not error.retryable and "config.yaml" not in str(error) and "`to`" not in str(error)


def test_a_link_in_the_place_of_a_folder_of_the_bag_is_not_followed(
    inbox: SftpInbox, folder: Path, tmp_path: Path
) -> None:
    files = outgoing(make(tmp_path / "pc", FILES))
    heard = send(inbox, files)
    raw = folder / f".{BAG}/data/raw"
    raw.rename(tmp_path / "elsewhere")
    raw.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BagIncomplete):
        finish(inbox, files, heard)
    assert not (folder / BAG).exists()


def test_a_taken_name_a_removed_bag_and_a_lost_file_are_told_apart(
    inbox: SftpInbox, folder: Path, tmp_path: Path
) -> None:
    files = outgoing(make(tmp_path / "pc", FILES))
    heard = send(inbox, files)
    (folder / BAG).mkdir()
    with pytest.raises(BagNameTaken):
        finish(inbox, files, heard)
    (folder / "other").mkdir()
    with pytest.raises(BagNameTaken):
        inbox.begin("other", [])
    (folder / BAG).rmdir()
    (folder / f".{BAG}/data/raw/empty").unlink()
    (folder / f".{BAG}/data/raw/foreign").write_bytes(b"of an interrupted upload")
    with pytest.raises(BagIncomplete, match="empty") as lost:
        finish(inbox, files, heard)
    assert lost.value.paths == ("data/raw/empty",)
    (folder / f".{BAG}/data/raw/empty").write_bytes(b"too much")
    with pytest.raises(BagIncomplete, match="more or fewer"):
        of_all = tags(heard.digests, sum(file.size_bytes for file in files))
        inbox.finish(BAG, of_all, heard.naming, may_be_named=False)
    shutil.rmtree(folder / f".{BAG}")
    with pytest.raises(BagGone):
        finish(inbox, files, heard)
    with pytest.raises(BagGone):
        inbox.upload(BAG, files, {}, Heard(), Pace())
