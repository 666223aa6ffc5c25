"""What one bag meets keeps no other back, and nothing is continued that somebody cancelled."""

from __future__ import annotations

import errno
import hashlib
import math
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from at_pc import Answers
from collecting import damage
from dropslot.core.errors import DropslotError
from dropslot.sender import home_folder
from dropslot.sender.connecting import Access
from dropslot.sender.engine.control import Cancelled, Control, Paused
from dropslot.sender.engine.listener import Silent
from dropslot.sender.engine.sender import Sender
from dropslot.sender.faults import BagNameTaken, InboxClosed, InboxMissing
from dropslot.sender.inbox import Outgoing, Progress, SignedReceipt
from dropslot.sender.ledger import journal
from dropslot.sender.ledger.ledger import Ledger
from dropslot.sender.ledger.open_ledger import LedgerDamaged
from dropslot.sender.new_files.preset_scan import Wish
from dropslot.sender.plan import Plan
from dropslot.sender.presets.preset import Folder, Preset
from dropslot.sender.unattended import noticing, send_watch
from dropslot.sftp.pace import Pace
from waiting import wait_until

ACCESS = Access("sftp://drop.lab.example/inbox")


class Gone(DropslotError):
    """There is no network."""


class Away(DropslotError):
    """The server is away for now."""

    retryable = True


class Server:
    """An inbox that takes everything, from whom it lets in. `before` is called before each upload."""

    where = ACCESS.to

    def __init__(self) -> None:
        self.bags: dict[str, bool] = {}  # whether it has its final name
        self.others: set[str] = set()  # begun by another account
        self.has_network = self.may_read = True
        self.before: Callable[[], None] = lambda: None

    def begin(self, bag: str, files: Sequence[Outgoing]) -> None:
        self.bags.setdefault(bag, False)

    def upload(
        self, bag: str, files: Sequence[Outgoing], reached: Mapping[str, int], progress: Progress, pace: Pace
    ) -> None:
        if bag in self.others:
            raise InboxClosed("Making a folder was refused: your account may not do this")
        for file in files:
            self.before()
            progress.check()
            progress.done(file.path, hashlib.sha256(file.source.read_bytes()).hexdigest())

    def finish(
        self, bag: str, tag_files: Mapping[str, bytes], naming: Callable[[], None], *, may_be_named: bool
    ) -> bool:
        naming()
        self.bags[bag] = True
        return True

    def discard(self, bag: str) -> None:
        if not self.has_network:
            raise Gone("The network is gone")
        self.bags.pop(bag, None)

    def receipt(self, bag: str) -> SignedReceipt | None:
        if not self.may_read:
            raise InboxClosed("Your account may not read its receipts")
        return None

    def signers(self) -> str:
        return ""

    def close(self) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Server:
    server = Server()
    monkeypatch.setenv("DROPSLOT_SENDER_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(
        "dropslot.sender.engine.inbox_connection.connect", lambda _access, _credentials: server
    )
    (tmp_path / "data").mkdir()
    return server


class Person:
    """At a PC with one folder of data; each send is a program of its own."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.preset = Preset("heart", "heart", ACCESS, (Folder("eprime", data),))

    def look(self, sender: Sender) -> Plan:
        return sender.look(self.preset, Wish(settle_seconds=0))

    def send(self, control: Control | None = None) -> tuple[str, ...]:
        sender = Sender(Answers(), control=control)
        try:
            return sender.send(self.look(sender)).bags
        finally:
            sender.close()

    def new(self) -> list[str]:
        sender = Sender(Answers())
        try:
            return [file.path for file in self.look(sender).new]
        finally:
            sender.close()


@pytest.fixture
def person(tmp_path: Path) -> Person:
    return Person(tmp_path / "data")


def stopped(person: Person, server: Server, how: str, error: type[DropslotError]) -> str:
    """A send that ends before its first file; returns the name of its bag."""
    control = Control()
    server.before = getattr(control, how)
    with pytest.raises(error):
        person.send(control)
    server.before = lambda: None
    (bag,) = (name for name, is_final in server.bags.items() if not is_final)
    return bag


def test_a_cancelled_bag_is_not_continued_also_if_the_network_was_gone(
    person: Person, server: Server
) -> None:
    (person.data / "wrong.txt").write_text("of another study")
    server.has_network = False
    bag = stopped(person, server, "cancel", Gone)
    assert person.new() == ["eprime/wrong.txt"]
    (person.data / "wrong.txt").unlink()
    (person.data / "right.txt").write_text("right")
    assert person.send() != (bag,)  # it could not be removed now, either
    server.has_network = True
    person.send()
    assert len(server.bags) == 1 and bag not in server.bags


def test_a_cancel_that_reached_the_server_leaves_nothing(person: Person, server: Server) -> None:
    (person.data / "a.txt").write_text("alpha")
    control = Control()
    server.before = control.cancel
    with pytest.raises(Cancelled):
        person.send(control)
    assert not server.bags and person.new() == ["eprime/a.txt"]


def test_a_cancel_while_the_bag_gets_its_name_comes_too_late(
    person: Person, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    (person.data / "a.txt").write_text("alpha")
    control = Control()

    def named_without_an_answer(
        bag: str, tag_files: Mapping[str, bytes], naming: Callable[[], None], *, may_be_named: bool
    ) -> None:
        naming()
        server.bags[bag] = True
        control.cancel()
        raise Away("The connection broke")

    with monkeypatch.context() as patch:
        patch.setattr(server, "finish", named_without_an_answer)
        with pytest.raises(Paused, match="too late"):
            person.send(control)
    (bag,) = server.bags
    assert person.new() == []
    assert person.send() == (bag,) and server.bags == {bag: True}


def test_what_was_sent_under_a_name_that_is_taken_is_removed_by_the_next_send(
    person: Person, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    (person.data / "a.txt").write_text("alpha")

    def taken(*_: object, **__: object) -> bool:
        raise BagNameTaken("The inbox already has something else of this name")

    with monkeypatch.context() as patch:
        patch.setattr(server, "finish", taken)
        with pytest.raises(BagNameTaken):
            person.send()
    (first,) = server.bags
    (second,) = person.send()
    assert first != second and server.bags == {second: True}


def test_a_bag_that_another_account_began_keeps_no_other_back(person: Person, server: Server) -> None:
    (person.data / "ann.txt").write_text("Ann's")
    bag = stopped(person, server, "pause", Paused)
    server.others = {bag}
    (person.data / "bob.txt").write_text("Bob's")
    with pytest.raises(InboxClosed):
        person.send()
    assert sorted(server.bags.values()) == [False, True]
    server.others = set()
    assert person.send() == (bag,)
    assert person.new() == []


@pytest.mark.parametrize(
    ("how", "error", "left"), [("pause", Paused, [True]), ("cancel", Gone, [])], ids=["paused", "cancelled"]
)
def test_a_bag_stays_with_its_route_when_another_study_of_the_portal_is_sent(
    person: Person,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
    error: type[DropslotError],
    left: list[bool],
) -> None:
    eeg, mri = (Access("https://drop.lab.example", route=route) for route in ("eeg", "mri"))
    routes = {eeg: server, mri: Server()}
    monkeypatch.setattr(
        "dropslot.sender.engine.inbox_connection.connect", lambda access, _credentials: routes[access]
    )
    person.preset = replace(person.preset, access=eeg)
    (person.data / "a.txt").write_text("alpha")
    server.has_network = False
    bag = stopped(person, server, how, error)
    server.has_network = True
    person.preset = replace(person.preset, name="scans", study="scans", access=mri)
    person.send()
    assert list(server.bags.values()) == left
    assert list(routes[mri].bags.values()) == [True] and bag not in routes[mri].bags


def test_what_was_begun_for_a_route_that_is_no_more_is_new_again(
    person: Person, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = (Access("https://drop.lab.example", route=route) for route in ("old", "new"))

    def connected(access: Access, _credentials: object) -> Server:
        if access == old:
            raise InboxMissing("There is no route old for this account")
        return server

    person.preset = replace(person.preset, access=old)
    (person.data / "a.txt").write_text("alpha")
    bag = stopped(person, server, "pause", Paused)
    monkeypatch.setattr("dropslot.sender.engine.inbox_connection.connect", connected)
    person.preset = replace(person.preset, access=new)
    with pytest.raises(InboxMissing):
        person.send()
    (name,) = person.send()
    assert server.bags == {bag: False, name: True}


@pytest.mark.parametrize("may_read", [True, False])
def test_a_ledger_with_damage_inside_is_made_anew_and_sending_goes_on(
    person: Person, server: Server, may_read: bool
) -> None:
    (person.data / "a.txt").write_text("alpha")
    (first,) = person.send()
    server.may_read = may_read
    damage(home_folder.ledger_file())
    with pytest.raises(LedgerDamaged):
        person.send()
    (person.data / "b.txt").write_text("beta")
    (second,) = person.send()  # "Send again", as the error says
    assert first != second
    assert len(list(home_folder.home().glob("ledger.sqlite3.damaged-*"))) == 1
    assert person.new() == []


def test_what_the_disk_of_this_pc_does_not_take_is_said_and_the_files_stay_new(
    person: Person, server: Server
) -> None:
    (person.data / "a.txt").write_text("alpha")
    home_folder.journal_file().mkdir(parents=True)
    with pytest.raises(home_folder.HomeUnready, match=r"bags\.jsonl cannot be written"):
        person.send()
    assert server.bags == {} and person.new() == ["eprime/a.txt"]
    home_folder.journal_file().rmdir()
    assert len(person.send()) == 1


def test_two_programs_may_make_the_ledger_at_the_same_time(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    Ledger(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "PRAGMA user_version = 0"
        )  # as the second one saw it before the first one was done
    ledger = Ledger(path)
    assert ledger.newest() == 0
    ledger.close()


def test_a_line_that_a_crash_cut_takes_no_other_bag_with_it(tmp_path: Path) -> None:
    path = tmp_path / "bags.jsonl"
    bags = [
        journal.Noted(name, "i", "heart", "", "2026", {}, {"eprime": "/d"})
        for name in ("one", "two", "three")
    ]
    journal.note(path, bags[0])
    journal.note(path, bags[1])
    path.write_bytes(path.read_bytes()[:-9])
    journal.note(path, bags[2])
    assert list(journal.noted(path)) == [bags[0], bags[2]]


def test_an_account_that_may_not_read_its_receipts_goes_on_sending_by_itself(
    person: Person, server: Server
) -> None:
    server.may_read, heard, control = False, Warned(), Control()
    watcher = threading.Thread(target=watched, args=([person.preset], heard, control))
    watcher.start()
    try:
        for count in (1, 2):
            (person.data / f"{count}.txt").write_text(f"{count}")
            wait_until(lambda count=count: len(server.bags) == count, what=f"bag {count}")  # type: ignore[misc]
    finally:
        control.pause()
        watcher.join(60)
    assert len(heard.warnings) == 1 and "may not read" in heard.warnings[0]


def test_a_server_that_is_away_keeps_nothing_from_another_one(
    person: Person, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Distant(Server):
        def begin(self, bag: str, files: Sequence[Outgoing]) -> None:
            raise Away("The server does not answer")

    away = replace(person.preset, name="away", access=Access("sftp://away.lab.example/inbox"))
    both = {ACCESS: server, away.access: Distant()}
    monkeypatch.setattr(
        "dropslot.sender.engine.inbox_connection.connect", lambda access, _credentials: both[access]
    )
    monkeypatch.setattr(send_watch, "PATIENCE_SECONDS", 0.2)
    (person.data / "a.txt").write_text("alpha")
    heard, control = Warned(), Control()
    watcher = threading.Thread(target=watched, args=([away, person.preset], heard, control))
    watcher.start()
    try:
        wait_until(lambda: list(server.bags.values()) == [True], what="the bag")
    finally:
        control.pause()
        watcher.join(60)


class Warned(Silent):
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warned(self, sentence: str) -> None:
        self.warnings.append(sentence)


def watched(presets: Sequence[Preset], heard: Warned, control: Control) -> None:
    with suppress(Paused):
        send_watch.watch(presets, Answers(), heard, control, settle_seconds=0.1)


def test_a_system_that_watches_no_more_folders_is_looked_at_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(_observer: object) -> None:
        raise OSError(errno.ENOSPC, "inotify watch limit reached")

    monkeypatch.setattr("watchdog.observers.Observer.start", no_space)
    monkeypatch.setattr(noticing, "POLL_SECONDS", 0.05)
    with noticing.noticed([tmp_path]) as notices:
        notices.wait(math.inf, Control())  # ends, though no event comes
