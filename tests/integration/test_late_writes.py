# mypy: disable-error-code="attr-defined"
"""A writer that stalled is not seen without a lease: what it writes later is an alarm, and is delivered."""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings
from django.utils import timezone

from databases import Database
from desk import Desk
from dropslot.arrivals.delivery import finish
from dropslot.arrivals.intake import inplace
from dropslot.arrivals.listings import queries
from dropslot.arrivals.models import Arrival
from dropslot.arrivals.upkeep import latewrites
from dropslot.arrivals.workers import recovery
from dropslot.audit.models import Event
from dropslot.core.states import State
from dropslot.files.walk import list_arrival
from dropslot.keeping.fixity import originals
from people import Person, Program
from product import STUDY, Product

HALF = 100_000
WHOLE = b"x" * 2 * HALF
# Room is made for the whole file, half of it is written, it gets its final name; then the program stalls. It goes on
# with the working folder and the descriptor that it has.
STALLS = f"""
import mmap, os, sys
how, folder, name, final = sys.argv[1:]
os.umask(0o002)
os.makedirs(folder, exist_ok=True)
os.chdir(folder)
file = os.open(name, os.O_CREAT | os.O_RDWR, 0o664)
os.posix_fallocate(file, 0, {2 * HALF})
os.write(file, b"x" * {HALF})
if how == "map":
    memory = mmap.mmap(file, 0)
    memory[{HALF}] = 0
before = os.fstat(file)
os.rename(os.path.join("..", os.path.basename(folder)) if folder != "." else name, final)
print("stalled", flush=True)
sys.stdin.readline()
if how == "map":
    memory[{HALF}:] = b"x" * {HALF}
else:
    os.pwrite(file, b"x" * {HALF}, {HALF})
if how == "set back":
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
if how == "more":
    open("more", "w").close()
print("whole", flush=True)
sys.stdin.readline()
"""


class Office:
    """A service without any privilege, and a sender whose program stalls."""

    def __init__(self, product: Product, service: Person, sender: Person) -> None:
        self.product, self.service, self.sender = product, service, sender
        product.configure({"study": STUDY | {"settle": "0s"}})
        for path in (product.root, *product.root.rglob("*")):
            service.owns(path)
        product.folder("inbox").parent.chmod(0o755)

    @contextmanager
    def stalls(self, name: str, how: str = "write", *, folder: bool = False) -> Iterator[Callable[[], None]]:
        """The program; calling it lets it write the other half."""
        inbox = self.product.folder("inbox")
        where = (".up", "scan", f"../{name}") if folder else (".", f".{name}", name)
        command = (sys.executable, "-c", STALLS, how, *where)
        program = self.sender.start(*command, cwd=inbox, stdin=-1, stdout=-1)
        assert program.stdin and program.stdout

        def go_on() -> None:
            assert program.stdin and program.stdout
            program.stdin.write("\n")
            program.stdin.flush()
            assert program.stdout.readline() == "whole\n"

        try:
            assert program.stdout.readline() == "stalled\n"
            yield go_on
        finally:
            program.communicate("\n\n", timeout=20)

    def run(self, *args: str, status: int | None = 0) -> str:
        ended = self.product.run(*args, status=status)
        return ended.stdout + ended.stderr

    def look_now(self) -> None:
        """Let the next look be due."""
        with closing(sqlite3.connect(self.product.root / "var/dropslot.sqlite3")) as database:
            database.execute(
                "UPDATE dropslot_arrival SET look_again_at = '2026-01-01' WHERE look_again_at > 0"
            )
            database.commit()

    def events(self) -> list[dict[str, Any]]:
        """From the database: a command of this account is started anew."""
        asked = "SELECT arrival, data FROM dropslot_event WHERE kind = 'written-since' ORDER BY seq"
        with closing(sqlite3.connect(self.product.root / "var/dropslot.sqlite3")) as database:
            return [{"arrival": one, "data": json.loads(data)} for one, data in database.execute(asked)]


@pytest.fixture
def office(
    make_product: Callable[..., Product],
    open_folder: Path,
    service_user: Person,
    other_user: Person,
    program_for_everybody: Program,
) -> Office:
    start = ("setpriv", f"--reuid={service_user.uid}", f"--regid={service_user.gid}", "--clear-groups")
    limits = ("--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all", "--no-new-privs", "--")
    how = replace(program_for_everybody, command=(*start, *limits, *program_for_everybody.command))
    return Office(make_product(root=open_folder / "product", how=how), service_user, other_user)


def is_delivered_whole(office: Office, name: str = "scan") -> None:
    product = office.product
    first, second = sorted(product.history("--search", name), key=lambda row: row["version"])
    assert product.delivered()[name] == b"x" * HALF + bytes(HALF), "what was published stays"
    assert product.delivered()[second["stored_as"]] == WHOLE
    assert [row["version"] for row in product.listing("latest", "study")] == [2]
    assert first["dropped_at"] == second["dropped_at"] and second["sender"] == office.sender.name
    [event] = office.events()
    assert (event["arrival"], event["data"]["goes_on_as"]) == (first["arrival"], second["arrival"])
    assert (product.folder("done") / "scan").read_bytes() == WHOLE
    assert "OK" in product.run("verify", "--fixity").stdout


@pytest.mark.parametrize(
    "finds", [("verify",), ("verify", "--fixity"), ("purge", "--older-than", "0s", "--yes")]
)
def test_other_half_is_an_alarm_and_is_delivered(office: Office, finds: tuple[str, ...]) -> None:
    with office.stalls("scan") as go_on:
        office.run("drain", "--now")
        assert "OK" in office.run("verify", "--fixity")
        go_on()
        told = office.run(*finds, status=1)
        assert "scan was written to after it had been delivered" in told
        office.run("drain", "--now")
    if finds[0] == "purge":
        assert "written to" in office.run("verify", status=1)
    is_delivered_whole(office)


def test_service_finds_it_by_itself_and_verify_names_it_once(office: Office) -> None:
    with office.stalls("scan") as go_on:
        office.run("drain", "--now")
        go_on()
        office.look_now()
        office.run("drain", "--now")
    told = office.run("verify", status=1)
    assert "was written to after it had been delivered" in told
    is_delivered_whole(office)


@pytest.mark.parametrize("how", ["map", "set back"])
def test_write_that_leaves_the_times_as_they_were_is_found_by_reading(office: Office, how: str) -> None:
    with office.stalls("scan", how) as go_on:
        office.run("drain", "--now")
        go_on()
        assert "written to" in office.run("verify", "--fixity", status=1)
        office.run("drain", "--now")
    is_delivered_whole(office)


def test_folder_that_a_program_still_stands_in_grows(office: Office) -> None:
    with office.stalls("visit", "more", folder=True) as go_on:
        (office.product.folder("inbox") / "visit").chmod(
            0o777
        )  # so that a service without privilege may move it
        office.run("drain", "--now")
        go_on()
        assert "written to" in office.run("verify", status=1)
        office.run("drain", "--now")
    assert office.product.delivered() == {"scan": b"x" * HALF + bytes(HALF), "scan.v2": WHOLE, "more": b""}
    assert "OK" in office.run("verify", "--fixity")


def test_dry_run_of_a_purge_says_it_and_changes_nothing(office: Office) -> None:
    with office.stalls("scan") as go_on:
        office.run("drain", "--now")
        go_on()
        assert "written to" in office.run("purge", "--older-than", "0s", "--dry-run", status=1)
    assert office.events() == [] and len(office.product.arrivals()) == 1


def test_what_was_read_under_leases_is_not_looked_at_again(sqlite_product: Product) -> None:
    sqlite_product.drop("scan", b"1")
    sqlite_product.drain()
    with closing(sqlite3.connect(sqlite_product.root / "var/dropslot.sqlite3")) as database:
        assert database.execute("SELECT look_again_at FROM dropslot_arrival").fetchall() == [(None,)]
    assert "without a lease" not in sqlite_product.run("verify", "--fixity").stdout


def test_source_that_is_read_in_place_becomes_a_revision(sqlite_product: Product) -> None:
    product = sqlite_product.configure({"study": STUDY | {"leave_source": True, "complete": "named"}})
    dropped = product.drop("scan", b"x" * HALF + bytes(HALF))
    with dropped.open("r+b") as writer:
        product.drain()
        before = dropped.stat()
        writer.seek(HALF)
        writer.write(b"x" * HALF)
    assert "OK" in product.run("verify", "--fixity").stdout  # a change of its times: the next look takes it
    product.drain()
    assert product.delivered()["scan.v2"] == WHOLE and before.st_size == len(WHOLE)


# Step by step


@pytest.fixture
def desk(database: Database, tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    with override_settings(DROPSLOT=made.config):
        yield made


def unleased_one(desk: Desk, name: str = "p-scan") -> tuple[str, Path]:
    """A delivered file of which the service had no lease, and where it lies in done."""
    arrival = desk.send(name, b"half")
    assert desk.attempt(arrival) == [State.DONE]
    archived = desk.folders().done / name
    seen = finish.fingerprint(list_arrival(archived))
    past = timezone.now() - timedelta(minutes=2)
    Arrival.objects.filter(id=arrival).update(
        evidence={"unleased": seen}, look_again_at=past, finished_at=past
    )
    return arrival, archived


def write_and_be_quiet(archived: Path, content: bytes = b"whole") -> None:
    archived.write_bytes(content)
    os.utime(archived, (1, 1))


def look(desk: Desk) -> None:
    Arrival.objects.filter(look_again_at__isnull=False).update(
        look_again_at=timezone.now() - timedelta(seconds=1)
    )
    latewrites.look_due(desk.config)


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here waits for `settle`; what is not quiet has a test of its own."""
    monkeypatch.setattr(latewrites, "_is_quiet", lambda *_: True)


@pytest.mark.sqlite_only
def test_nothing_written_is_looked_at_less_and_less_often(desk: Desk) -> None:
    arrival, _ = unleased_one(desk)
    look(desk)
    row = Arrival.objects.get(id=arrival)
    assert row.finished_at and row.look_again_at
    assert row.look_again_at - row.finished_at > timedelta(minutes=15)
    Arrival.objects.update(finished_at=timezone.now() - timedelta(days=31))
    look(desk)
    assert Arrival.objects.get(id=arrival).look_again_at is None


def test_look_keeps_what_others_note_meanwhile(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    arrival, archived = unleased_one(desk)
    os.utime(archived, (5, 5))
    compare = latewrites.differences

    def noted_first(row: Arrival, *given: Any, **how: Any) -> list[latewrites.Difference]:
        Arrival.objects.filter(id=arrival).update(evidence=row.evidence | {"purging": True})
        return compare(row, *given, **how)

    monkeypatch.setattr(latewrites, "differences", noted_first)
    look(desk)
    evidence = Arrival.objects.get(id=arrival).evidence
    assert evidence["purging"] and evidence["unleased"] == finish.fingerprint(list_arrival(archived))


@pytest.mark.sqlite_only
def test_what_was_only_touched_is_no_alarm(desk: Desk) -> None:
    arrival, archived = unleased_one(desk)
    os.utime(archived, (5, 5))
    look(desk)
    assert not Event.objects.filter(kind="written-since").exists()
    assert Arrival.objects.get(id=arrival).archived_as == str(archived)


def test_correction_that_was_dropped_meanwhile_stays_the_latest(desk: Desk) -> None:
    first, archived = unleased_one(desk)
    correction = desk.send("p-scan", b"corrected", "two")
    assert desk.attempt(correction) == [State.DONE]
    write_and_be_quiet(archived)
    look(desk)
    heir = Arrival.objects.get(state=State.READY)
    assert desk.attempt(heir.id) == [State.DONE]
    assert desk.versions("p-scan") == [first, correction, heir.id]
    superseded = {row["arrival"]: row["superseded"] for row in queries.history(queries.Filter())}
    assert superseded == {first: False, correction: False, heir.id: True}


def test_crash_between_the_alarm_and_the_move_is_gone_on_from(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, archived = unleased_one(desk)
    write_and_be_quiet(archived)
    with monkeypatch.context() as patched:
        patched.setattr(latewrites, "hand_over", lambda *_: (_ for _ in ()).throw(OSError("killed")))
        look(desk)
    assert archived.exists()
    look(desk)
    assert Event.objects.filter(kind="written-since").count() == 1
    assert not archived.exists() and Arrival.objects.filter(state=State.READY).count() == 1


def test_crash_between_the_move_and_its_row_is_gone_on_from(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrival, archived = unleased_one(desk)
    write_and_be_quiet(archived)
    with monkeypatch.context() as patched:
        patched.setattr(
            latewrites.record, "record_claims", lambda *_: (_ for _ in ()).throw(OSError("killed"))
        )
        look(desk)
    assert len(recovery.recover(desk.config)) == 1
    look(desk)
    first, heir = Arrival.objects.order_by("received_at")
    assert (first.id, first.state, heir.state) == (arrival, State.DONE, State.READY)
    assert heir.dropped_at == first.dropped_at and heir.id == first.evidence["heir"]
    assert desk.attempt(heir.id) == [State.DONE]
    assert Event.objects.filter(kind="written-since").count() == 1
    report = originals.check_archives(desk.config, read=False)
    assert report.found == 1 and "follows as the next version" in report.faults[0].what
    assert first.archived_as == "" and originals.check_archives(desk.config, read=False).ok


def alarmed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> tuple[Arrival, Path]:
    """The alarm is written down, and no more."""
    arrival, archived = unleased_one(desk)
    write_and_be_quiet(archived)
    with monkeypatch.context() as patched:
        patched.setattr(latewrites, "hand_over", lambda *_: (_ for _ in ()).throw(OSError("killed")))
        look(desk)
    return Arrival.objects.get(id=arrival), archived


@pytest.mark.sqlite_only
def test_whole_one_that_was_adopted_and_delivered_before_the_next_look_has_its_sender(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, archived = alarmed(desk, monkeypatch)
    Arrival.objects.filter(id=first.id).update(evidence=first.evidence | {"uid": 54321})
    with monkeypatch.context() as patched:
        patched.setattr(
            latewrites.record, "record_claims", lambda *_: (_ for _ in ()).throw(OSError("killed"))
        )
        look(desk)
    assert len(recovery.recover(desk.config)) == 1
    heir = Arrival.objects.get(state=State.READY)
    assert desk.attempt(heir.id) == [State.DONE] and heir.sender == "54321"
    look(desk)
    first.refresh_from_db()
    assert (first.archived_as, first.look_again_at) == ("", None)
    assert Arrival.objects.get(id=heir.id).archived_as == str(archived) and archived.exists()


def test_who_wakes_up_when_the_whole_one_is_done_moves_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    late, archived = alarmed(desk, monkeypatch)
    look(desk)
    assert desk.attempt(late.evidence["heir"]) == [State.DONE]
    latewrites.hand_over(desk.config, desk.folders(), late)
    assert archived.read_bytes() == b"whole"
    assert not list(desk.folders().processing.iterdir())


@pytest.mark.sqlite_only
def test_whole_one_that_cannot_go_on_yet_is_tried_again_however_old_it_is(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, archived = alarmed(desk, monkeypatch)
    Arrival.objects.update(finished_at=timezone.now() - timedelta(days=40))
    with monkeypatch.context() as patched:
        patched.setattr(latewrites, "move_to_own", lambda *_: (_ for _ in ()).throw(OSError("read-only")))
        look(desk)
    due = Arrival.objects.get(id=first.id).look_again_at
    assert due and timezone.now() < due < timezone.now() + timedelta(minutes=2)
    look(desk)
    assert not archived.exists() and Arrival.objects.get(id=first.evidence["heir"]).state == State.READY


@pytest.mark.sqlite_only
def test_empty_folder_that_recovery_removed_meanwhile_is_made_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, archived = alarmed(desk, monkeypatch)
    move, moves = latewrites.move_to_own, []

    def recovered_first(source: Path, target: Path) -> None:
        moves.append(target)
        if len(moves) == 1:
            recovery.recover(desk.config)
        move(source, target)

    monkeypatch.setattr(latewrites, "move_to_own", recovered_first)
    look(desk)
    assert len(moves) == 2 and not archived.exists()
    assert Arrival.objects.get(id=first.evidence["heir"]).state == State.READY


@pytest.mark.sqlite_only
def test_alarm_of_a_verification_that_was_killed_is_gone_on_from(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, archived = unleased_one(desk)
    Arrival.objects.update(look_again_at=None)  # the last look was taken
    write_and_be_quiet(archived)
    with monkeypatch.context() as patched:
        patched.setattr(latewrites, "hand_over", lambda *_: (_ for _ in ()).throw(OSError("killed")))
        originals.check_archives(desk.config, read=False)
    look(desk)
    assert not archived.exists() and Arrival.objects.filter(state=State.READY).count() == 1
    assert Event.objects.filter(kind="written-since").count() == 1
    assert Arrival.objects.get(id=first).archived_as == ""


@pytest.mark.sqlite_only
def test_store_into_a_source_in_place_that_changes_no_time_is_found_by_reading(desk: Desk) -> None:
    arrival = desk.send("p-scan", b"half")
    assert desk.attempt(arrival) == [State.DONE]
    source = desk.drop("p-scan", b"diff")
    seen = inplace.fingerprint(list_arrival(desk.folders().inbox / source.name))
    Arrival.objects.update(in_place=True, archived_as="", evidence={"seen": seen})
    report = originals.check_archives(desk.config, read=True)
    assert report.found == 1 and "p-scan was written to" in report.faults[0].what
    assert inplace.claim_in_place(desk.folders(), source), "it is a revision"
    assert originals.check_archives(desk.config, read=True).ok
    assert Event.objects.filter(kind="written-since").count() == 1


@pytest.mark.sqlite_only
def test_archive_of_another_that_has_the_name_in_done_by_now_is_no_alarm(desk: Desk) -> None:
    _, archived = unleased_one(desk)
    archived.unlink()  # by hand, or moved back into the inbox
    later = desk.send("p-scan", b"another")
    assert desk.attempt(later) == [State.DONE] and archived.read_bytes() == b"another"
    look(desk)
    assert originals.check_archives(desk.config, read=True).ok
    assert not Event.objects.filter(kind="written-since").exists()
    assert archived.exists() and Arrival.objects.get(id=later).archived_as == str(archived)
