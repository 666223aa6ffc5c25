"""The sender, killed 20 times at random during 2 GB and 2,000 files; without EVERY_STEP it is a twentieth of that."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from interrupted import digests, make_tree, send_killed
from sshd import Sshd

EVERY = bool(os.environ.get("EVERY_STEP"))
KILLS, FILES, LARGE_BYTES = (20, 2_000, 2_000_000_000) if EVERY else (1, 100, 110_000_000)


@pytest.mark.parametrize("sftp", ["internal-sftp", "internal-sftp -P read"], ids=["usual", "reads nothing"])
def test_of_two_gigabytes_at_most_two_percent_are_sent_twice(
    make_sshd: Callable[..., Sshd], tmp_path: Path, sftp: str
) -> None:
    server = make_sshd(sftp=sftp)
    tree = tmp_path / "tree"
    size = make_tree(tree, FILES, LARGE_BYTES)
    sent = []
    for kills in (0, KILLS):
        inbox = tmp_path / f"inbox{kills}"
        inbox.mkdir()
        outcome = send_killed(server, tree, inbox, tmp_path / f"home{kills}", size, kills)
        assert outcome.kills == kills
        (bag,) = inbox.iterdir()
        assert digests(bag / "data" / "raw") == digests(tree)
        sent.append(outcome.sent_bytes)
    print(f"{sent[1] - sent[0]:,} of {size:,} bytes were sent twice")
    assert sent[1] - sent[0] <= 0.02 * size
