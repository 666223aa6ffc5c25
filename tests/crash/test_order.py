"""In which order an arrival reaches the disk: every arrow of the design, from a real log of system calls."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Any

import pytest

from order import CALLS, Replay
from product import Product
from scenarios import FIELD
from tracing import Call, Trace

FIRST = {"scan.nii.gz": b"voxels", "up/down/notes.txt": b"notes", "up/more": b"more"}
MANY = {f"series{number % 4}/{number:02}.dcm": b"image %d" % number for number in range(40)}
Calls = list[Call]


def digests(items: dict[str, bytes]) -> dict[str, str]:
    return {name: hashlib.sha256(data).hexdigest() for name, data in items.items()}


def traced(product: Product, strace: Callable[..., Trace]) -> Calls:
    trace = strace(product.command("drain", "--now"), calls=CALLS, env=product.environment, cwd=product.root)
    assert trace.returncode == 0, trace.stderr
    return trace.calls


def first(product: Product, strace: Any) -> tuple[Replay, Calls]:
    """Into a target that exists: each thing is named by itself."""
    product.drop("session", FIRST)
    return Replay(product.root, digests(FIRST)), traced(product, strace)


def new_target(product: Product, strace: Any) -> tuple[Replay, Calls]:
    """Into a target that does not: named whole, by one rename."""
    product.configure({"study": FIELD}).drop("alpha-1", FIRST)
    items = {f"alpha/raw/{name}": digest for name, digest in digests(FIRST).items()}
    return Replay(product.root, items), traced(product, strace)


def many(product: Product, strace: Any) -> tuple[Replay, Calls]:
    """More than are synced one by one."""
    product.drop("series", MANY)
    return Replay(product.root, digests(MANY)), traced(product, strace)


def new_version(product: Product, strace: Any) -> tuple[Replay, Calls]:
    product.drop("session", FIRST)
    product.drain()
    product.drop("session", FIRST | {"scan.nii.gz": b"other voxels", "new/one": b"new"})
    new = {"scan.v2.nii.gz": b"other voxels", "new/one": b"new"}
    return Replay(product.root, digests(new), earlier=1), traced(product, strace)


ARRIVALS = (first, new_target, many, new_version)


@pytest.mark.parametrize("arrival", ARRIVALS, ids=lambda arrival: arrival.__name__)
def test_each_thing_is_on_the_disk_before_what_rests_on_it(
    sqlite_product: Product, strace: Any, arrival: Callable[..., tuple[Replay, Calls]]
) -> None:
    replay, calls = arrival(sqlite_product, strace)
    seen = replay.run(calls)
    assert seen.violations == []
    assert sorted(seen.named) == sorted(seen.items)
    assert (len(seen.claimed), len(seen.manifests), seen.recorded, len(seen.archived)) == (1, 1, 1, 1)


def without(*names: str, about: str) -> Callable[[Calls], Calls]:
    return lambda calls: [c for c in calls if not (c.name in names and re.search(about, c.args))]


def later(pattern: str, then: str) -> Callable[[Calls], Calls]:
    """The call that matches comes only after the last one that matches `then`."""

    def moved(calls: Calls) -> Calls:
        [call] = [c for c in calls if re.search(pattern, f"{c.name}({c.args}")]
        rest = [c for c in calls if c is not call]
        at = max(n for n, c in enumerate(rest) if re.search(then, f"{c.name}({c.args}")) + 1
        return _numbered([*rest[:at], call, *rest[at:]])

    return moved


def _numbered(calls: Calls) -> Calls:
    return [Call(c.pid, c.name, c.args, c.result, at, at) for at, c in enumerate(calls)]


def without_sync_of_log(number: int) -> Callable[[Calls], Calls]:
    """Without the number-th commit's sync (from 0; of them is one that ends the file's header)."""

    def less(calls: Calls) -> Calls:
        logs = [c for c in calls if c.name == "fdatasync" and "sqlite3-wal>" in c.args]
        return [c for c in calls if c is not logs[number]]

    return less


_SYNC = ("fsync", "fdatasync")
_MUTILATIONS: dict[str, tuple[Callable[[Calls], Calls], str]] = {
    "no sync of an item": (without(*_SYNC, about=r"tree/scan\.nii\.gz>"), "data before names"),
    "no sync of a staged folder": (without(*_SYNC, about=r"tree/up/down>"), "data before names"),
    "no sync of the final folder": (without(*_SYNC, about=r"/studies>"), "names before the manifest"),
    "no sync of the manifest": (without(*_SYNC, about=r"/manifest>"), "the manifest's bytes"),
    "no sync of the manifest's name": (without(*_SYNC, about=r"\.dropslot/manifests>"), "before the record"),
    "no sync of the claim": (without(*_SYNC, about=r"/processing/[^/]+>"), "the claim before its row"),
    "no sync of the claim's folder": (without(*_SYNC, about=r"/processing>"), "the claim before its row"),
    "no sync of any commit": (without(*_SYNC, about=r"sqlite3-wal>"), "intent before names"),
    "no sync of the record": (without_sync_of_log(-2), "the record before done"),
    "no manifest": (without("renameat2", about=r'"manifest"'), "there is none"),
    "an item is named after the manifest": (
        later(r'^renameat2\(.*tree>, "scan\.nii\.gz"', r'^renameat2\(.*"manifest"'), "names before the manifest"),
    "an item is written after its sync": (
        later(r'^write\(.*tree/scan\.nii\.gz>', r"^fsync\(.*tree/scan\.nii\.gz>"), "data before names"),
    "done before the record": (
        lambda calls: _numbered(sorted(calls, key=lambda c: "outcomes" in c.args)), "nothing is recorded"),
}  # fmt: skip


def test_a_missing_or_late_step_is_seen(sqlite_product: Product, strace: Any) -> None:
    whole, calls = first(sqlite_product, strace)
    for what, (mutilate, expected) in _MUTILATIONS.items():
        spoiled = mutilate(calls)
        assert spoiled != calls, f"{what}: nothing was taken out"
        seen = Replay(whole.root, whole.items).run(spoiled)
        assert any(expected in violation for violation in seen.violations), f"{what}: {seen.violations}"
