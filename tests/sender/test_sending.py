"""The whole way: `dropslot send` on a PC, OpenSSH's server, and what the server's own command delivers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from collecting import ROUTE, Pc
from product import Product
from sshd import Sshd


@pytest.fixture
def lab(sqlite_product: Product) -> Product:
    return sqlite_product.configure({"study": ROUTE})


@pytest.fixture
def make_pc(lab: Product, shared_sshd: Sshd, tmp_path: Path) -> Callable[[str], Pc]:
    return lambda name: Pc(tmp_path / name, shared_sshd, lab.folder("inbox"))


@pytest.fixture
def pc(make_pc: Callable[[str], Pc]) -> Pc:
    return make_pc("pc")


def test_what_is_new_is_sent_once_and_delivered_exactly(pc: Pc, lab: Product) -> None:
    files = {
        "s01.edat3": b"one",
        "visit 2/s02.edat3": b"two" * 50_000,
        "100% süß.txt": b"three",
        "empty": b"",
    }
    for name, content in files.items():
        pc.write(name, content)
    done = pc.send("--no-wait", "--location", "Brogden A")
    assert "4 files" in done.stdout
    assert {row["state"] for row in pc.sent()} == {"uploaded"}
    (bag,) = lab.folder("inbox").iterdir()
    assert bag.name.startswith("heart-") and "-Brogden_A-" in bag.name
    lab.drain()
    assert lab.delivered() == {f"heart/eprime/{name}": content for name, content in files.items()}
    assert {row["location"] for row in lab.history()} == {"Brogden_A"}
    assert "Nothing is new" in pc.send("--no-wait").stdout
    assert list(lab.folder("inbox").iterdir()) == []
