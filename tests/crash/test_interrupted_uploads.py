"""The sender, killed 20 times at random during 2 GB and 2,000 files; without EVERY_STEP it is a twentieth of that."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from interrupted import digests, make_tree, send_killed
from sshd import Sshd

EVERY = bool(os.environ.get("EVERY_STEP"))
KILLS, FILES, LARGE_BYTES = (20, 2_000, 2_000_000_000) if EVERY else (1, 100, 110_000_000)

pytestmark = pytest.mark.xdist_group("interrupted-uploads")  # what they share is made once


@dataclass(frozen=True)
class Sent:
    """A tree, the SHA-256 of its files, and what is sent of it when nothing is killed."""

    tree: Path
    size_bytes: int
    digests: dict[str, str]
    sent_bytes: int


@pytest.fixture(scope="module")
def undisturbed(shared_sshd: Sshd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sent]:
    folder = tmp_path_factory.mktemp("undisturbed")
    tree = folder / "tree"
    size = make_tree(tree, FILES, LARGE_BYTES)
    known = digests(tree)
    yield Sent(tree, size, known, sent(shared_sshd, tree, folder, size, known, 0))
    shutil.rmtree(folder)


def sent(server: Sshd, tree: Path, folder: Path, size: int, known: dict[str, str], kills: int) -> int:
    """The bytes that went over the line until the whole tree was there."""
    inbox = folder / "inbox"
    inbox.mkdir()
    outcome = send_killed(server, tree, inbox, folder / "home", size, kills)
    assert outcome.kills == kills
    (bag,) = inbox.iterdir()
    assert digests(bag / "data" / "raw") == known
    shutil.rmtree(inbox)
    return outcome.sent_bytes


@pytest.mark.parametrize("sftp", ["internal-sftp", "internal-sftp -P read"], ids=["usual", "reads nothing"])
def test_of_two_gigabytes_at_most_two_percent_are_sent_twice(
    make_sshd: Callable[..., Sshd], undisturbed: Sent, tmp_path: Path, sftp: str
) -> None:
    size = undisturbed.size_bytes
    again = sent(make_sshd(sftp=sftp), undisturbed.tree, tmp_path, size, undisturbed.digests, KILLS)
    print(f"{again - undisturbed.sent_bytes:,} of {size:,} bytes were sent twice")
    assert again - undisturbed.sent_bytes <= 0.02 * size
