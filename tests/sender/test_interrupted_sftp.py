"""Killed at random in the middle of an upload by SFTP: the result is exact, and hardly anything is sent twice."""

from __future__ import annotations

from pathlib import Path

import bagit

from interrupted import digests, make_tree, send_killed
from sshd import Sshd

KILLS = 4
MOST_AGAIN_BYTES = 2_100_000  # for each kill: at 20 kills it is 2 % of 2 GB and 2,000 files
OVERHEAD = 1.012  # of SSH and SFTP, and each sign-in


def test_an_upload_that_is_killed_again_and_again_is_exact_and_sends_little_twice(
    shared_sshd: Sshd, tmp_path: Path
) -> None:
    tree, inbox = tmp_path / "tree", tmp_path / "inbox"
    inbox.mkdir()
    size = make_tree(tree, files=500, large_bytes=100_000_000)
    outcome = send_killed(shared_sshd, tree, inbox, tmp_path / "home", size, KILLS)
    assert outcome.kills == KILLS
    (bag,) = inbox.iterdir()  # one bag, and nothing is left under a hidden name
    assert digests(bag / "data" / "raw") == digests(tree)
    bagit.Bag(str(bag)).validate()
    assert outcome.sent_bytes <= size * OVERHEAD + KILLS * MOST_AGAIN_BYTES
