"""Cuts between two requests of one step: what is done again must not leave out what was not done before."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest

from contract.destination_contract import ID, deliver, stage
from contract.sftp_site import SftpSite
from dropslot.destinations.base import Rules
from dropslot.destinations.sftp import modes
from dropslot.sftp import connection, wire
from dropslot.sftp.channel import ConnectionGone
from dropslot.sftp.wire import Reply


@pytest.mark.parametrize("there", [False, True])
def test_folders_have_their_mode_though_a_cut_came_before_it_was_set(
    site: SftpSite, arrival: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    if there:
        site.put("study/raw/other", b"so that the folder is there")
    original: Any = modes.RemoteModes._set  # noqa: SLF001 - ours
    cut: list[str] = []

    async def cut_once(self: modes.RemoteModes, connection: Any, path: str) -> None:
        if path.endswith("/sub") and ("/stage/" not in path or not there) and not cut:
            cut.append(path)
            raise ConnectionGone("cut")
        await original(self, connection, path)

    monkeypatch.setattr(modes.RemoteModes, "_set", cut_once)
    assert deliver(site, arrival, site.target(rules=Rules(folder_mode=0o2751))) == []
    assert cut
    for folder in ("sub", "sub/deep"):
        assert stat.S_IMODE((site.root / "study/raw" / folder).stat().st_mode) == 0o2751


def test_a_new_folder_is_synced_though_nobody_heard_that_it_has_its_name(
    site: SftpSite, arrival: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = connection.Connection.one
    cut: list[object] = []

    async def done_and_cut(self: connection.Connection, request: wire.Request) -> Reply:
        reply = await original(self, request)
        if request.kind == wire.RENAME and b"/tree/" in request.body and not cut:
            cut.append(request)
            raise ConnectionGone("cut")
        return reply

    monkeypatch.setattr(connection.Connection, "one", done_and_cut)
    with site.destination.open(site.target(), ID, 1, "arrival") as drop:
        plan = stage(drop, arrival)
        assert drop.publish(plan) == []
        assert str(site.root) in drop.folders_to_sync()
        site.destination.sync_names([drop])
        drop.clean()
    assert cut


def test_all_that_a_new_folder_holds_is_synced(site: SftpSite, arrival: Path) -> None:
    with site.destination.open(site.target(), ID, 1, "arrival") as drop:
        assert drop.publish(stage(drop, arrival)) == []
        made = ("", "study", "study/raw", "study/raw/sub", "study/raw/sub/deep")
        assert set(drop.folders_to_sync()) == {str(site.root / path) for path in made}
        site.destination.sync_names([drop])
        drop.clean()
