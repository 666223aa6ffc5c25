"""The window as somebody uses it: a real X server, the real engine, a real sshd."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from desktop.opened import Opened
from sshd import Sshd


def test_a_folder_is_sent_and_has_one_tick(
    opened: Callable[..., Opened], shared_sshd: Sshd, open_folder: Path
) -> None:
    files = open_folder / "eprime"
    (files / "s01").mkdir(parents=True)
    (files / "s01" / "run1.edat3").write_bytes(b"x" * 300_000)
    (files / "notes.txt").write_bytes(b"notes")
    (open_folder / "inbox").mkdir()
    preset = {
        "to": shared_sshd.url(open_folder / "inbox"),
        "key": str(shared_sshd.key),
        "folders": {"eprime": str(files)},
    }
    window = opened({"heart": preset}, location="Brogden A")
    window.sees("2 of 2 files chosen")
    window.press("Send 2 files (300 kB)")
    window.trusts_the_server()
    window.sees("Uploaded")
    [bag] = (open_folder / "inbox").iterdir()
    assert bag.name.startswith("heart-")
    assert (bag / "data" / "eprime" / "s01" / "run1.edat3").read_bytes() == b"x" * 300_000
