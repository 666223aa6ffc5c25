"""The sender, killed 20 times at random during 2 GB and 2,000 files; without EVERY_STEP it is a twentieth of that."""

from __future__ import annotations

import os
from pathlib import Path

from interrupted import digests, make_tree, send_killed
from sshd import Sshd

EVERY = bool(os.environ.get("EVERY_STEP"))
KILLS, FILES, LARGE_BYTES = (20, 2_000, 2_000_000_000) if EVERY else (1, 100, 110_000_000)


def test_of_two_gigabytes_at_most_two_percent_are_sent_twice(shared_sshd: Sshd, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    size = make_tree(tree, FILES, LARGE_BYTES)
    sent = []
    for kills in (0, KILLS):
        inbox = tmp_path / f"inbox{kills}"
        inbox.mkdir()
        outcome = send_killed(shared_sshd, tree, inbox, tmp_path / f"home{kills}", size, kills)
        assert outcome.kills == kills
        (bag,) = inbox.iterdir()
        assert digests(bag / "data" / "raw") == digests(tree)
        sent.append(outcome.sent_bytes)
    print(f"{sent[1] - sent[0]:,} of {size:,} bytes were sent twice")
    assert sent[1] - sent[0] <= 0.02 * size
