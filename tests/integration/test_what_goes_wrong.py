"""What users of comparable systems reported (reference/what-goes-wrong.md): a test for each line of the core.

Lines of later issues: 15 (e-mail), 16 (quotas), and of the seeds' own faults SSH host keys, acknowledgments, log
offsets and the text of PDFs. Line 11 (full disks) has test_faults.py as well, line 10 test_daemon_at_work.py.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from ulid import ULID

from faulty import drain as traced_drain
from mounts import Mounts
from people import program, with_few_watches
from product import STUDY, Product
from racing import again_and_again
from waiting import wait_until

pytestmark = pytest.mark.xdist_group("what-goes-wrong")

QUICK = STUDY | {"settle": "1s", "rescan": "1s"}
TEMPORARY = (
    "scan.filepart",
    "ocTransferId123.part",
    "00000001.pd~",
    ".hidden",
    "scan.tmp",
    "scan.crdownload",
    "a.tmp7",
)


def route(key: str, **more: object) -> dict[str, object]:
    """A route with folders and a destination of its own."""
    return QUICK | {"folders": f"./{key}", "deliver": [{"to": f"./studies/{key}"}]} | more


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Product]:
    """A daemon with a route for each test; two entries were there before it was started."""
    product = Product(tmp_path_factory.mktemp("running"))
    product.begin_with(sqlite_template)
    keys = ("half", "placeholder", "busy", "queued", "moved", "temporary", "old")
    routes = {key: route(key) for key in keys} | {"polled": route("polled", poll=True)}
    product.configure(routes)
    for key in routes.keys() - {"busy"}:
        (product.studies / key).mkdir()
    (product.folder("inbox", "half") / "at-start.dat").write_bytes(b"first half")
    old = product.folder("inbox", "old") / "from-before.dat"
    old.write_bytes(b"late")
    os.utime(old, (0, 0))
    try:
        with again_and_again(_appending(product.folder("inbox", "half") / "at-start.dat")):
            product.run("start_watcher")
            # Others are delivered meanwhile, so it was looked at and left alone.
            wait_until(lambda: (product.studies / "old/from-before.dat").exists(), what="the start-up scan")
            assert not (product.studies / "half/at-start.dat").exists()
        yield product
    finally:  # also when it did not come up as it should: a daemon that is left would take the next run's files
        product.run("stop_watcher", status=None)
        product.close()


def _appending(path: Path) -> Callable[[int], None]:
    def change(times: int) -> None:
        with path.open("r+b" if times % 1000 == 0 else "ab") as out:
            out.truncate(10) if times % 1000 == 0 else out.write(b".")

    return change


def arrives(path: Path, data: bytes) -> None:
    wait_until(lambda: path.exists() and path.read_bytes() == data, what=f"{path.name} at its destination")


def test_inbox_without_events_is_polled(running: Product) -> None:
    """1. NFS or SMB inbox: no inotify events, only start-up files are taken. (Chosen by itself: test_watcher.py.)"""
    running.drop("a.dat", b"1", route="polled")
    arrives(running.studies / "polled/a.dat", b"1")


def test_half_written_file_is_waited_for_at_start_up_too(running: Product) -> None:
    """2. Half-written file consumed; also at start-up."""
    stored = running.studies / "half/at-start.dat"
    wait_until(stored.exists, what="the file, once it is quiet")
    later = running.folder("inbox", "half") / "later.dat"
    later.touch()
    with again_and_again(_appending(later)):
        running.drop("marks-the-time.dat", b"1", route="half")
        arrives(running.studies / "half/marks-the-time.dat", b"1")
        assert not (running.studies / "half/later.dat").exists()
    wait_until((running.studies / "half/later.dat").exists, what="the second one")
    assert [path.name for path in (running.studies / "half").glob("*.v2*")] == []


def test_placeholder_that_is_filled_later_is_a_second_version(running: Product) -> None:
    """3. Zero-byte placeholder that is rewritten later is ignored until restart."""
    inbox, place = running.folder("inbox", "placeholder"), running.studies / "placeholder"
    (inbox / "scan.dat").touch()
    arrives(place / "scan.dat", b"")
    wait_until(lambda: not os.listdir(inbox), what="an empty inbox")
    (inbox / "scan.dat").write_bytes(b"now with content")
    arrives(place / "scan.v2.dat", b"now with content")


def test_busy_destination_is_tried_again_without_anybodys_help(running: Product) -> None:
    """4. Busy file or time-out: given up, never retried."""
    running.drop("a.dat", b"1", route="busy")
    running.wait_for_state("a.dat", "retrying")
    (running.studies / "busy").mkdir()
    arrives(running.studies / "busy/a.dat", b"1")


def test_file_that_is_noticed_many_times_is_delivered_once(running: Product) -> None:
    """5. The same file queued several times, then "file not found"."""
    for number in range(20):
        path = running.drop(f"s{number}.dat", b"%d" % number, route="queued")
        with suppress(FileNotFoundError):  # taken already
            os.utime(path)
            path.chmod(0o640)
            path.rename(path)
    running.drain(status=None)  # beside the daemon, which has the same work
    wait_until(lambda: len(list((running.studies / "queued").glob("*.dat"))) == 20, what="all twenty")
    rows = running.history("--route", "queued")
    assert sorted(row["item"] for row in rows) == sorted(f"s{number}.dat" for number in range(20))


def test_folder_moved_in_and_an_inbox_made_anew_are_not_missed(running: Product) -> None:
    """6. Silently missed: watch re-creation gap; a directory that is moved in."""
    inbox, place = running.folder("inbox", "moved"), running.studies / "moved"
    running.drop("first", {"deep/a.dat": b"1"}, route="moved")
    arrives(place / "deep/a.dat", b"1")
    inbox.rmdir()
    inbox.mkdir()
    running.drop("second", {"deep/b.dat": b"2"}, route="moved")
    arrives(place / "deep/b.dat", b"2")
    running.drop("third", {"deep/c.dat": b"3"}, route="moved")
    arrives(place / "deep/c.dat", b"3")


def test_temporary_names_of_all_clients_wait_for_their_rename(running: Product) -> None:
    """17. Temporary names of clients that a simple rule misses. 18. A partial file moved despite them."""
    inbox = running.folder("inbox", "temporary")
    for name in TEMPORARY:
        running.drop(name, b"half", route="temporary")
    running.drop("marks-the-end.dat", b"1", route="temporary")
    arrives(running.studies / "temporary/marks-the-end.dat", b"1")
    running.drain(status=None)
    assert sorted(os.listdir(inbox)) == sorted(TEMPORARY)
    rows = [row for row in running.listing("pending", "--route", "temporary") if row["where"] == "inbox"]
    assert {row["name"] for row in rows} == set(TEMPORARY)
    assert all("temporary" in row["reason"][0] for row in rows)
    (inbox / "scan.filepart").write_bytes(b"whole")
    (inbox / "scan.filepart").rename(inbox / "scan.dat")
    arrives(running.studies / "temporary/scan.dat", b"whole")


def test_old_file_is_new_when_it_arrives(running: Product) -> None:
    """Seeds: "new" meant "mtime later than the last run", so late old files were skipped; no start-up scan."""
    arrives(running.studies / "old/from-before.dat", b"late")
    aside = running.root / "from-1970.dat"
    aside.write_bytes(b"1970")
    os.utime(aside, (1, 1))
    aside.rename(running.folder("inbox", "old") / aside.name)
    arrives(running.studies / "old/from-1970.dat", b"1970")
    assert (running.studies / "old/from-1970.dat").stat().st_mtime == 1


def test_commit_that_fails_leaves_the_source_where_it_is(sqlite_product: Product) -> None:
    """7. Source deleted, then the database commit fails: document lost."""
    product = sqlite_product
    product.run("arrivals")
    _sql(product, "CREATE TRIGGER no BEFORE INSERT ON dropslot_receipt BEGIN SELECT RAISE(ABORT, 'no'); END")
    product.drop("s", {"a.dat": b"1"})
    assert product.drain(status=1).stderr
    [held] = product.folder("processing").glob("*/s/a.dat")
    assert held.read_bytes() == b"1" and product.history() == []
    _sql(product, "DROP TRIGGER no")
    product.run("retry", product.arrivals()[0]["id"])  # it may not be due for some seconds
    product.drain()
    assert product.delivered() == {"a.dat": b"1"}
    assert [(row["outcome"], row["version"]) for row in product.history()] == [("delivered", 1)]
    assert os.listdir(product.folder("done")) == ["s"]


def _sql(product: Product, statement: str) -> None:
    with closing(sqlite3.connect(product.root / "var/dropslot.sqlite3")) as database:
        database.execute(statement)
        database.commit()


def test_source_that_cannot_be_moved_away_does_not_undo_the_delivery(sqlite_product: Product) -> None:
    """8. Source cannot be removed: fails after all the work is done."""
    product = sqlite_product
    done = product.folder("done")
    (done / "s").mkdir()
    (done / ".again").touch()  # in the way of the second place that there is
    product.drop("s", b"1")
    assert "could not be moved to done" in product.drain().stderr
    product.drop("t", b"2")  # and nobody else is held up
    product.drain()
    assert product.delivered() == {"s": b"1", "t": b"2"}
    assert len(product.held()) == 1
    (done / ".again").unlink()
    product.drain()
    [moved] = (done / ".again").glob("*/s")
    assert moved.read_bytes() == b"1" and not product.held()
    assert len(product.history()) == 2


def test_bulk_drop_is_done_by_few_threads(sqlite_product: Product) -> None:
    """9. Bulk drop: a thread a file exhausts database connections."""
    for number in range(300):
        (sqlite_product.folder("inbox") / f"f{number}.dat").write_bytes(b"%d" % number)
    process = sqlite_product.start("drain", "--now")
    most = 0
    while process.poll() is None:
        status = Path(f"/proc/{process.pid}/status").read_text()
        most = max(most, int(status.partition("Threads:")[2].split()[0] if "Threads:" in status else 0))
    assert process.returncode == 0 and 1 <= most <= 8
    assert len(sqlite_product.delivered()) == 300


def test_killed_worker_leaves_its_work_to_the_next(sqlite_product: Product) -> None:
    """10. Worker or broker dies: tasks lost, stalled or piled up."""
    product = sqlite_product
    product.drop("big", {f"{number}.dat": b"\1" * (8 << 20) for number in range(6)})
    process = product.start("drain", "--now")
    stage = product.studies / ".dropslot/stage"
    wait_until(lambda: list(stage.glob("*-1")) or process.poll() is not None, what="it to stage")
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    product.drain()
    assert set(product.delivered()) == {f"{number}.dat" for number in range(6)}
    assert [row["state"] for row in product.arrivals()] == ["done"]
    assert not stage.exists()


def test_full_disk_in_mid_write_is_told_and_tried_again(sqlite_product: Product) -> None:
    """11. Disk full: silent partial transfer, no warning, no retry afterwards."""
    product = sqlite_product
    product.drop("s", {"a.dat": b"1" * 300_000})
    fault = "write:error=ENOSPC:when=" + _first_write_of_the_stage(product)
    trace = traced_drain(product, "write", fault)
    assert any("/stage/" in call.args for call in trace.calls if call.injected)
    [event] = product.listing("events", "--kind", "retrying")
    assert "No space left" in event["data"]["reason"][0] and "retried" in event["data"]["reason"][0]
    assert product.delivered()["a.dat"] == b"1" * 300_000


def _first_write_of_the_stage(product: Product) -> str:
    """Which write of the main thread it is: found in the same drain of a product beside it."""
    other = Product(product.root / "twin")
    other.root.mkdir()
    other.configure()
    other.drop("s", {"a.dat": b"1" * 300_000})
    calls = traced_drain(other, "write").calls
    [first] = [call for call in calls if "/stage/" in call.args and '"1111' in call.args][:1]
    before = [call for call in calls if call.pid == first.pid and call.begun <= first.begun]
    return str(len(before))


def test_left_over_of_a_crash_is_delivered_once_however_often_it_is_restarted(
    sqlite_product: Product,
) -> None:
    """12. A restart runs leftovers again; moves race or fail silently."""
    product = sqlite_product
    left = product.folder("processing") / f"{ULID()}-1"
    left.mkdir()
    (left / "s").write_bytes(b"1")  # a claim that was made and not yet recorded
    (product.folder("processing") / f"{ULID()}-1").mkdir()  # one that did not come to its rename
    drains = [
        subprocess.Popen(product.command("drain", "--now"), env=product.environment, cwd=product.root)
        for _ in "ab"
    ]
    assert {process.wait(60) for process in drains} <= {0, 1}  # 1: the other one had it in hand
    product.drain()
    assert product.delivered() == {"s": b"1"} and len(product.history()) == 1
    assert os.listdir(product.folder("done")) == ["s"] and not product.held()


def test_watch_limit_is_told_and_polled_around(make_product: Callable[..., Product]) -> None:
    """13. inotify watch limit reached: nothing said."""
    usual = program()
    product = make_product(how=replace(usual, command=with_few_watches(1, usual.command)))
    product.configure({key: route(key) for key in ("one", "two", "three")})
    for key in ("one", "two", "three"):
        (product.studies / key).mkdir()
    process = product.start("start_observer")
    log = product.root / "start_observer.log"
    wait_until(lambda: "max_user_watches" in log.read_text(), what="the limit to be told")
    for key in ("one", "two", "three"):
        product.drop("a.dat", b"1", route=key)
    for key in ("one", "two", "three"):
        arrives(product.studies / key / "a.dat", b"1")
    process.terminate()
    process.wait(60)


def test_malformed_checksums_and_unreadable_files_never_pass(sqlite_product: Product) -> None:
    """14. A malformed checksum file "verified"; a fixity job exited 0 on a crash."""
    product = sqlite_product
    bag = {"bagit.txt": b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n", "data/a.dat": b"1"}
    product.drop("empty", bag | {"manifest-sha256.txt": b""})
    product.drop("garbage", bag | {"manifest-sha256.txt": b"\xff\xfe no checksums"})
    product.drop("good.dat", b"1")
    product.drain(status=1)
    assert {row["name"]: row["state"] for row in product.arrivals()} == {
        "empty": "failed",
        "garbage": "failed",
        "good.dat": "done",
    }
    (product.studies / "good.dat").unlink()
    (product.studies / "good.dat").mkdir()
    assert "FAULT" in product.run("verify", "--fixity", status=1).stdout


def test_filling_disk_is_warned_of(sqlite_product: Product, mounts: Mounts) -> None:
    """19. Warn before a quota is full."""
    disk = mounts.tmpfs("1m")
    (disk / "filler").write_bytes(b"1" * (600 << 10))
    sqlite_product.configure({"study": STUDY | {"deliver": [{"to": str(disk)}], "space": {"warn": "50%"}}})
    told = [row for row in sqlite_product.listing("doctor") if "full" in row["what"]]
    assert [row["level"] for row in told] == ["warning"] and "free space" in told[0]["remedy"]


def test_listings_of_twenty_thousand_rows_are_whole_and_can_be_narrowed(sqlite_product: Product) -> None:
    """20. Task lists unusable at 7,000 to 20,000 rows; filters that only reach the current page. No retry button."""
    product = sqlite_product
    product.drop("one", b"1")
    product.drain()
    with closing(sqlite3.connect(product.root / "var/dropslot.sqlite3")) as database:
        database.execute("CREATE TEMP TABLE t AS SELECT * FROM dropslot_arrival")
        for number in range(20_000):
            database.execute("UPDATE t SET id = ?, name = ?", (str(ULID()), f"copy-{number}"))
            database.execute("INSERT INTO dropslot_arrival SELECT * FROM t")
        database.commit()
    assert len(product.arrivals()) == 20_001
    assert [row["name"] for row in product.arrivals("--search", "copy-19999")] == ["copy-19999"]
    assert product.arrivals("--state", "failed") == []
    assert len(product.run("arrivals").stdout.splitlines()) >= 20_001


def test_all_versions_are_kept_and_no_name_reaches_a_shell(sqlite_product: Product) -> None:
    """Seeds: `rsync -b` keeps one backup only; the final rename ran through a shell."""
    product = sqlite_product
    name = "$(touch pwned);`touch pwned`'\"&|.txt"
    for content in (b"1", b"2", b"3", b"4"):
        product.drop(name, content)
        product.drain()
    assert sorted(product.delivered().values()) == [b"1", b"2", b"3", b"4"]
    assert not (product.root / "pwned").exists() and not (product.studies / "pwned").exists()
