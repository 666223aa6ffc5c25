"""What counts as new: content that was not sent before, whatever names and times say."""

from __future__ import annotations

import hashlib
import os
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from dropslot.sender.connecting import Access, place
from dropslot.sender.home_folder import VARIABLE
from dropslot.sender.ledger.bags import Bag, Bags
from dropslot.sender.ledger.ledger import Ledger
from dropslot.sender.new_files.preset_scan import Wish, look
from dropslot.sender.plan import Plan
from dropslot.sender.presets.preset import Folder, Preset
from people import Person, Program
from waiting import wait_until

ACCESS = Access("sftp://drop.lab.example/inbox")
AT_ONCE = Wish(settle_seconds=0)


class Desk:
    """A PC with one folder of data."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.data.mkdir()
        self.ledger = Ledger(folder / "ledger.sqlite3")
        self.bags = Bags(self.ledger)
        self.preset = Preset("heart", "heart", ACCESS, (Folder("eprime", self.data),))

    def write(self, name: str, content: str) -> Path:
        path = self.data / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        return path

    def look(self, wish: Wish = AT_ONCE) -> Plan:
        return look(self.preset, self.ledger, wish)

    def new(self, wish: Wish = AT_ONCE) -> list[str]:
        return [file.path.removeprefix("eprime/") for file in self.look(wish).new]

    def send(self, name: str = "one", wish: Wish = AT_ONCE) -> Bag:
        """As if all that is new were whole in the inbox now."""
        plan = self.look(wish)
        target = self.ledger.target(place(ACCESS.to), "heart")
        bag = self.bags.begin(name, target, ACCESS, "", plan.new, plan.planned)
        assert bag is not None
        digests = {each.path: hashlib.sha256(Path(each.source).read_bytes()).hexdigest() for each in plan.new}
        self.bags.record(bag, {}, digests, [])
        self.bags.finish(bag)
        return bag

    def refuse(self, bag: Bag, at_fault: str) -> None:
        outcomes = {
            each.path: ("refused", "it is too blue", each.path == f"eprime/{at_fault}")
            for each in self.bags.files(bag)
        }
        self.bags.settle(bag, "01A", "2026-11-29T00:00:00Z", outcomes)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_what_was_sent_is_not_new_after_a_touch_a_rename_or_a_move(desk: Desk) -> None:
    a, b = desk.write("a.txt", "alpha"), desk.write("b.txt", "beta!")
    assert desk.new() == ["a.txt", "b.txt"]
    desk.send()
    os.utime(a, ns=(1, 1))
    (desk.data / "visit2").mkdir()
    b.rename(desk.data / "visit2" / "c.txt")
    late = desk.write("late.txt", "found in a drawer")
    os.utime(late, (1, 1))
    assert desk.new() == ["late.txt"]
    assert desk.look().known == 2


def test_a_copy_under_another_name_is_sent_and_so_is_an_empty_file(desk: Desk) -> None:
    desk.write("visit1/scores.txt", "equal")
    desk.write("visit1/done", "").rename(desk.data / "visit1" / "finished")
    desk.send()
    desk.write("visit2/scores.txt", "equal")
    (desk.data / "visit1" / "finished").rename(desk.data / "finished")
    assert desk.new() == ["finished", "visit2/scores.txt"]


def test_equal_content_after_the_first_file_was_removed_is_sent(desk: Desk) -> None:
    old = desk.write("visit1/form.txt", "empty form")
    desk.send()
    old.unlink()
    desk.write("visit2/form.txt", "empty form")  # often with the same inode
    desk.write("visit3/form.txt", "empty form")
    assert desk.new() == ["visit2/form.txt", "visit3/form.txt"]


def test_a_file_that_is_renamed_twice_is_not_sent_again(desk: Desk) -> None:
    path = desk.write("a.txt", "alpha")
    desk.send()
    for name in ("b.txt", "c.txt"):
        path = path.rename(desk.data / name)
        assert desk.new() == []


def test_a_folder_in_two_subfolders_is_sent_to_both_whenever_each_is_wanted(desk: Desk) -> None:
    both = (Folder("eprime", desk.data), Folder("raw", desk.data / "visit1"))
    desk.preset = replace(desk.preset, folders=both)
    path, only = desk.write("visit1/a.txt", "alpha"), Wish(frozenset({"eprime"}), settle_seconds=0)
    desk.send(wish=only)
    assert desk.new(only) == [] and desk.new() == ["raw/a.txt"]
    bag = desk.send("two")
    assert desk.new() == []
    desk.bags.record(bag, {}, {}, ["raw/a.txt"])  # it changed while it was sent
    assert desk.new() == ["raw/a.txt"]
    desk.send("three")
    path.rename(desk.data / "visit1" / "b.txt")
    assert desk.new() == []
    (desk.data / "visit1" / "b.txt").write_text("omega!")
    assert desk.new() == ["visit1/b.txt", "raw/b.txt"]
    desk.refuse(desk.send("four"), "visit1/b.txt")
    assert desk.new() == []
    (desk.data / "visit1" / "b.txt").write_text("corrected")
    assert desk.new() == ["visit1/b.txt", "raw/b.txt"]


def test_a_subfolder_with_another_name_sends_nothing_again(desk: Desk) -> None:
    desk.write("a.txt", "alpha")
    desk.send()
    desk.preset = replace(desk.preset, folders=(Folder("e_prime", desk.data),))
    assert desk.new() == []


def test_a_ledger_of_the_first_version_is_taken_over(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.write("a.txt", "alpha")
    desk.send()
    desk.ledger.close()
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite3")) as connection:
        connection.executescript(
            "DROP TABLE packed; DROP TABLE known; CREATE TABLE known (target, source, PRIMARY KEY (target, source));"
            " CREATE TABLE packed (target, folder); PRAGMA user_version = 1;"
        )
    desk.ledger = Ledger(tmp_path / "ledger.sqlite3")
    desk.write("b.txt", "beta")
    assert desk.new() == ["b.txt"]


def test_other_content_of_the_same_size_and_time_is_new(desk: Desk) -> None:
    path = desk.write("a.txt", "alpha")
    desk.send()
    before = path.stat().st_mtime_ns
    path.write_text("omega")
    os.utime(path, ns=(before + 1, before + 1))
    assert desk.new() == ["a.txt"]


def test_all_and_since_and_exclude(desk: Desk) -> None:
    old = desk.write("old.txt", "old")
    os.utime(old, (1_000_000_000, 1_000_000_000))
    desk.write("practice/x.txt", "practice")
    desk.write("new.txt", "new")
    desk.write("Thumbs.db", "litter")
    from datetime import UTC, datetime

    assert desk.new(Wish(exclude=("PRACTICE",), settle_seconds=0)) == ["new.txt", "old.txt"]
    assert desk.new(Wish(since=datetime(2020, 1, 1, tzinfo=UTC), settle_seconds=0)) == [
        "new.txt",
        "practice/x.txt",
    ]
    desk.send()
    assert desk.new() == []
    assert desk.new(Wish(everything=True, settle_seconds=0)) == ["new.txt", "old.txt", "practice/x.txt"]


def test_a_refused_file_waits_for_a_correction_and_the_others_with_it(desk: Desk) -> None:
    desk.write("bad.txt", "bad")
    desk.write("good.txt", "good")
    desk.refuse(desk.send(), "bad.txt")
    assert desk.new() == []
    assert [(each.kind, each.path) for each in desk.look().left] == [
        ("refused", "eprime/bad.txt"),
        ("refused", "eprime/good.txt"),
    ]
    assert desk.new(Wish(again=True, settle_seconds=0)) == ["bad.txt", "good.txt"]
    desk.write("bad.txt", "mended")
    assert desk.new() == ["bad.txt", "good.txt"]


def test_a_refused_file_that_is_renamed_or_removed_frees_the_others(desk: Desk) -> None:
    bad = desk.write("bad.txt", "bad")
    desk.write("good.txt", "good")
    desk.refuse(desk.send(), "bad.txt")
    bad.rename(desk.data / "better.txt")
    assert desk.new() == ["better.txt", "good.txt"]
    (desk.data / "better.txt").unlink()
    assert desk.new() == ["good.txt"]


def test_a_correction_that_is_sent_alone_or_cancelled_frees_the_others_too(desk: Desk) -> None:
    desk.write("bad.txt", "bad")
    good = desk.write("good.txt", "good")
    desk.refuse(desk.send(), "bad.txt")
    desk.write("bad.txt", "mended")
    hidden = good.rename(desk.data.parent / "good.txt")  # as if somebody had unticked it
    desk.send("two")
    hidden.rename(good)
    assert desk.new() == ["good.txt"]
    desk.bags.forget(desk.send("three"))
    desk.look()
    assert desk.new() == ["good.txt"]
    desk.refuse(desk.send("four"), "")
    assert desk.new() == []  # refused for no file's fault: it waits for a person


def test_what_another_sender_took_meanwhile_is_not_sent_twice(desk: Desk) -> None:
    desk.write("a.txt", "alpha")
    plan = desk.look()
    desk.send()
    assert (
        desk.bags.begin("two", desk.bags.of_state("uploaded")[0].target, ACCESS, "", plan.new, plan.planned)
        is None
    )


def test_names_links_and_special_files_that_cannot_be_sent_are_named(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (
        "ok.txt",
        "CON.txt",
        "a:b.txt",
        "blank ",
        "x.crdownload",
        "e\u0301.txt",
        "\u00e9.txt",
        "t\x07.txt",
    ):
        desk.write(name, name)
    (desk.data / "link").symlink_to("ok.txt")
    os.mkfifo(desk.data / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        monkeypatch.chdir(desk.data)  # the path of a socket is short
        listening.bind("socket")
        plan = desk.look()
    assert [file.path for file in plan.new] == ["eprime/ok.txt"]
    kinds = {each.path.removeprefix("eprime/"): each.kind for each in plan.left}
    names = dict.fromkeys(("CON.txt", "a:b.txt", "blank ", "e\u0301.txt", "\u00e9.txt", "t\x07.txt"), "name")
    others = {"x.crdownload": "growing", "link": "link", "pipe": "special", "socket": "special"}
    assert kinds == {**names, **others}
    assert all("\x07" not in each.reason for each in plan.left)


def test_what_this_account_may_not_read_is_named_and_the_rest_is_sent(
    open_folder: Path, other_user: Person, program_for_everybody: Program
) -> None:
    for name in ("mine/a.txt", "mine/b.txt", "closed/c.txt"):
        (path := open_folder / name).parent.mkdir(exist_ok=True)
        path.write_text(name)
        os.utime(path, (1_700_000_000, 1_700_000_000))
    folders = open_folder / "mine", open_folder / "closed"
    (open_folder / "mine" / "b.txt").chmod(0)
    (open_folder / "closed").chmod(0)
    (open_folder / "home").mkdir()
    other_user.owns(open_folder / "home")
    environment = {**program_for_everybody.environment, VARIABLE: str(open_folder / "home")}
    words = ["send", *map(str, folders), "--to", ACCESS.to, "--study", "heart", "--dry-run"]
    done = other_user.run(*program_for_everybody.command, *words, check=False, env=environment, cwd="/")
    assert done.returncode == 1
    assert "b.txt: this account may not read it. Ask its owner" in done.stdout
    assert "closed: the folder cannot be opened: Permission denied" in done.stdout
    assert "mine/a.txt" in done.stdout and "1 file would be sent" in done.stdout


def test_a_file_that_grows_or_is_open_is_left_for_next_time(desk: Desk) -> None:
    desk.write("quiet.txt", "quiet")
    grows = "import sys,time\nwhile True:\n open(sys.argv[1],'a').write('x'); time.sleep(0.05)"
    holds = "import sys\nf=open(sys.argv[1],'w'); f.write('x'); f.flush(); print('open',flush=True); sys.stdin.read()"
    growing = subprocess.Popen([sys.executable, "-c", grows, desk.data / "growing.txt"])
    holding = subprocess.Popen(
        [sys.executable, "-c", holds, desk.data / "open.txt"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert holding.stdout and holding.stdout.readline()
        wait_until(lambda: (desk.data / "growing.txt").exists())
        os.utime(desk.data / "open.txt", (1, 1))
        # On a busy machine the one that writes may stand still for so long.
        plan = wait_until(lambda: two_left(desk.look(Wish(settle_seconds=0.5))), what="both being left")
    finally:
        for process in (growing, holding):
            process.kill()
            process.communicate()
    assert plan and [file.path for file in plan.new] == ["eprime/quiet.txt"]
    assert {each.path.removeprefix("eprime/") for each in plan.left} == {"growing.txt", "open.txt"}


def two_left(plan: Plan) -> Plan | None:
    return plan if len(plan.left) == 2 else None


def test_a_clock_that_is_wrong_by_a_day_does_no_harm(desk: Desk) -> None:
    tomorrow = time.time() + 86_400
    path = desk.write("a.txt", "alpha")
    os.utime(path, (tomorrow, tomorrow))
    began = time.monotonic()
    assert desk.new(Wish(settle_seconds=60)) == ["a.txt"]
    assert time.monotonic() - began < 30
    desk.send(wish=Wish(settle_seconds=60))
    os.utime(path, (tomorrow - 86_400 * 2, tomorrow - 86_400 * 2))
    assert desk.new() == []


def test_a_missing_folder_is_named_and_the_others_are_sent(desk: Desk) -> None:
    desk.write("a.txt", "alpha")
    folders = (*desk.preset.folders, Folder("biopac", desk.data / "unplugged"))
    plan = look(Preset("heart", "heart", ACCESS, folders), desk.ledger, AT_ONCE)
    assert [file.path for file in plan.new] == ["eprime/a.txt"]
    assert [each.kind for each in plan.left] == ["missing"]


def test_a_folder_whose_path_is_no_text_is_named_and_the_others_are_sent(desk: Desk) -> None:
    odd = Path(os.fsdecode(os.fsencode(desk.data.parent) + b"/\xff"))
    odd.mkdir()
    (odd / "b.txt").write_text("beta")
    desk.write("a.txt", "alpha")
    desk.preset = Preset("heart", "heart", ACCESS, (*desk.preset.folders, Folder("biopac", odd)))
    desk.send()
    assert [(each.kind, "\\udcff" in each.reason or "\\xff" in each.reason) for each in desk.look().left] == [
        ("name", True)
    ]
