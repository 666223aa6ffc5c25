"""The pictures of the window in docs/images: `make pictures` takes them anew. What they show is checked always."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtWidgets import QWidget, QWizard

from collecting import ROUTE
from desktop.display import screenshot_folder
from desktop.opened import Opened
from product import Product
from sshd import Sshd


@pytest.fixture
def preset(tmp_path: Path) -> dict[str, Any]:
    recorded = tmp_path / "EPrime" / "heart"
    recorded.mkdir(parents=True)
    for number in (1, 2, 3):
        (recorded / f"heart-s0{number}.edat3").write_bytes(b"x" * 250_000 * number)
    return {"to": "sftp://ann@drop.lab.example/inbox", "folders": {"eprime": str(recorded)}}


def test_the_first_start(opened: Callable[..., Opened]) -> None:
    window = opened()
    window.sees("Send your files, and know that they arrived")
    _take(window.window.findChildren(QWizard)[0], "sender-first-start")


def test_what_is_new(opened: Callable[..., Opened], preset: dict[str, Any]) -> None:
    window = opened({"heart": preset}, location="Brogden A")
    window.sees("3 of 3 files chosen")
    _take(window.window, "sender-window")


def test_what_was_sent(
    opened: Callable[..., Opened], preset: dict[str, Any], sqlite_product: Product, shared_sshd: Sshd
) -> None:
    lab = sqlite_product.configure({"study": {**ROUTE, "receipts": "./study/receipts/{sender}"}})
    (lab.folder("inbox").parent / "receipts").mkdir()
    preset |= {"to": shared_sshd.url(lab.folder("inbox")), "key": str(shared_sshd.key)}
    window = opened({"heart": preset}, location="Brogden A")
    window.press("Send 3 files (1.5 MB)")
    window.trusts_the_server()
    window.sees("Uploaded")
    lab.drain()
    window.sees("✓✓ Delivered: 3 files of heart")
    window.sees("✓✓ Delivered · 3 files")
    _take(window.window.tabs, "sender-history")


def _take(widget: QWidget, name: str) -> None:
    picture = widget.grab()
    assert not picture.isNull()
    if folder := screenshot_folder():
        picture.save(str(folder / f"{name}.png"))
