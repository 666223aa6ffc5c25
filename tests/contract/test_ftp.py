"""The FTP destination of docs/destinations.md, word for word, at a real FTP server: the contract, and as a plugin."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from contract.destination_contract import OnDisk, StoreContract
from documents import REPOSITORY, blocks
from dropslot.destinations.base import Destination, Rules, Target
from ports import free_port
from product import Product, read_tree
from waiting import wait_until

PASSWORD = "FTP_PASSWORD"
PAGE = {block.mark: block.text for block in blocks(REPOSITORY / "docs/destinations.md")}
SOURCE = PAGE["file: plugins/myftp.py"]
# `python -m pyftpdlib` that does not let wrong passwords wait for three seconds.
PROGRAM = """
from pyftpdlib.__main__ import main
from pyftpdlib.handlers import FTPHandler

FTPHandler.auth_failed_timeout = 0
main()
"""


@dataclass
class Server:
    """An FTP server for one account."""

    port: int
    root: Path

    @property
    def address(self) -> str:
        return f"lab@127.0.0.1:{self.port}"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    found = Server(free_port(), tmp_path / "ftp")
    (found.root / "in").mkdir(parents=True)
    command = [sys.executable, "-c", PROGRAM, "-i", "127.0.0.1", "-p", str(found.port), "-w", "-d"]
    with (tmp_path / "ftp.log").open("w") as log:
        process = subprocess.Popen([*command, str(found.root), "-u", "lab", "-P", "hidden"], stderr=log)
    try:
        wait_until(lambda: "starting FTP server" in (tmp_path / "ftp.log").read_text(), what="the FTP server")
        yield found
    finally:
        process.terminate()
        process.wait(60)


@dataclass
class FtpSite(OnDisk):
    """The server's folder, looked at where it lies."""

    root: Path
    destination: Destination
    url: str

    def target(self, inner: str = "study/raw", rules: Rules | None = None) -> Target:
        return Target(f"{self.url}/{inner}" if inner else self.url, self.url, rules=rules or Rules())


class TestFtp(StoreContract):
    """As the page has it."""

    @pytest.fixture
    def site(self, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FtpSite:
        monkeypatch.setenv(PASSWORD, "hidden")
        plugin = ModuleType("myftp")
        exec(compile(SOURCE, "myftp.py", "exec"), vars(plugin))
        destination = plugin.Ftp(server.address, PASSWORD, tmp_path / "spool")
        return FtpSite(server.root / "in", destination, f"ftp://{server.address}/in")


@pytest.fixture
def reader(sqlite_product: Product, server: Server) -> Product:
    """A product whose operator did what the page says."""
    (sqlite_product.root / "plugins").mkdir()
    (sqlite_product.root / "plugins/myftp.py").write_text(SOURCE)
    keys: dict[str, Any] = yaml.safe_load(PAGE["config"].replace("lab@127.0.0.1:2121", server.address))
    return sqlite_product.configure(keys.pop("routes"), **keys)


def test_a_reader_of_the_page_delivers_to_an_ftp_server(reader: Product, server: Server) -> None:
    for content in (b"one", b"two", b"one"):
        reader.drop("visit1", {"a.txt": content, "sub/b": b"b"})
        reader.run("drain", "--now", FTP_PASSWORD="hidden")
    wanted = {"visit1/a.txt": b"one", "visit1/a.v2.txt": b"two", "visit1/sub/b": b"b"}
    assert read_tree(server.root / "in") == reader.delivered() == wanted
    assert "OK" in reader.run("verify", "--fixity", FTP_PASSWORD="hidden").stdout
    reader.run("doctor", FTP_PASSWORD="hidden")
    before = len(reader.history())
    for path in (reader.root / "var").glob("dropslot.sqlite3*"):
        path.unlink()
    reader.run("rebuild", FTP_PASSWORD="hidden")
    assert len(reader.history()) == before == 12
    reader.run("purge", "--older-than", "0s", "--yes", FTP_PASSWORD="hidden")
    assert read_tree(reader.folder("done")) == {}
    (server.root / "in/visit1/a.txt").write_bytes(b"changed")
    assert "it was changed" in reader.run("verify", "--fixity", status=1, FTP_PASSWORD="hidden").stdout


def test_a_wrong_password_is_told_and_what_was_dropped_waits(reader: Product, server: Server) -> None:
    reader.drop("visit1", {"a.txt": b"1"})
    reader.run("drain", "--now", status=1, FTP_PASSWORD="wrong")
    assert reader.arrivals()[-1]["state"] == "retrying"
    assert "Authentication failed" in str(reader.arrivals()[-1]["reason"])
    assert read_tree(server.root / "in") == {}


def test_options_that_the_kind_does_not_have_are_told_at_the_start(reader: Product) -> None:
    reader.config.write_text(reader.config.read_text().replace("password:", "pasword:"))
    ended = reader.run("drain", "--now", status=None)
    assert ended.status != 0
    assert "did you mean password" in ended.stderr
