"""Data goes out in packets of our own making: where asyncssh and the server allow it, and right whatever happens."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from contract.destination_contract import deliver, make
from contract.sftp_site import SftpSite, account_at, site_at
from dropslot.sftp import runtime
from dropslot.sftp.connection import Connection
from sshd import Sshd

MANY = {f"{number % 7}/{number}.bin": bytes([number % 256]) * (number * 977) for number in range(120)}
LARGE = 24 * 1024 * 1024


def connection_to(server: Sshd) -> Connection:
    own = runtime.current()
    return own.run(own.connection(account_at(server)))


@contextmanager
def serving(folder: Path, *lines: str) -> Iterator[Sshd]:
    server = Sshd(folder, *lines).start()
    try:
        yield server
    finally:
        server.stop()


def delivered_whole(site: SftpSite, tmp_path: Path) -> bool:
    """Deliver many small items and a large one; whether all arrived as they were."""
    contents = MANY | {"large.bin": os.urandom(LARGE)}
    arrival = make(tmp_path / "arrival", contents)
    deliver(site, arrival, site.target())
    found = site.files()
    return all(found[f"study/raw/{path}"] == data for path, data in contents.items())


def test_the_installed_asyncssh_and_openssh_are_sent_to_in_bulk(shared_sshd: Sshd) -> None:
    connection = connection_to(shared_sshd)
    assert connection._bulk.fits and connection.channels[0]._lean


def test_another_cipher_is_left_to_asyncssh(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with serving(tmp_path / "sshd", "Ciphers aes256-ctr") as server:
        connection = connection_to(server)
        assert not connection._bulk.fits and not connection.channels[0]._lean
        assert delivered_whole(site_at(server, tmp_path / "out"), tmp_path)


def test_new_keys_in_the_midst_of_the_data_change_nothing(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with serving(tmp_path / "sshd", "RekeyLimit 1M", "LogLevel DEBUG") as server:
        assert delivered_whole(site_at(server, tmp_path / "out"), tmp_path)
        assert (server.folder / "log").read_text().count("rekey") > 10


def test_new_keys_that_this_side_wants_change_nothing(tmp_path: Path, shared_sshd: Sshd) -> None:
    (tmp_path / "out").mkdir()
    connection = connection_to(shared_sshd)
    connection._ssh._rekey_bytes = 1024 * 1024
    before = connection._ssh._send_encryption
    assert delivered_whole(site_at(shared_sshd, tmp_path / "out"), tmp_path)
    assert connection.is_open and connection._ssh._send_encryption is not before


def test_an_asyncssh_that_is_made_otherwise_is_used_as_it_is(
    tmp_path: Path, shared_sshd: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out").mkdir()
    monkeypatch.setattr("dropslot.sftp.bulk._NEEDED", ("_of_a_later_version",))
    assert not connection_to(shared_sshd)._bulk.fits
    assert delivered_whole(site_at(shared_sshd, tmp_path / "out"), tmp_path)
