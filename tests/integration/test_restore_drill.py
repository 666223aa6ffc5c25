"""Everything is lost; the scripts of the documentation bring it back on an empty machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from documents import REPOSITORY, blocks
from losing import Losing
from product import read_tree
from waiting import wait_until

PAGES = {"sqlite": "backup.md", "postgresql": "postgresql.md"}


def script_of(losing: Losing, file: str, backups: Path) -> str:
    """A script of the documentation, with this installation's places and without the change of the account."""
    [text] = [
        block.text
        for block in blocks(REPOSITORY / "docs" / PAGES["postgresql" if losing.server else "sqlite"])
        if block.mark == f"file: {file}"
    ]
    product = losing.product
    for before, after in {
        "/var/backups/dropslot": str(backups),
        "/srv/dropslot": str(product.root),
        "postgresql://dropslot@db.example/dropslot": product.database,
        "runuser -u dropslot -- ": "",
        "-o dropslot -g dropslot ": "",
        "systemctl stop dropslot\n": "",
    }.items():
        text = text.replace(before, after)
    return text


def run_script(losing: Losing, file: str, backups: Path) -> None:
    passwords = losing.server.passwords if losing.server else {}
    script = script_of(losing, file, backups)
    subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], env=os.environ | passwords, check=True, timeout=60
    )


@pytest.mark.crash
def test_a_lost_machine_comes_back_from_its_backups(losing: Losing, tmp_path: Path) -> None:
    product, backups = losing.product, tmp_path / "backups"
    losing.deliver("one", {"scan.txt": b"1", "sub/b.nii.gz": b"b"})
    losing.deliver("two", {"scan.txt": b"2"})
    service = product.start("run")
    product.drop("three", {"scan.txt": b"3"})
    product.wait_for_state("three", "done")
    run_script(losing, "backup.sh", backups)  # while the service runs
    known = losing.ledger()
    product.drop("later", {"later.txt": b"delivered after the copy of the database"})
    product.wait_for_state("later", "done")
    for folder in ("studies", "study"):
        subprocess.run(["cp", "-a", product.root / folder, backups], check=True)
    product.drop("last", {"scan.txt": b"after all copies"})
    product.wait_for_state("last", "done")
    service.terminate()
    assert service.wait(60) == 0

    losing.lose(has_tables=False)
    for path in product.root.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    shutil.copy(backups / "config.yaml", product.config)
    for folder in ("studies", "study"):
        subprocess.run(["cp", "-a", backups / folder, product.root], check=True)
    run_script(losing, "restore.sh", backups)
    assert losing.ledger() == known
    assert "does not know arrival" in product.run("verify", status=1).stdout
    assert "Added: 1 arrival with 1 delivery" in product.run("rebuild").stdout
    files = read_tree(product.studies)
    assert "Fixity: 5 stored files" in (proved := product.run("verify", "--fixity").stdout) and "OK" in proved

    product.start("run")
    for name, content in {
        "again": b"delivered after the copy of the database",
        "last": b"after all copies",
    }.items():
        product.drop(name, {"later.txt" if name == "again" else "scan.txt": content})
        product.wait_for_state(name, "done")
    outcomes = {row["name"]: (row["stored_as"], row["outcome"]) for row in product.history()}
    assert outcomes["again"] == ("later.txt", "unchanged")
    assert outcomes["last"] == ("scan.v4.txt", "delivered")
    assert files.items() <= read_tree(product.studies).items()
    wait_until(lambda: "OK" in product.run("verify", "--fixity").stdout, what="a good end")
