"""The promises of docs/design.md, checked by looking: at folders, bytes and inodes, and at what commands print.

Nothing of dropslot is imported here: the checker must not share its mistakes.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import records
from dropslot.core.showing.quantities import counted
from laboratory import Laboratory, Result
from product import Product

_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
_TIMES = ("dropped_at", "received_at", "finished_at", "delivered_at", "modified_at")
FOLDERS = ("inbox", "processing", "done", "failed")
LISTINGS = (("arrivals", "--json"), ("history", "--json"), ("events", "--json"), ("verify", "--fixity"))
_GENESIS = "0" * 64
_MARKER = ".dropslot-installation"  # says whose folders these are; it stays

# kind of event: the states in which it may come, and the state after it (None: the same).
_WAYS: dict[str, tuple[set[str], str | None]] = {
    "claimed": ({"", "waiting"}, "ready"),
    "started": ({"ready", "retrying"}, "processing"),
    "taken-over": ({"processing"}, "processing"),
    "given-back": ({"processing"}, "ready"),
    "retrying": ({"processing"}, "retrying"),
    "adopted": ({"processing"}, None),
    "altered": ({"processing"}, None),
    "images-recorded": ({"processing"}, None),
    "instances-changed": ({"processing"}, None),
    "delivered": ({"processing"}, "done"),
    "refused": ({"processing"}, "failed"),
    "retry-asked": ({"failed", "retrying"}, "ready"),
    "renamed": ({"failed"}, None),
    "purged": ({"done", "failed"}, None),
    "damaged": ({"done"}, None),
    "intact-again": ({"done"}, None),
    "mended": ({"done"}, None),
    "written-since": ({"done"}, None),
}


class File(NamedTuple):
    """What makes a published file this very file."""

    sha256: str
    inode: int
    mtime_ns: int


@dataclass(frozen=True)
class Ending:
    """All that is left when an installation is quiet, without ids and times: the same however it came there."""

    arrivals: list[dict[str, Any]]
    history: list[dict[str, Any]]
    receipts: list[dict[str, Any]]
    images: list[dict[str, Any]]
    origins: list[tuple[Any, ...]]  # of images
    trees: dict[str, dict[str, str]]  # folder: path: SHA-256, or "/" for an empty folder
    kinds: Counter[tuple[str, str]]  # (arrival, kind) of events, those of repeated attempts left out


def tree(folder: Path, leave_out: Sequence[str] = ()) -> dict[str, str]:
    """Every file with its SHA-256 and every folder with "/", by relative path."""
    found: dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        relative = str(path.relative_to(folder))
        if path.name.startswith(_MARKER):
            continue
        if not any(relative == name or relative.startswith(f"{name}/") for name in leave_out):
            found[relative] = (
                "/" if path.is_dir() else _sha256(path) if path.name != "REASON.txt" else _reason(path)
            )
    return found


def _reason(path: Path) -> str:
    """What a REASON.txt says, without ids and times."""
    return re.sub(r"Received: .*", "", _ULID.sub("ID", path.read_text()))


def published(product: Product) -> dict[str, File]:
    """Every file under a final name, manifests included, staging left out."""
    found = {}
    for path in sorted(product.studies.rglob("*")):
        relative = path.relative_to(product.studies)
        if path.is_file() and not _is_staging(relative):
            seen = path.stat()
            found[str(relative)] = File(_sha256(path), seen.st_ino, seen.st_mtime_ns)
    return found


def _is_staging(relative: Path) -> bool:
    parts = relative.parts
    return ".dropslot" in parts and parts[parts.index(".dropslot") + 1 :][:1] == ("stage",)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# At every moment, right after a crash too


def nothing_is_lost(product: Product, dropped: Iterable[bytes]) -> None:
    """Promise 2: every byte that was dropped lies in one of the folders, or is published."""
    there = {file.sha256 for file in published(product).values()}
    for name in FOLDERS:
        there |= set(tree(product.folder(name)).values())
    lost = [data for data in dropped if hashlib.sha256(data).hexdigest() not in there]
    assert not lost, f"lost: {lost}"


def nothing_is_partial(product: Product, whole: Ending) -> None:
    """Promises 1, 3 and 6: what has a final name is a whole item under the name that it has in the end, and where a
    manifest is, all of its arrival is."""
    final = whole.trees["studies"]
    files = published(product)
    for path, file in files.items():
        if not _is_manifest(path):
            assert final.get(path) == file.sha256, f"{path} is published with bytes that are not the item's"
        else:
            _manifest_is_true(product, path, files, final)


def _is_manifest(path: str) -> bool:
    return ".dropslot/manifests/" in path


def _manifest_is_true(
    product: Product, path: str, files: Mapping[str, File], final: Mapping[str, str]
) -> None:
    text = (product.studies / path).read_bytes()
    known = {digest for name, digest in final.items() if _is_manifest(name)}
    assert hashlib.sha256(text).hexdigest() in known, f"{path} is no whole manifest: {text!r}"
    home = path.rpartition(".dropslot/")[0]
    for line in text.decode().splitlines():
        digest, _, name = line.partition("  ")
        assert files[home + name].sha256 == digest, f"{path} is there, and {name} is not"


def nothing_is_changed(before: Mapping[str, File], now: Mapping[str, File]) -> None:
    """Promise 1: each path that was seen is there, and is the very same file."""
    changed = {path: (file, now.get(path)) for path, file in before.items() if now.get(path) != file}
    assert not changed, f"published files changed: {changed}"


# When all is quiet


def ending(laboratory: Laboratory, results: Sequence[Result]) -> Ending:
    """What is left, from the answers to LISTINGS and from the disk; checks promise 8 on the way."""
    arrivals, history, events, verify = results
    assert verify.status == 0, f"verify found faults: {verify.out}{verify.err}"
    _chain_is_whole(events.objects)
    _every_state_is_an_event(arrivals.objects, events.objects)
    _receipts(arrivals.objects, verify.out)
    names = _names(arrivals.objects)
    product = laboratory.product
    trees = {name: tree(product.folder(name)) for name in FOLDERS}
    trees["studies"] = tree(product.studies)
    trees["workers"] = tree(product.root / "var" / "workers")
    trees["keys"] = dict.fromkeys(tree(product.root / "var" / "keys"), "")
    kinds = Counter(
        (event["arrival"], event["kind"]) for event in events.objects if event["kind"] not in _REPEATED
    )
    return Ending(
        sorted(
            (_without(row, *_TIMES, "attempts") for row in _renamed(arrivals.objects, names)), key=json.dumps
        ),
        sorted((_without(row, *_TIMES) for row in _renamed(history.objects, names)), key=json.dumps),
        sorted(records.receipts(laboratory), key=json.dumps),
        records.images(laboratory),
        records.origins(laboratory),
        _renamed(trees, names),
        Counter({(names[arrival], kind): count for (arrival, kind), count in kinds.items()}),
    )


_REPEATED = ("started", "taken-over", "retrying", "given-back")


def _names(arrivals: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Arrival ids, and what they are called instead: by name, the first, second, … of it."""
    counts: Counter[str] = Counter()
    names = {}
    for row in sorted(arrivals, key=lambda row: row["received_at"]):
        counts[row["name"]] += 1
        names[row["id"]] = f"<{row['name']} {counts[row['name']]}>"
    return names


def _renamed(content: Any, names: Mapping[str, str]) -> Any:
    text = json.dumps(content)
    return json.loads(_ULID.sub(lambda found: names.get(found[0], found[0]), text))


def _without(row: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in keys}


def _chain_is_whole(events: Sequence[Mapping[str, Any]]) -> None:
    """The hashes, made anew from what the design says of them."""
    previous = _GENESIS
    for seq, event in enumerate(events, 1):
        assert event["seq"] == seq
        parts = _without(event, "hash")
        text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        previous = hashlib.sha256((previous + text).encode()).hexdigest()
        assert event["hash"] == previous, f"event {seq} does not fit into the chain"


def _every_state_is_an_event(
    arrivals: Sequence[Mapping[str, Any]], events: Sequence[Mapping[str, Any]]
) -> None:
    """Replays the trail: it must lead every arrival to the state that it has, each epoch begun by one event."""
    states: dict[str, str] = {}
    epochs: Counter[str] = Counter()
    for event in events:
        arrival, kind = event["arrival"], event["kind"]
        allowed, then = _WAYS[kind]
        now = states.get(arrival, "")
        assert now in allowed, f"event {event['seq']}: {kind} of an arrival in state {now!r}"
        states[arrival] = then or now
        if kind in ("started", "taken-over"):
            epochs[arrival] += 1
        if "epoch" in event["data"]:
            assert event["data"]["epoch"] == epochs[arrival], f"event {event['seq']} skips an epoch"
    assert states == {row["id"]: row["state"] for row in arrivals}


def _receipts(arrivals: Sequence[Mapping[str, Any]], verified: str) -> None:
    done = sum(row["state"] == "done" for row in arrivals)
    proved = f", {counted(done, 'receipt')}, {counted(done, 'signature')}: OK."
    assert proved in verified, verified


def is_tidy(end: Ending) -> None:
    """Nothing is left of the work: processing and staging are empty, and no worker's lock lies about."""
    for name in ("processing", "workers"):
        assert not end.trees[name], f"left in {name}: {end.trees[name]}"
    staging = [path for path in end.trees["studies"] if _is_staging(Path(path)) or ".dropslot/stage" in path]
    assert not staging, f"left in staging: {staging}"


def delivered_once(end: Ending) -> None:
    """Promise 5: one delivery or refusal for each time that one was asked for."""
    for (arrival, kind), count in end.kinds.items():
        assert count == 1 or kind in ("retry-asked", "refused"), f"{arrival} has {count} events {kind}"


def equal(found: Ending, undisturbed: Ending) -> None:
    """All is as it would have been."""
    _same("arrivals", found.arrivals, undisturbed.arrivals)
    _same("history", found.history, undisturbed.history)
    _same("receipts", found.receipts, undisturbed.receipts)
    _same("images", found.images, undisturbed.images)
    _same("origins of images", found.origins, undisturbed.origins)
    for name, expected in undisturbed.trees.items():
        _same(name, sorted(found.trees[name].items()), sorted(expected.items()))
    # Who asks for a retry twice gets two: only then may there be more events than without the crash.
    _same("events", sorted(found.kinds), sorted(undisturbed.kinds))


def _same(what: str, found: Sequence[Any], expected: Sequence[Any]) -> None:
    more = [entry for entry in found if entry not in expected]
    less = [entry for entry in expected if entry not in found]
    assert found == expected, f"{what}: not as without the crash; unexpected {more}, missing {less}"
