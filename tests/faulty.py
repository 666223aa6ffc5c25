"""One system call of a drain fails: which one is found in the log of a drain where none does."""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from product import STUDY, Product
from tracing import Call, Strace, Trace

RULE = {"to": "./studies", "file_mode": 640, "folder_mode": 2750, "group": "daemon"}
FEW = {"a.txt": b"1" * 100, "new/b.bin": b"2" * 300_000, "empty/": b""}
FOLDERS = ("x0", "x1", "x2", "x3")  # there already, so that each file gets a name of its own
MANY = {f"{folder}/f{number}.dat": b"3" * 100 for folder in FOLDERS for number in range(3)}
CALLS = (
    "openat,mkdir,mkdirat,rename,renameat,renameat2,linkat,unlink,unlinkat,rmdir,fsync,fdatasync,syncfs,write,pwrite64,"
    "read,readv,fchmod,fchmodat,fchown,fchownat,utimensat,getdents64,faccessat2,fstatfs,newfstatat"
)
PLACES = {
    "trial": "/studies/.dropslot/stage/trial.",
    "stage": "/studies/.dropslot/stage",
    "manifests": "/studies/.dropslot/manifests",
    "hidden": "/studies/.dropslot",
    "studies": "/studies",
    "processing": "/study/processing",
    "inbox": "/study/inbox",
    "done": "/study/done",
    "failed": "/study/failed",
    "database": "/var/dropslot.sqlite3",
}
_PATH = re.compile(r'^(?:AT_FDCWD<[^>]*>, )?(?:\d+<(?P<fd>/[^>]*)>|"(?P<path>/[^"]*)")')


def path_of(call: Call) -> str:
    """The path of the first descriptor or name in a call's arguments."""
    found = _PATH.match(call.args)
    return (found["fd"] or found["path"]) if found else ""


def place_of(call: Call) -> str:
    """What that path belongs to; empty: nothing of the product's folders."""
    path = path_of(call)
    return next((place for place, part in PLACES.items() if part in path), "")


@dataclass(frozen=True)
class Fault:
    """The first call `name` on `place`, with `text` among its arguments, fails with `errno`."""

    name: str
    place: str
    errno: str
    text: str = ""
    many: bool = False

    def __str__(self) -> str:
        return "-".join(filter(None, (self.name, self.place, re.sub(r"[^\w.]", "", self.text), self.errno)))

    @property
    def tree(self) -> Mapping[str, bytes]:
        return MANY if self.many else FEW

    def meant(self, call: Call) -> bool:
        return call.name == self.name and place_of(call) == self.place and self.text in call.args


@dataclass
class Suffered:
    """What a drain with the fault did and said."""

    product: Product
    trace: Trace

    @property
    def injected(self) -> list[Call]:
        return [call for call in self.trace.calls if call.injected]

    def rows(self, query: str) -> list[Any]:
        """From the database itself: a command a fault takes a second."""
        with closing(sqlite3.connect(self.product.root / "var/dropslot.sqlite3")) as database:
            return list(database.execute(query))

    @property
    def state(self) -> str:
        return str((self.rows("SELECT state FROM dropslot_arrival") or [["untaken"]])[0][0])

    @property
    def said(self) -> str:
        """The reasons of all attempts, and the log."""
        events = self.rows("SELECT data FROM dropslot_event WHERE kind = 'retrying'")
        return "\n".join([data for (data,) in events] + [self.trace.stderr])


class Laboratory:
    """Makes the same product again and again, and lets one call of its drain fail."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._template = folder / "template"
        self._template.mkdir()
        Product(self._template).configure({"study": STUDY | {"deliver": [RULE]}}).run("arrivals")
        for name in FOLDERS:
            (self._template / "studies" / name).mkdir()
        # Twice: the first drains of a fresh checkout also write bytecode, and calls are told by their number.
        for _ in range(2):
            self._clean = {many: self._calls_of_a_clean_drain(many=many) for many in (False, True)}

    def _calls_of_a_clean_drain(self, *, many: bool) -> Sequence[Call]:
        product = self.product(f"clean-{many}", MANY if many else FEW)
        trace = drain(product, CALLS)
        shutil.rmtree(product.root)
        assert trace.returncode == 0, trace.stderr
        return trace.calls

    def product(self, name: str, tree: Mapping[str, bytes]) -> Product:
        """A product that has delivered nothing yet; `tree` lies in its inbox as `s`."""
        root = self._folder / name
        shutil.copytree(self._template, root)
        product = Product(root)
        product.drop("s", tree)
        return product

    def injection(self, fault: Fault) -> str:
        """strace's expression for the fault: the call is told by its number in its own thread.

        It is one from the claim on: what is tried out at the start ends the command, and nothing is taken.
        """
        counts: Counter[tuple[int, str]] = Counter()
        begun = False
        for call in self._clean[fault.many]:
            counts[call.pid, call.name] += 1
            begun = begun or "/study/inbox/s" in call.args
            if begun and fault.meant(call) and call.succeeded:
                return f"{fault.name}:error={fault.errno}:when={counts[call.pid, call.name]}"
        raise AssertionError(f"a clean drain makes no such call: {fault}")

    def suffer(self, fault: Fault) -> Suffered:
        """A drain in which the call fails once."""
        product = self.product(str(fault), fault.tree)
        also = "fsync,syncfs" if fault.name in ("fsync", "syncfs") else fault.name
        return Suffered(product, drain(product, also, self.injection(fault)))


def drain(product: Product, calls: str, *inject: str) -> Trace:
    """`drain --now` under strace; its log lies in the product's folder, so that several may run at once."""
    strace = Strace(product.root)
    command = product.command("drain", "--now")
    return strace(command, calls=calls, inject=inject, env=product.environment, cwd=product.root)
