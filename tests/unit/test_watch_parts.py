"""Parts of the watcher by themselves: log files, listings, file systems, event masks, the agenda."""

from __future__ import annotations

import json
import os
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropslot.files import network_mounts
from dropslot.running.log_sinks import for_machines, for_people
from dropslot.running.logfile import LogFile
from dropslot.running.stopping import Signal
from dropslot.watching.file_events import IN_CREATE, IN_IGNORED, IN_ISDIR, KINDS, MASKS, event, mask_of
from dropslot.watching.walks import Agenda
from mounts import Mounts


def lines_of(path: Path) -> list[str]:
    files = [path, *path.parent.glob(f"{path.name}.*")]
    return [line for file in files for line in file.read_text().splitlines()]


def test_log_rotates_by_size_and_keeps_five(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "x.out", max_bytes=50)
    for number in range(100):
        log.write(f"line {number:03}")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.out", *(f"x.out.{n}" for n in range(1, 6))]
    assert (tmp_path / "x.out").read_text().endswith("line 099\n")
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in tmp_path.iterdir())
    log.close()


def test_log_that_several_processes_rotate_loses_nothing(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "x.out", max_bytes=2_000, keep=100)
    children = []
    for child in range(3):
        pid = os.fork()
        if pid == 0:
            for number in range(200):
                log.write(f"{child} {number}")
            os._exit(0)
        children.append(pid)
    for pid in children:
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    expected = sorted(f"{child} {number}" for child in range(3) for number in range(200))
    assert sorted(lines_of(tmp_path / "x.out")) == expected
    log.close()


def test_log_on_a_full_disk_says_later_how_much_is_missing(mounts: Mounts) -> None:
    disk = mounts.tmpfs("64k")
    log = LogFile(disk / "x.out")
    filler = disk / "filler"
    with pytest.raises(OSError, match="No space left"), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    for _ in range(3):
        log.write("lost" * 2000)
    filler.unlink()
    log.write("back")
    assert lines_of(disk / "x.out")[-2:] == [
        "3 entries were lost: this file could not be written (disk full?)",
        "back",
    ]
    log.close()


def test_log_is_never_opened_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "x.out").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        LogFile(tmp_path / "x.out")
    assert not (tmp_path / "elsewhere").exists()


def test_entry_for_people_is_one_line_whatever_slips_in() -> None:
    entry = {"event": "a\nb\x1b[2J", "level": "warning", "timestamp": "T", "action": "x", "route": "r\n"}
    assert for_people(entry) == r"WARNING: a\x0ab\x1b[2J route='r\\n'".replace(r"\\n", r"\n")
    assert for_people(entry | {"plain": True}) == r"WARNING: a\x0ab\x1b[2J"


def test_entry_for_machines_has_names_only_from_warning_on() -> None:
    entry = {
        "event": "1|CREATE EVENT: /in/doe",
        "level": "info",
        "timestamp": "T",
        "plain": True,
        "path": "/in/doe",
    }
    entry |= {"action": "entry_noticed", "route": "r"}
    assert "doe" not in for_machines(entry, names=False)
    assert json.loads(for_machines(entry, names=False))["action"] == "entry_noticed"
    assert "doe" in for_machines(entry, names=True)
    assert "doe" in for_machines(entry | {"level": "warning"}, names=False)
    assert (
        json.loads(for_machines({"event": "worker-ended", "level": "info", "timestamp": "T"}, names=False))[
            "action"
        ]
        == "worker-ended"
    )


def test_file_system_is_that_of_the_innermost_mount(mounts: Mounts) -> None:
    disk = mounts.tmpfs()
    (disk / "inbox").mkdir()
    (disk / "a b").mkdir()
    assert network_mounts.kind_of(str(disk / "inbox")) == "tmpfs"
    assert network_mounts.kind_of(str(disk / "a b")) == "tmpfs"
    assert network_mounts.kind_of(str(disk.parent)) != "tmpfs"
    assert network_mounts.kind_of("/proc/self") == "proc"
    assert not network_mounts.is_shared("ext4")


def test_every_kind_has_a_signal_and_an_event() -> None:
    from dropslot.watching import signals

    assert len(KINDS) == 14
    for kind in KINDS:
        made = event(MASKS[kind], "/in", "x")
        assert made is not None
        assert made.signal == kind
        assert hasattr(signals, kind)
        assert mask_of([kind.upper()]) == MASKS[kind]


def test_event_of_a_folder_is_named_as_pyinotify_named_it() -> None:
    made = event(IN_CREATE | IN_ISDIR, "/in", "x")
    assert made is not None
    assert (made.maskname, made.pathname, made.dir, made.kind) == (
        "IN_CREATE|IN_ISDIR",
        "/in/x",
        True,
        "created",
    )
    assert event(IN_IGNORED, "/in") is None


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.floats(0, 100), st.booleans())))
def test_agenda_gives_each_name_once_at_its_last_time(steps: list[tuple[str, float, bool]]) -> None:
    agenda, expected = Agenda(), dict[str, float]()
    for name, when, add in steps:
        if add:
            agenda.add(name, when)
            expected[name] = when
        else:
            agenda.drop(name)
            expected.pop(name, None)
    assert agenda.next() == min(expected.values(), default=None)
    due = []
    while (next_due := agenda.pop_due(50)) is not None:
        due.append(expected[next_due])
    assert due == sorted(when for when in expected.values() if when <= 50)


def test_signal_wakes_who_waits_for_it() -> None:
    told = Signal()
    assert not told.wait(0)
    thread = threading.Thread(target=told.set)
    thread.start()
    assert told.wait(60)
    thread.join()
    told.clear()
    told.clear()
    assert not told.is_set()
    assert not told.wait(0)
    told.close()
