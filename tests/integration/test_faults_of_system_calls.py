"""EIO, EACCES, ENOSPC and the like at each kind of call of the pipeline: tried again by itself, delivered once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from faulty import MANY, Fault, Laboratory, Suffered, drain, path_of
from product import read_tree

pytestmark = pytest.mark.xdist_group("faults")

STRERROR = {
    "EIO": "Input/output error",
    "EACCES": "Permission denied",
    "ENOSPC": "No space left on device",
    "EROFS": "Read-only file system",
    "EDQUOT": "Disk quota exceeded",
}
# Calls that are retried by the same drain, at the source's side first.
FAULTS = [
    Fault("mkdir", "processing", "ENOSPC"),
    Fault("renameat2", "inbox", "EIO", text='/inbox/s"'),
    Fault("fsync", "processing", "EIO"),
    Fault("openat", "processing", "EACCES", text='"a.txt"'),
    Fault("getdents64", "processing", "EIO", text="-1/s>"),
    Fault("readv", "processing", "EIO"),
    Fault("openat", "studies", "EACCES"),
    Fault("newfstatat", "studies", "EIO"),
    Fault("mkdirat", "studies", "EROFS"),
    Fault("mkdirat", "stage", "EDQUOT", text="-1/tree>"),
    Fault("fstatfs", "stage", "EIO"),
    Fault("openat", "stage", "EACCES", text='"a.txt"'),
    Fault("write", "stage", "ENOSPC"),
    Fault("fchown", "stage", "EIO"),
    Fault("fchmod", "stage", "EIO"),
    Fault("fchownat", "stage", "EIO"),
    Fault("fchmodat", "stage", "EIO"),
    Fault("utimensat", "stage", "EIO"),
    Fault("fsync", "stage", "EIO", text="/new>"),
    Fault("syncfs", "stage", "EIO", many=True),
    Fault("renameat2", "stage", "EIO", text='"new"'),
    Fault("renameat2", "stage", "ENOSPC", text='"a.txt"'),
    Fault("fsync", "studies", "EIO", text="/x3>", many=True),
    Fault("renameat2", "stage", "EIO", text='"manifest"'),
    Fault("fsync", "manifests", "EIO", many=True),
    Fault("unlinkat", "stage", "EIO", text='-1>, "'),
]
# What could not be moved is moved by the next run; the delivery itself is done.
MOVES = [Fault("renameat2", "processing", "EACCES")]


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Laboratory:
    return Laboratory(tmp_path_factory.mktemp("faults"))


@pytest.fixture(scope="module")
def suffered(laboratory: Laboratory) -> Iterator[dict[Fault, Future[Suffered]]]:
    """All of them, a few at once: most of their time is backoff."""
    with ThreadPoolExecutor(4) as pool:
        yield {fault: pool.submit(laboratory.suffer, fault) for fault in FAULTS + MOVES}


def _delivered_once(one: Suffered, fault: Fault) -> None:
    files = {name: data for name, data in fault.tree.items() if not name.endswith("/")}
    assert one.product.delivered() == files
    outcomes = one.rows("SELECT item, outcome, version FROM dropslot_delivery")
    assert sorted(outcomes) == sorted((name, "delivered", 1) for name in files)
    assert len(one.product.manifests()) == 1
    assert len(one.rows("SELECT 1 FROM dropslot_event WHERE kind = 'delivered'")) == 1
    assert read_tree(one.product.folder("done")) == {f"s/{name}": data for name, data in files.items()}
    assert not one.product.held() and not os.listdir(one.product.folder("failed"))


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_call_that_fails_once_is_survived_and_told(
    suffered: dict[Fault, Future[Suffered]], fault: Fault
) -> None:
    one = suffered[fault].result()
    assert any(fault.meant(call) for call in one.injected), "another call failed than the one that was meant"
    if one.state == "retrying":  # each new thread's first call failed again
        one.product.run("retry", one.rows("SELECT id FROM dropslot_arrival")[0][0])
    if one.state != "done":
        one.product.drain()
    assert one.state == "done", one.trace.stderr
    _delivered_once(one, fault)
    if fault.name != "unlinkat":  # only the cleaning up was late
        assert STRERROR[fault.errno] in one.said
        assert "retried" in one.said or "staged again" in one.said


@pytest.mark.parametrize("fault", MOVES, ids=str)
def test_move_to_done_that_fails_leaves_the_delivery_done_and_is_made_up_for(
    suffered: dict[Fault, Future[Suffered]], fault: Fault
) -> None:
    one = suffered[fault].result()
    assert (one.trace.returncode, one.state) == (0, "done")
    assert "could not be moved to done" in one.trace.stderr and STRERROR[fault.errno] in one.trace.stderr
    assert "Another worker" not in one.trace.stderr
    assert one.product.held()
    one.product.drain()
    _delivered_once(one, fault)


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if "sync" in fault.name], ids=str)
def test_sync_that_failed_is_never_repeated_on_the_same_staging(
    suffered: dict[Fault, Future[Suffered]], fault: Fault
) -> None:
    one = suffered[fault].result()
    syncs = [
        call for call in one.trace.calls if call.name in ("fsync", "syncfs") and "/stage/" in path_of(call)
    ]
    failed = {_staging(path_of(call)) for call in syncs if call.injected}
    for call in (call for call in syncs if call.injected):
        later = [other for other in syncs if other.begun > call.ended and other.name == call.name]
        assert not [other for other in later if path_of(other) == path_of(call)]
    assert not failed & {_staging(str(path)) for path in one.product.manifests()}


def _staging(path: str) -> str:
    return path.partition("/stage/")[2].partition("/")[0]


def test_names_given_before_a_kill_are_synced_before_the_manifest_is_named(laboratory: Laboratory) -> None:
    product = laboratory.product("killed", MANY)
    fault = Fault("renameat2", "stage", "EIO", text='"manifest"', many=True)
    drain(product, "renameat2", laboratory.injection(fault).replace(":when", ":signal=KILL:when"))
    assert product.delivered() and not product.manifests(), (
        "it was to be killed after the names, before the manifest"
    )
    trace = drain(product, "fsync,syncfs,renameat2")
    [named] = [call for call in trace.named("renameat2") if '"manifest"' in call.args]
    synced = [path_of(call) for call in trace.named("fsync", "syncfs") if call.ended < named.begun]
    assert any(path.endswith("/studies") for path in synced)
    assert any(path.endswith("/studies/x3") for path in synced)
