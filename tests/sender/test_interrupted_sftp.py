"""Killed at random in the middle of an upload by SFTP: the result is exact, and hardly anything is sent twice."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import bagit
import pytest

from at_pc import Answers, content, make
from dropslot.sender import home_folder
from dropslot.sender.connecting import Access
from dropslot.sender.engine.listener import Silent
from dropslot.sender.engine.sender import Sender
from dropslot.sender.ledger import sent_rows
from dropslot.sender.ledger.ledger import Ledger
from dropslot.sender.new_files.preset_scan import Wish
from dropslot.sender.over_sftp import bag_finish
from dropslot.sender.presets.preset import Folder, Preset
from interrupted import digests, make_tree, send_killed
from sshd import Sshd

KILLS = 4
MOST_AGAIN_BYTES = 2_100_000  # for each kill: at 20 kills it is 2 % of 2 GB and 2,000 files
OVERHEAD = 1.012  # of SSH and SFTP, and each sign-in


@pytest.mark.crash
@pytest.mark.parametrize("sftp", ["internal-sftp", "internal-sftp -P read"], ids=["usual", "reads nothing"])
def test_an_upload_that_is_killed_again_and_again_is_exact_and_sends_little_twice(
    make_sshd: Callable[..., Sshd], tmp_path: Path, sftp: str
) -> None:
    tree, inbox = tmp_path / "tree", tmp_path / "inbox"
    inbox.mkdir()
    size = make_tree(tree, files=500, large_bytes=100_000_000)
    outcome = send_killed(make_sshd(sftp=sftp), tree, inbox, tmp_path / "home", size, KILLS)
    assert outcome.kills == KILLS
    (bag,) = inbox.iterdir()  # one bag, and nothing is left under a hidden name
    assert digests(bag / "data" / "raw") == digests(tree)
    bagit.Bag(str(bag)).validate()
    assert outcome.sent_bytes <= size * OVERHEAD + KILLS * MOST_AGAIN_BYTES


@pytest.mark.parametrize("killed", ["finish", "name"])
def test_a_bag_that_is_removed_while_this_pc_is_off_is_sent_again_or_said_to_be_gone(
    shared_sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed: str
) -> None:
    (folder := tmp_path / "inbox").mkdir()
    monkeypatch.setenv("DROPSLOT_SENDER_HOME", str(tmp_path / "home"))
    make(tmp_path / "pc", {"s01.edat3": b"one"})
    access = Access(
        shared_sshd.url(folder), key=str(shared_sshd.key), known_hosts=str(shared_sshd.known_hosts)
    )
    preset = Preset("heart", "heart", access, (Folder("raw", tmp_path / "pc"),))
    warned: list[str] = []

    class Hearing(Silent):
        def warned(self, sentence: str) -> None:
            warned.append(sentence)

    class Killed(BaseException):
        pass

    async def die(*_: object, **__: object) -> None:
        raise Killed

    def send() -> None:
        sender = Sender(Answers(), Hearing())
        try:
            sender.send(sender.look(preset, Wish(settle_seconds=0)))
        finally:
            sender.close()

    with monkeypatch.context() as patch:
        patch.setattr(bag_finish, killed, die)
        with pytest.raises(Killed):
            send()
    (bag,) = folder.iterdir()
    shutil.rmtree(bag)
    send()
    if killed == "finish":  # it had no name, so nobody took it
        (bag,) = folder.iterdir()
        assert content(bag / "data") == {"raw/s01.edat3": b"one"} and "was removed" in warned[0]
    else:
        assert list(folder.iterdir()) == [] and "took it, or somebody removed it" in warned[0]
        ledger = Ledger(home_folder.ledger_file())
        assert ["somebody removed it" in file.reason for file in sent_rows.sent(ledger)] == [True]
        ledger.close()
