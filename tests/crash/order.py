"""Replays a log of system calls, and says what was named or recorded before what it rests on was on the disk.

A kill leaves all that was written in the kernel's memory, so it cannot show a sync that is missing; a power cut would.
The rules are POSIX's strict ones: fsync of a file keeps its bytes, fsync of a folder keeps the names in it and in no
other folder, syncfs keeps all. "Before" means: had returned before the other was begun, in whatever thread.

    claim     the name in processing is durable            before the row that says so is written
    data      bytes of an item, names in a staged folder   before they get a final name
    intent    the delivery row                             before the item gets a final name
    names     final names                                  before the manifest gets its name
    manifest  its bytes before its name, its name          before the record
    record    the commit that says `delivered`             before the arrival moves to done
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tracing import Call

_PATH = re.compile(
    r'^(?:(?P<at>AT_FDCWD(?:<(?P<here>.*?)>)?|\d+<(?P<folder>.*?)>), )?"(?P<name>(?:[^"\\]|\\.)*)"'
)
_DESCRIPTOR = re.compile(r"^\d+<(?P<path>.*?)>")
_OPENED = re.compile(r"^\d+<(?P<path>.*)>$")
_CREATED = ("openat", "open", "creat")
_MADE = ("mkdir", "mkdirat")
_WRITES = (
    "write",
    "pwrite64",
    "writev",
    "pwritev",
    "sendfile",
    "ftruncate",
    "fallocate",
    "utimensat",
    "fchmod",
    "fchown",
)
_RENAMES = ("rename", "renameat", "renameat2", "link", "linkat")
CALLS = ",".join(
    (*_CREATED, *_MADE, *_WRITES, *_RENAMES, "fsync", "fdatasync", "syncfs", "unlinkat", "unlink")
)
_HIDDEN = ".dropslot"
_TARGET = "studies/"


@dataclass
class _Node:
    """A file with its bytes, or a folder with its names: the call that changed it last, and one that kept that."""

    changed: Call | None = None
    kept: Call | None = None

    def change(self, call: Call) -> None:
        self.changed, self.kept = call, None

    def keep(self, call: Call) -> None:
        if self.changed is None or self.changed.ended < call.begun:
            self.kept = self.kept or call

    def is_kept_before(self, call: Call) -> bool:
        return self.changed is None or (self.kept is not None and self.kept.ended < call.begun)


@dataclass
class Replay:
    """`violations` are sentences; the other lists show that there was something to be judged at all."""

    root: Path
    items: dict[str, str]  # final path below ./studies: SHA-256 (hex) of its bytes
    earlier: int = 0  # deliveries before this one, whose events lie on the same page of the database
    violations: list[str] = field(default_factory=list)
    claimed: list[str] = field(default_factory=list)
    named: list[str] = field(default_factory=list)
    manifests: list[str] = field(default_factory=list)
    recorded: int = 0
    archived: list[str] = field(default_factory=list)
    _nodes: dict[str, _Node] = field(default_factory=dict)
    _syncs: list[tuple[str, Call]] = field(default_factory=list)  # ("": of everything)
    _namings: list[tuple[str, Call]] = field(default_factory=list)  # folder that got a final name
    _written: set[str] = field(default_factory=set)  # what the database's log was seen to hold

    def run(self, calls: Sequence[Call]) -> Replay:
        for call in calls:
            if call.succeeded:
                self._take(call)
        return self

    def _take(self, call: Call) -> None:
        if call.name in _CREATED:
            self._open(call)
        elif call.name in _MADE:
            self._add(_at(call.args)[0], call)
        elif call.name in _RENAMES:
            self._rename(call)
        elif call.name in ("fsync", "fdatasync") and (path := _descriptor(call.args)):
            self._node(path).keep(call)
            self._syncs.append((path, call))
        elif call.name == "syncfs":
            for node in self._nodes.values():
                node.keep(call)
            self._syncs.append(("", call))
        elif call.name in _WRITES and (path := _descriptor(call.args)):
            if path.endswith(".sqlite3-wal"):
                self._log(call)
            self._node(path).change(call)

    def _open(self, call: Call) -> None:
        opened = _OPENED.match(call.result)
        if opened and "O_CREAT" in call.args and opened["path"] not in self._nodes:
            self._add(opened["path"], call)
            self._node(opened["path"]).change(call)

    def _add(self, path: str, call: Call) -> None:
        folder, name = os.path.split(path)
        if name != "stage":  # what is in there never has to last
            self._node(folder).change(call)

    def _node(self, path: str) -> _Node:
        return self._nodes.setdefault(path, _Node())

    def _below(self, path: str) -> Iterator[tuple[str, _Node]]:
        return (
            (name, node)
            for name, node in list(self._nodes.items())
            if name == path or name.startswith(f"{path}/")
        )

    def _rename(self, call: Call) -> None:
        source, target = _two_paths(call.args)
        self._judge(source, target, call)
        moved = list(self._below(source))
        for name, node in moved:
            if not call.name.startswith("link"):
                del self._nodes[name]
            self._nodes[target + name[len(source) :]] = node
        self._add(target, call)

    # The rules

    def _judge(self, source: str, target: str, call: Call) -> None:
        place = self._place(target)
        if "/.dropslot-probe-" in target:
            return  # the trial rename at start: nobody's files
        if place.startswith("study/processing/") and self._place(source).startswith("study/inbox/"):
            self.claimed.append(target)
        elif place.startswith("study/done/"):
            self._archive(place, call)
        elif place.startswith(_TARGET) and f"/{_HIDDEN}/manifests/" in place:
            self._manifest(source, place, call)
        elif place.startswith(_TARGET) and f"/{_HIDDEN}" not in place:
            self._name(source, place, call)

    def _place(self, path: str) -> str:
        return path.removeprefix(f"{self.root}/")

    def _require(self, path: str, call: Call, why: str) -> None:
        if not self._node(path).is_kept_before(call):
            self.violations.append(f"{why}: {self._place(path)} is not on the disk yet")

    def _name(self, source: str, place: str, call: Call) -> None:
        """One item, or a folder with many, gets its final name."""
        below = [path for path, _ in self._below(source)]
        for path in below:
            self._require(path, call, f"data before names, of {place}")
        name = place.removeprefix(_TARGET)
        self._namings.append((f"{self.root}/{os.path.dirname(place)}", call))
        for item, digest in self.items.items():
            if item == name or item.startswith(f"{name}/"):
                self.named.append(item)
                if digest not in self._written:
                    self.violations.append(f"intent before names: the row of {item} is not written")
        self._require(self._database(), call, f"intent before names, of {place}")

    def _manifest(self, source: str, place: str, call: Call) -> None:
        self._require(source, call, "the manifest's bytes before its name")
        missing = self.items.keys() - set(self.named)
        if missing:
            self.violations.append(f"names before the manifest: {sorted(missing)} have none")
        for folder, naming in self._namings:
            syncs = [s for path, s in self._syncs if path in ("", folder)]
            if not any(naming.ended < sync.begun and sync.ended < call.begun for sync in syncs):
                self.violations.append(
                    f"names before the manifest: {self._place(folder)} is not on the disk yet"
                )
        self.manifests.append(place)

    def _require_names(self, folder: str, call: Call, why: str) -> None:
        """The names in this folder and in those above it, up to the installation."""
        while folder:
            self._require(f"{self.root}/{folder}", call, why)
            folder = os.path.dirname(folder)

    def _log(self, call: Call) -> None:
        """A page goes into the database's log; it is committed when that is synced."""
        if call.args.count("claimed") > self.earlier and "claimed" not in self._written:
            self._written.add("claimed")
            for path in self.claimed:
                for folder in (os.path.dirname(path), os.path.dirname(os.path.dirname(path))):
                    self._require(folder, call, "the claim before its row")
        if call.args.count('\\"outcomes\\"') > self.earlier and "outcomes" not in self._written:
            self._written.add("outcomes")
            self._record(call)
        self._written |= {digest for digest in self.items.values() if digest in call.args}

    def _record(self, call: Call) -> None:
        self.recorded += 1
        if not self.manifests:
            self.violations.append("the manifest before the record: there is none")
        for place in self.manifests:
            self._require_names(os.path.dirname(place), call, "the manifest before the record")

    def _archive(self, place: str, call: Call) -> None:
        if not self.recorded:
            self.violations.append("the record before done: nothing is recorded")
        self._require(self._database(), call, "the record before done")
        self.archived.append(place)

    def _database(self) -> str:
        return f"{self.root}/var/dropslot.sqlite3-wal"


def _at(args: str) -> tuple[str, str]:
    """The first path of a call, absolute, and what follows it."""
    found = _PATH.match(args)
    if not found:
        raise ValueError(f"no path in {args!r}")
    name = found["name"].encode().decode("unicode_escape")
    return os.path.normpath(os.path.join(found["folder"] or found["here"] or "/", name)), args[found.end() :]


def _two_paths(args: str) -> tuple[str, str]:
    source, rest = _at(args)
    return source, _at(rest.removeprefix(", "))[0]


def _descriptor(args: str) -> str:
    found = _DESCRIPTOR.match(args)
    return found["path"] if found else ""
