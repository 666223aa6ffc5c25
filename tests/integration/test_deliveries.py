# mypy: disable-error-code="func-returns-value"
"""What becomes of arrivals: delivered once, whole, in versions, recorded and archived."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from people import Person, Program
from product import STUDY, Product
from waiting import wait_until

FIELD = STUDY | {"deliver": [{"to": "./studies/{study}/raw"}], "name": r"(?P<study>\w+)-.+"}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_folder_is_delivered_whole_recorded_and_archived(product: Product) -> None:
    tree = {"a.txt": b"one", "deep/b.bin": b"\0" * 70_000, "deep/empty/": b"", "zero": b""}
    product.drop("session1", tree)
    product.drain()
    files = {name: data for name, data in tree.items() if not name.endswith("/")}
    assert product.delivered() == files
    assert (product.studies / "deep/empty").is_dir()
    [arrival] = product.arrivals()
    assert (arrival["name"], arrival["state"], arrival["items"]) == ("session1", "done", 3)
    history = {row["item"]: row for row in product.history()}
    assert {name: row["sha256"] for name, row in history.items()} == {n: sha256(d) for n, d in files.items()}
    assert {row["outcome"] for row in history.values()} == {"delivered"}
    assert (product.folder("done") / "session1" / "deep/b.bin").read_bytes() == tree["deep/b.bin"]
    assert history["deep/b.bin"]["archived_as"] == str(product.folder("done") / "session1/deep/b.bin")
    assert not product.held()


@pytest.mark.sqlite_only
def test_manifest_is_accepted_by_sha256sum(product: Product) -> None:
    product.drop("session1", {"a b.txt": b"one", "c\\d": b"two"})
    product.drain()
    [manifest] = product.manifests()
    checked = subprocess.run(
        ["sha256sum", "-c", str(manifest)], cwd=product.studies, capture_output=True, check=False
    )
    assert checked.returncode == 0, checked.stdout


@pytest.mark.sqlite_only
def test_new_target_is_made_whole(make_product: Callable[..., Product], database_url: str) -> None:
    product = make_product(database_url).configure({"study": FIELD})
    product.drop("alpha-1", {"x/y": b"1"})
    product.drain()
    assert product.delivered() == {"alpha/raw/x/y": b"1"}
    product.drop("alpha-2", {"x/y": b"2", "x/z": b"3"})
    product.drain()
    assert product.delivered() == {"alpha/raw/x/y": b"1", "alpha/raw/x/y.v2": b"2", "alpha/raw/x/z": b"3"}


def test_new_content_becomes_the_next_version_and_the_same_is_unchanged(product: Product) -> None:
    for content in (b"one", b"two", b"one", b"three", b"two"):
        product.drop("scan.nii.gz", content)
        product.drain()
    assert product.delivered() == {
        "scan.nii.gz": b"one",
        "scan.v2.nii.gz": b"two",
        "scan.v3.nii.gz": b"three",
    }
    told = [
        (row["stored_as"], row["version"], row["outcome"], row["superseded"]) for row in product.history()
    ]
    assert told == [
        ("scan.nii.gz", 1, "delivered", False),
        ("scan.v2.nii.gz", 2, "delivered", False),
        ("scan.nii.gz", 1, "unchanged", True),
        ("scan.v3.nii.gz", 3, "delivered", False),
        ("scan.v2.nii.gz", 2, "unchanged", True),
    ]
    assert len(list(product.folder("done").rglob("scan.nii.gz"))) == 5


def test_moving_from_done_to_inbox_runs_it_again_without_effect(product: Product) -> None:
    product.drop("session1", {"a": b"1", "b": b"2"})
    product.drain()
    os.rename(product.folder("done") / "session1", product.folder("inbox") / "session1")
    product.drain()
    assert product.delivered() == {"a": b"1", "b": b"2"}
    assert [row["outcome"] for row in product.history()] == ["delivered"] * 2 + ["unchanged"] * 2
    events = product.listing("events", "--kind", "delivered")
    assert [event["data"]["outcomes"] for event in events] == [{"delivered": 2}, {"unchanged": 2}]
    assert (product.folder("done") / "session1" / "a").exists()


@pytest.mark.sqlite_only
def test_file_from_before_dropslot_is_version_one(product: Product) -> None:
    (product.studies / "report.pdf").write_bytes(b"old")
    product.drop("report.pdf", b"new")
    product.drop("other", {"report.pdf": b"old"})
    product.drain()
    assert product.delivered() == {"report.pdf": b"old", "report.v2.pdf": b"new"}
    assert {(row["stored_as"], row["outcome"]) for row in product.history()} == {
        ("report.v2.pdf", "delivered"),
        ("report.pdf", "unchanged"),
    }
    assert len(product.listing("events", "--kind", "adopted")) == 1


@pytest.mark.sqlite_only
def test_name_that_is_taken_by_something_else_takes_the_next_number(product: Product) -> None:
    (product.studies / "scan.dat").mkdir()
    (product.studies / "scan.v2.dat").symlink_to("/etc/passwd")
    product.drop("scan.dat", b"mine")
    product.drain()
    assert (product.studies / "scan.v3.dat").read_bytes() == b"mine"
    assert (product.studies / "scan.v2.dat").is_symlink()


@pytest.mark.sqlite_only
def test_item_that_is_called_like_a_version_of_another(product: Product) -> None:
    for n in (b"1", b"2"):
        product.drop("s", {"a.txt": n, "a.v2.txt": b"own" + n})
        product.drain()
    delivered = product.delivered()
    assert sorted(delivered.values()) == [b"1", b"2", b"own1", b"own2"]
    assert (delivered["a.txt"], delivered["a.v2.txt"]) == (b"1", b"own1")


def test_edited_and_removed_files_are_events_and_the_next_version(product: Product) -> None:
    product.drop("s", {"edited": b"one", "removed": b"two"})
    product.drain()
    (product.studies / "edited").write_bytes(b"eno")
    (product.studies / "removed").unlink()
    product.drop("s", {"edited": b"one", "removed": b"two"})
    product.drain()
    assert product.delivered() == {"edited": b"eno", "edited.v2": b"one", "removed.v2": b"two"}
    [event] = product.listing("events", "--kind", "altered")
    assert {(f["stored_as"], f["found"] == "missing") for f in event["data"]["files"]} == {
        ("edited", False),
        ("removed", True),
    }


@pytest.mark.sqlite_only
def test_several_destinations_get_it_all(product: Product) -> None:
    other = product.root / "mirror"
    other.mkdir()
    product.configure(
        {"study": STUDY | {"deliver": [{"to": "./studies"}, {"to": "./mirror", "manifest": "beside"}]}}
    )
    product.drop("s", {"a": b"1", "d/b": b"2"})
    product.drain()
    assert product.delivered() == {"a": b"1", "d/b": b"2"}
    assert (other / "d/b").read_bytes() == b"2"
    assert (other / "s.sha256").exists()
    assert len(product.history()) == 4


def test_refused_arrival_lies_whole_in_failed_beside_its_reason_and_can_be_retried(product: Product) -> None:
    product.configure({"study": STUDY | {"select": {"patterns": ["*.txt"]}}})
    product.drop("mixed", {"good.txt": b"1", "bad.exe": b"2", "worse.bat": b"3"})
    product.drain(status=1)
    [arrival] = product.arrivals()
    assert arrival["state"] == "failed"
    assert {"bad.exe" in reason or "worse.bat" in reason for reason in arrival["reason"]} == {True}
    assert len(arrival["reason"]) == 2
    assert product.delivered() == {} and product.history() == []
    folder = product.folder("failed") / arrival["id"]
    assert (folder / "mixed" / "good.txt").read_bytes() == b"1"
    assert "bad.exe" in (folder / "REASON.txt").read_text()
    product.configure()
    product.run("retry", arrival["id"][:20])
    product.drain()
    assert set(product.delivered()) == {"good.txt", "bad.exe", "worse.bat"}
    assert not any(product.folder("failed").iterdir())
    assert not list(product.folder("done").rglob("REASON.txt"))


@pytest.mark.sqlite_only
def test_name_that_does_not_match_is_refused_with_the_pattern(product: Product) -> None:
    product.configure({"study": FIELD})
    product.drop("nodash", {"a": b"1"})
    product.drain(status=1)
    [arrival] = product.arrivals()
    assert arrival["state"] == "failed"
    assert "does not match" in arrival["reason"][0]


@pytest.mark.sqlite_only
def test_mistyped_study_is_refused_and_not_made(product: Product) -> None:
    rule = {"to": "./studies/{study}/raw", "must_exist": "./studies/{study}"}
    product.configure({"study": FIELD | {"deliver": [rule]}})
    (product.studies / "alpha").mkdir()
    product.drop("alpha-1", {"a": b"1"})
    product.drop("alhpa-1", {"a": b"1"})
    product.drain(status=1)
    assert product.delivered() == {"alpha/raw/a": b"1"}
    assert not (product.studies / "alhpa").exists()
    states = {row["name"]: row["state"] for row in product.arrivals()}
    assert states == {"alpha-1": "done", "alhpa-1": "failed"}


@pytest.mark.sqlite_only
def test_missing_destination_is_waited_for_and_not_filled(product: Product) -> None:
    product.drop("s", {"a": b"1"})
    product.studies.rmdir()
    product.drain(status=1)
    [arrival] = product.arrivals()
    assert arrival["state"] == "retrying"
    assert not product.studies.exists()
    product.studies.mkdir()
    product.run("retry", arrival["id"])
    product.drain()
    assert product.delivered() == {"a": b"1"}


def hooks(product: Product, source: str) -> None:
    """A module `lab_hooks` of the installation's own."""
    (product.root / "plugins").mkdir()
    (product.root / "plugins/lab_hooks.py").write_text(source)


def test_after_hook_is_called_once_and_retried_by_itself(product: Product) -> None:
    hooks(
        product,
        "from pathlib import Path\n"
        f"CALLS = Path({str(product.root / 'calls')!r})\n"
        "def convert(arrival):\n"
        "    with CALLS.open('a') as out: out.write(arrival.name + '\\n')\n"
        f"    if Path({str(product.root / 'broken')!r}).exists(): raise RuntimeError('no converter')\n",
    )
    product.configure({"study": STUDY | {"after": "lab_hooks.convert"}})
    (product.root / "broken").touch()
    product.drop("s1", b"1")
    told = product.drain(status=1).stdout
    assert product.arrivals()[0]["state"] == "done"
    why = f"lab_hooks.convert failed: RuntimeError: no converter ({product.root}/plugins/lab_hooks.py:5, in convert)"
    assert why in told and "called once" in told
    [row] = product.listing("pending")
    assert (row["where"], row["name"], row["state"]) == ("after", "s1", "done")
    assert row["reason"][0].startswith(why) and row["next_attempt_at"]
    assert why in product.run("doctor", status=1).stdout
    product.run("retry", row["id"])
    (product.root / "broken").unlink()
    product.drop("s2", b"2")
    deadline_calls = (product.root / "calls").read_text().split()
    assert deadline_calls.count("s1") >= 1
    product.drain()
    assert "s2" in (product.root / "calls").read_text().split()
    assert product.listing("pending") == []
    assert "is done, not failed" in product.run("retry", row["id"], status=1).stderr


@pytest.mark.crash
def test_after_hook_that_lasts_holds_up_no_delivery_and_is_not_called_again(sqlite_product: Product) -> None:
    product = sqlite_product
    hooks(
        product,
        f"CALLS, GO = {str(product.root / 'calls')!r}, {str(product.root / 'go')!r}\n"
        "def convert(arrival):\n"
        "    with open(CALLS, 'a') as out: out.write(arrival.name + '\\n')\n"
        "    open(GO).close()  # a FIFO: until the test opens it, too\n",
    )
    os.mkfifo(product.root / "go")
    route = STUDY | {"after": "lab_hooks.convert"}
    product.configure({"study": route}, worker_count=1, lease="1s")
    process = product.start("start_observer")
    product.drop("s1", b"1")
    calls = product.root / "calls"
    wait_until(lambda: calls.exists() and calls.read_text() == "s1\n", what="the call")
    product.drop("s2", b"2")
    product.wait_for_state("s2", "done")
    leases: set[object] = set()
    wait_until(lambda: leases.add(_lease_of_call(product)) or len(leases) > 3, what="renewals")
    assert calls.read_text() == "s1\n"
    for _ in range(2):
        (product.root / "go").open("w").close()
    wait_until(lambda: _lease_of_call(product) is None, what="the end of the first call")
    wait_until(lambda: calls.read_text() == "s1\ns2\n", what="the second call")
    process.terminate()
    assert process.wait(60) == 0


def test_history_has_the_type_of_the_content_where_a_check_looked_at_it(sqlite_product: Product) -> None:
    product = sqlite_product.configure({"study": STUDY | {"select": {"mime": ["application/pdf"]}}})
    product.drop("report.dat", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
    product.drain()
    assert [row["mime"] for row in product.history()] == ["application/pdf"]


def test_leave_source_reads_in_place_and_a_change_is_a_revision(product: Product) -> None:
    product.configure({"study": STUDY | {"leave_source": True}})
    dropped = product.drop("series", {"a": b"1"})
    product.drain()
    product.drain()
    assert [row["state"] for row in product.arrivals()] == ["done"]
    assert (dropped / "a").read_bytes() == b"1"
    (dropped / "b").write_bytes(b"2")
    product.drain()
    assert product.delivered() == {"a": b"1", "b": b"2"}
    assert [row["outcome"] for row in product.history()] == ["delivered", "unchanged", "delivered"]
    assert (dropped / "a").exists() and not any(product.folder("done").iterdir())


def test_same_name_twice_at_once_delivers_both(product: Product) -> None:
    product.configure(
        {"one": STUDY | {"folders": "./one"}, "two": STUDY | {"folders": "./two"}},
    )
    product.drop("scan.txt", b"1", route="one")
    product.drop("scan.txt", b"2", route="two")
    product.drain()
    assert sorted(product.delivered().values()) == [b"1", b"2"]
    assert set(product.delivered()) == {"scan.txt", "scan.v2.txt"}


@pytest.mark.sqlite_only
def test_modes_group_and_times_are_set(product: Product) -> None:
    rule = {"to": "./studies", "file_mode": 640, "folder_mode": 2750, "group": "daemon"}
    product.configure({"study": STUDY | {"deliver": [rule]}})
    dropped = product.drop("s", {"d/a": b"1"})
    os.utime(dropped / "d/a", ns=(10**18, 10**18 + 123_000_000))
    product.drain()
    seen = (product.studies / "d/a").stat()
    assert (oct(seen.st_mode & 0o7777), seen.st_mtime_ns) == ("0o640", 10**18 + 123_000_000)
    folder = (product.studies / "d").stat()
    assert oct(folder.st_mode & 0o7777) == "0o2750"
    assert seen.st_gid == folder.st_gid != 0


@pytest.mark.sqlite_only
def test_purge_removes_only_what_is_at_its_destination(product: Product) -> None:
    product.drop("kept", {"a": b"1"})
    product.drop("gone", {"b": b"2"})
    product.drain()
    (product.studies / "a").write_bytes(b"X")
    ended = product.run("purge", "--older-than", "0s", "--yes", status=1)
    assert "kept" in ended.stderr
    assert [path.name for path in product.folder("done").iterdir()] == ["kept"]
    assert len(product.listing("events", "--kind", "purged")) == 1


def test_verify_finds_a_changed_file_and_a_well_chain(product: Product) -> None:
    product.drop("s", {"a": b"1", "b": b"2"})
    product.drain()
    assert "OK" in product.run("verify", "--fixity").stdout
    (product.studies / "a").write_bytes(b"X")
    (product.studies / "b").unlink()
    ended = product.run("verify", "--fixity", status=1)
    assert ended.stdout.count("FAULT") == 2


def test_latest_lists_and_links_the_newest(product: Product) -> None:
    for content in (b"1", b"2"):
        product.drop("s", {"d/a.txt": content, "b": b"same"})
        product.drain()
    rows = {row["item"]: row["stored_as"] for row in product.listing("latest", "study")}
    assert rows == {"b": "b", "d/a.txt": "d/a.v2.txt"}
    assert [row["item"] for row in product.listing("latest", "study", "--limit", "1")] == ["d/a.txt"]
    product.run("latest", "study", "--limit", "1", "--link-into", product.root / "newest", status=2)
    product.run("latest", "study", "--link-into", product.root / "newest")
    assert (product.root / "newest/d/a.txt").read_bytes() == b"2"


@pytest.mark.sqlite_only
def test_receipt_is_verified_by_ssh_keygen(product: Product) -> None:
    product.drop("s", b"1")
    product.drain()
    [arrival] = product.arrivals()
    product.run("receipt", arrival["id"], "--out", product.root)
    body = product.root / f"{arrival['id']}.json"
    signers = product.root / "var/keys/allowed_signers"
    verified = subprocess.run(
        [
            "ssh-keygen",
            "-Y",
            "verify",
            "-f",
            signers,
            "-I",
            "dropslot",
            "-n",
            "dropslot",
            "-s",
            f"{body}.sig",
        ],
        input=body.read_bytes(),
        capture_output=True,
        check=False,
    )
    assert verified.returncode == 0, verified.stderr


def test_many_arrivals_with_the_same_names_take_one_attempt_each(sqlite_product: Product) -> None:
    for number in range(12):
        sqlite_product.drop(f"session{number:02}", {"data.csv": b"%d" % number})
    sqlite_product.drain()
    assert len(sqlite_product.delivered()) == 12
    assert len(sqlite_product.listing("events", "--kind", "started")) == 12


def test_purge_goes_on_after_what_cannot_be_removed(
    make_product: Callable[..., Product],
    open_folder: Path,
    other_user: Person,
    program_for_everybody: Program,
) -> None:
    other_user.owns(open_folder)
    product = make_product(root=open_folder, how=program_for_everybody).configure()
    for path in (open_folder, *open_folder.rglob("*")):
        other_user.owns(path)
    for name in ("closed", "open"):
        product.drop(name, {f"inner/{name}": b"1"})
        for path in (product.folder("inbox") / name, *(product.folder("inbox") / name).rglob("*")):
            other_user.owns(path)
    product.drain(as_person=other_user)
    closed = product.folder("done") / "closed/inner"
    os.chown(closed, 0, 0)  # a sender's folder with umask 022
    for _ in range(2):
        told = product.run("purge", "--older-than", "0s", "--yes", status=1, as_person=other_user).stderr
        assert "cannot be removed completely: Permission denied" in told
        assert not (product.folder("done") / "open").exists()


def test_listings_are_narrowed_by_state_route_and_time(sqlite_product: Product) -> None:
    product = sqlite_product
    product.configure(
        {"one": STUDY | {"folders": "./one"}, "two": STUDY | {"folders": "./two", "select": {"max_items": 1}}}
    )
    product.drop("s", {"a": b"1"}, route="one")
    product.drop("t", {"b": b"1", "c": b"2"}, route="two")
    product.drain(status=1)
    product.drop(".later.part", b"", route="one")
    assert [row["name"] for row in product.arrivals("--state", "failed")] == ["t"]
    assert {row["kind"] for row in product.listing("events", "--route", "two")} == {
        "claimed",
        "started",
        "refused",
    }
    assert {row["kind"] for row in product.listing("events", "--state", "done")} == {
        "claimed",
        "started",
        "delivered",
    }
    assert [row["name"] for row in product.listing("pending", "--route", "one", "--since", "1h")] == [
        ".later.part"
    ]
    assert product.listing("pending", "--state", "retrying") == []
    assert product.arrivals("--since", "2999-01-01") == []


def test_inbox_that_cannot_be_listed_holds_up_no_other(sqlite_product: Product) -> None:
    product = sqlite_product
    product.configure({"one": STUDY | {"folders": "./one"}, "two": STUDY | {"folders": "./two"}})
    product.drop("s", {"a": b"1"}, route="two")
    product.folder("inbox", "one").rmdir()
    product.folder("inbox", "one").write_bytes(b"no folder")
    ended = product.drain(status=1)
    assert "cannot be listed" in ended.stdout and "one/inbox" in ended.stdout
    assert product.delivered() == {"a": b"1"}
    assert product.listing("pending") == []


def _lease_of_call(product: Product) -> object:
    """Until when the first arrival's call is somebody's; None when it is over."""
    with closing(sqlite3.connect(product.root / "var/dropslot.sqlite3")) as database:
        rows = database.execute("SELECT due_at FROM dropslot_after_call ORDER BY arrival_id LIMIT 1")
        return rows.fetchone()[0]
