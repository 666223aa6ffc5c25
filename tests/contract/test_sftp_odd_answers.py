"""Servers that answer in ways in which none should."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from contract.destination_contract import ID, make, stage
from contract.sftp_site import SftpSite
from dropslot.core.errors import DestinationUnready
from dropslot.destinations.sftp import remote, runtime, upload, wire
from dropslot.destinations.sftp.faults import ConnectionLost
from dropslot.destinations.sftp.wire import Garbled, Reply, Said
from misbehaving import GivesMore, ListsForEver, RefusesAtTheEnd


def test_more_bytes_than_were_asked_for_are_an_error_and_no_loop(misbehave: Callable[..., SftpSite]) -> None:
    site = misbehave(GivesMore)
    site.put("study/raw/a", b"a" * 300_000)
    with (
        site.destination.open(site.target(), ID, 1, "a") as drop,
        pytest.raises(ConnectionLost, match="asked"),
    ):
        drop.digest("a")


def test_a_folder_without_end_is_an_error_and_no_loop(misbehave: Callable[..., SftpSite]) -> None:
    site = misbehave(ListsForEver)
    account = site.destination.account
    with pytest.raises(Garbled, match="does not end"):
        runtime.run(lambda connection: remote.listing(connection, str(site.root)), account)


def test_a_large_file_that_is_refused_when_it_is_closed_is_not_delivered(
    misbehave: Callable[..., SftpSite], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload, "SMALL_BYTES", 1 << 20)
    monkeypatch.setattr(RefusesAtTheEnd, "closed", False)
    site = misbehave(RefusesAtTheEnd)
    source = make(tmp_path / "large", {"large": b"l" * (3 << 20)})
    with site.destination.open(site.target(), ID, 1, "large") as drop, pytest.raises(DestinationUnready):
        stage(drop, source)
    assert site.files() == {}


def test_an_answer_that_is_cut_short_is_no_success() -> None:
    with pytest.raises(Garbled):
        wire.done(Reply(wire.STATUS, b""))


def test_a_check_that_reads_hears_of_the_server_and_is_not_broken_by_it(
    site: SftpSite, arrival: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object) -> bytes:
        raise Said(wire.FAILURE, "\x1b[2Jdisk")

    with site.destination.open(site.target(), ID, 1, "arrival") as drop:
        stage(drop, arrival)
        monkeypatch.setattr(remote, "read_at", refuse)
        with drop.open_staged("sub/b.nii.gz") as stream, pytest.raises(DestinationUnready) as told:
            stream.read()
    assert r"\x1b[2Jdisk" in str(told.value)
