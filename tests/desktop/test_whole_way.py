"""From the window to the study's folder and back: OpenSSH's server, the service as another account, the second tick."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from collecting import ROUTE
from desktop.opened import Opened
from people import Person, Program
from product import Product
from sshd import Sshd


@pytest.fixture
def lab(
    make_product: Callable[..., Product],
    open_folder: Path,
    program_for_everybody: Program,
    service_user: Person,
) -> Product:
    """It runs as an account that is neither root nor the sender."""
    product = make_product(root=open_folder / "laboratory", how=program_for_everybody)
    route = {**ROUTE, "receipts": "./receipts/{sender}", "select": {"patterns": ["*.edat3"]}}
    product.configure({"study": route})
    (product.root / "receipts").mkdir(mode=0o711)
    subprocess.run(["chown", "-R", f"{service_user.uid}:{service_user.gid}", product.root], check=True)
    product.root.chmod(0o755)
    (product.root / "receipts").chmod(0o711)
    product.folder("inbox").chmod(0o3773)
    product.start("run", as_person=service_user)
    return product


def test_a_folder_gets_its_second_tick_and_what_is_refused_says_why(
    opened: Callable[..., Opened], lab: Product, shared_sshd: Sshd, open_folder: Path, other_user: Person
) -> None:
    files = open_folder / "recordings"
    (files / "s01").mkdir(parents=True)
    (files / "s01" / "run1.edat3").write_bytes(b"x" * 300_000)
    to = shared_sshd.url(lab.folder("inbox"), other_user.name)
    presets = {
        "heart": {
            "to": to,
            "key": str(shared_sshd.key),
            "receipts": str(lab.root / "receipts" / other_user.name),
            "folders": {"eprime": str(files)},
        }
    }
    window = opened(presets, location="Brogden A")
    window.press("Send 1 file (300 kB)")
    window.trusts_the_server()
    window.sees("✓ Uploaded: it is safe at the server")
    window.sees("✓✓ Delivered: 1 file of heart")
    window.sees("✓✓ Delivered · 1 file")
    assert lab.delivered() == {"heart/eprime/s01/run1.edat3": b"x" * 300_000}
    (files / "notes.txt").write_bytes(b"of no study")
    window.opens("What is new")
    window.press("Look again")
    window.press("Send 1 file (11 B)")
    window.sees("✗ Refused: 1 file of heart")
    window.sees("notes.txt")
    assert "Refused" in window.notification()
