"""A server without room says so, keeps what it has, and takes the rest once there is room."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from at_pc import BAG, Answers, Heard, content, finish, make, outgoing
from collecting import Pc
from dropslot.core.errors import DiskFull
from dropslot.sender.connecting import Access
from dropslot.sender.over_sftp.inbox import SftpInbox
from dropslot.sftp import runtime
from dropslot.sftp.pace import Pace
from mounts import Mounts
from sshd import Sshd


@pytest.fixture(autouse=True)
def signed_out() -> Iterator[None]:
    yield
    runtime.close()


def test_a_full_server_is_said_before_and_while_it_is_sent_and_goes_on_when_there_is_room(
    shared_sshd: Sshd, mounts: Mounts, tmp_path: Path
) -> None:
    disk = mounts.tmpfs("16M")
    (disk / "hog").write_bytes(bytes(10_000_000))
    files = outgoing(make(tmp_path / "pc", {"large.raw": os.urandom(12_000_000), "small": b"s"}))
    known_hosts = str(shared_sshd.known_hosts)
    inbox = SftpInbox(
        Access(shared_sshd.url(disk), key=str(shared_sshd.key), known_hosts=known_hosts), Answers()
    )
    inbox.begin(BAG, [])
    with pytest.raises(DiskFull, match="free") as full:
        inbox.upload(BAG, files, {}, Heard(), Pace())
    assert full.value.retryable and "person who runs the server" in full.value.next_step
    (disk / "hog").unlink()

    def fill(_size_bytes: int) -> None:
        if not (disk / "hog").exists():
            with (disk / "hog").open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, 8_000_000)

    heard = Heard(at=fill)
    with pytest.raises(DiskFull, match="full") as full:
        inbox.upload(BAG, files, {}, heard, Pace())
    (disk / "hog").unlink()
    heard.at = lambda _size: None
    rest = [file for file in files if file.path not in heard.digests]
    inbox.upload(BAG, rest, heard.marks, heard, Pace())
    finish(inbox, files, heard)
    assert content(disk / BAG / "data" / "raw") == content(tmp_path / "pc")


def test_a_used_up_quota_ends_the_send_with_words_and_the_next_one_goes_on(
    shared_sshd: Sshd, mounts: Mounts, tmp_path: Path
) -> None:
    folder = mounts.with_quota("12M")
    (folder / "inbox").mkdir()
    pc = Pc(tmp_path / "pc", shared_sshd, folder / "inbox")
    large = os.urandom(20_000_000)
    pc.write("large.raw", large)
    ended = pc.send("--no-wait", status=1)
    assert "a quota of the account" in ended.stderr and "Then send again" in ended.stderr
    assert [row["state"] for row in pc.sent()] == ["uploading"]
    mounts.set_quota(folder, "none")
    assert pc.run("send", "--no-wait").status == 0
    (bag,) = (folder / "inbox").iterdir()
    assert content(bag / "data") == {"eprime/large.raw": large}
