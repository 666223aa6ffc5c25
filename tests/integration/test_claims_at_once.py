"""Several watchers that act at the same moment: each entry is claimed by exactly one of them."""

from __future__ import annotations

import errno
import multiprocessing
import os
from pathlib import Path
from typing import Any

import pytest

from dropslot.arrivals import whereabouts
from dropslot.arrivals.intake import claim
from dropslot.arrivals.intake.claim import claim_arrival, id_of_drop
from dropslot.config.route_folders import FolderSet
from dropslot.watching.entries import Judged
from watched import folder_set

WATCHERS, ENTRIES = 4, 120
_fork = multiprocessing.get_context("fork")


def refuse(*_: object) -> None:
    raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))


@pytest.mark.parametrize("can_rename_without_replacing", [True, False])
def test_of_watchers_that_claim_at_once_one_has_each_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, can_rename_without_replacing: bool
) -> None:
    """Also where a file system has no such rename, as NFS."""
    if not can_rename_without_replacing:
        monkeypatch.setattr(claim, "rename_no_replace", refuse)
    folders = folder_set(tmp_path)
    for number in range(ENTRIES):
        if number % 2:
            (folders.inbox / f"{number}").write_text(f"{number}")
        else:
            (folders.inbox / f"{number}").mkdir()
            (folders.inbox / f"{number}/item").write_text(f"{number}")
    judged = [Judged.of(name, os.lstat(folders.inbox / name), 0) for name in os.listdir(folders.inbox)]
    begin, told = _fork.Barrier(WATCHERS), _fork.Queue()
    watchers = [_fork.Process(target=watch, args=(folders, judged, begin, told)) for _ in range(WATCHERS)]
    for watcher in watchers:
        watcher.start()
    claims = [told.get(timeout=60) for _ in watchers]
    for watcher in watchers:
        watcher.join(60)
        assert watcher.exitcode == 0
    names = [name for one in claims for name, _ in one]
    assert sorted(names) == sorted(entry.name for entry in judged)
    assert sum(1 for one in claims if one) > 1, "one watcher was faster than all others: nothing was raced"
    assert not list(folders.inbox.iterdir())
    for name, arrival in (found for one in claims for found in one):
        [held] = folders.processing.glob(f"*/{name}")
        assert held.parent == whereabouts.held(folders, arrival, 1)
        assert (held if held.is_file() else held / "item").read_text() == name
    assert len(list(folders.processing.iterdir())) == ENTRIES


def watch(folders: FolderSet, judged: list[Judged], begin: Any, told: Any) -> None:
    taken = []
    for one in judged:
        begin.wait(60)  # for each entry: one that is scheduled first would have them all
        taken.append(claim_arrival(folders, one, id_of_drop(one.ctime_ns)))
    told.put([(one.name, one.id) for one in taken if one is not None])
