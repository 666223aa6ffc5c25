"""Servers that answer in ways in which none should."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contract.destination_contract import ID, make, stage
from contract.sftp_site import SftpSite
from dropslot.core.errors import DestinationUnready, TakenOver
from dropslot.sftp import remote, runtime, wire
from dropslot.sftp.faults import ConnectionLost
from dropslot.sftp.transfers import many_files
from dropslot.sftp.wire import Garbled, Reply
from misbehaving import GivesMore, ListsForEver, RefusesAtTheEnd, RefusesToList


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
    with pytest.raises(Garbled, match="endless"):
        runtime.run(lambda connection: remote.listing(connection, str(site.root)), account)


def test_a_large_file_that_is_refused_when_it_is_closed_is_not_delivered(
    misbehave: Callable[..., SftpSite], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(many_files, "SMALL_BYTES", 1 << 20)
    monkeypatch.setattr(RefusesAtTheEnd, "closed", False)
    site = misbehave(RefusesAtTheEnd)
    source = make(tmp_path / "large", {"large": b"l" * (3 << 20)})
    with site.destination.open(site.target(), ID, 1, "large") as drop, pytest.raises(DestinationUnready):
        stage(drop, source)
    assert site.files() == {}


def test_a_staging_folder_of_others_is_named_even_where_it_cannot_be_listed(
    misbehave: Callable[..., SftpSite], arrival: Path
) -> None:
    site = misbehave(RefusesToList)
    epochs = site.root / ".dropslot/stage"
    epochs.mkdir(parents=True)
    epochs.chmod(0o733)
    with (
        site.destination.open(site.target("."), ID, 1, "arrival") as drop,
        pytest.raises(DestinationUnready, match="not the account's own"),
    ):
        stage(drop, arrival)


def test_a_later_epoch_is_seen_where_the_folder_was_opened_before_ours_was_made(
    site: SftpSite, arrival: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (site.root / f".dropslot/stage/{ID}-2").mkdir(parents=True)
    (site.root / ".dropslot/stage").chmod(0o700)
    real, calls = remote.listing_of, []

    async def too_early(*args: Any) -> Any:
        found = await real(*args)
        calls.append(found)
        return {} if len(calls) == 1 else found

    monkeypatch.setattr(remote, "listing_of", too_early)
    with (
        site.destination.open(site.target("."), ID, 1, "arrival") as drop,
        pytest.raises(TakenOver),
    ):
        stage(drop, arrival)


def test_an_answer_that_is_cut_short_is_no_success() -> None:
    with pytest.raises(Garbled):
        wire.done(Reply(wire.STATUS, b""))
