"""One installation under test, put back to a saved state as often as wanted, and the zygote that runs its commands."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from postgres import PostgresServer
from product import Product
from sshd import Sshd
from stepping import Point
from waiting import wait_until

Command = Sequence[str]
DRAIN: Command = ("drain", "--now")
_MARKS = "marks"
_ZYGOTE = Path(__file__).parent / "zygote.py"
_SOURCE = Path(__file__).parent.parent.parent / "src"


@dataclass(frozen=True)
class Step:
    """One counted system call of a traced run."""

    point: Point
    call: str
    about: str

    @property
    def request(self) -> str:
        """Its name when it is a request to a server, else nothing."""
        folder, _, name = self.about.rpartition("/")
        return name if folder.endswith(f"/{_MARKS}") else ""

    @property
    def is_page(self) -> bool:
        """Whether SQLite writes a part of a page, or what it notes of one."""
        return self.call == "pwrite64" and ".sqlite3" in self.about

    def __str__(self) -> str:
        return f"{self.point.task}.{self.point.count} {self.call} {self.about}"


@dataclass(frozen=True)
class Result:
    """How one command ended, in a fork of the zygote."""

    status: int
    out: str
    err: str

    @property
    def objects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass(frozen=True)
class Traced:
    """A traced run: its steps so far, whether it was stopped, else how it ended (`status` is a wait status)."""

    steps: list[Step]
    stopped: bool
    status: int | None = None
    results: list[Result] = field(default_factory=list)

    def first(self, call: str, about: str = "") -> Point:
        """The first step of this kind."""
        return next(step.point for step in self.steps if step.call == call and about in step.about)


def _put_in_place_of(kept: Path, copy: Path) -> None:
    """The folder itself, with what is in its copy: workers know by it that they see each other's locks."""
    for path in kept.iterdir():
        path.unlink()
    for path in copy.iterdir() if copy.is_dir() else ():
        path.rename(kept / path.name)
    if copy.is_dir():
        copy.rmdir()
    kept.rename(copy)


class Laboratory:
    """Absolute paths are in the database, so the installation always has the same place, and is copied away and back.

    `folder` is on a file system in memory where there is one: kills do not need a disk, and syncs cost time.
    """

    sshd: Sshd | None = (
        None  # where scenarios with a server deliver to, into this very installation's `studies`
    )

    def __init__(self, folder: Path, server: PostgresServer | None = None) -> None:
        self.folder, self.server = folder, server
        self.marks = folder / _MARKS
        self.marks.mkdir()
        self.vendor = "postgresql" if server else "sqlite"
        self._saved: set[str] = set()
        self.product = self._new(folder / "root", self._url())
        self._zygote = self._start(self._new(folder / "warm", "sqlite"))
        self.settings: dict[str, Any] = {}
        self.environment: dict[str, str] = {}

    def _url(self) -> str:
        return self.server.url("crash") if self.server else "sqlite"

    def _new(self, root: Path, database: str) -> Product:
        shutil.rmtree(root, ignore_errors=True)
        (root / "var").mkdir(parents=True)
        return Product(root, database).configure()

    def _start(self, warm: Product) -> subprocess.Popen[str]:
        warm.drop("warm", {"up/a": b"1", "b": b"2"})
        environment = warm.environment | {"PYTHONPATH": str(_SOURCE), "PYTHONDONTWRITEBYTECODE": "1"}
        zygote = subprocess.Popen(
            [sys.executable, str(_ZYGOTE), str(warm.config)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert zygote.stdout and zygote.stdout.readline() == "ready\n", "the zygote did not start"
        return zygote

    def close(self) -> None:
        self._zygote.stdin.close()  # type: ignore[union-attr]
        self._zygote.wait(60)
        self._zygote.stdout.close()  # type: ignore[union-attr]
        shutil.rmtree(self.folder)
        if self.server:
            for name in ("crash", *(f"saved_{name}" for name in self._saved)):
                self.server.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    # States

    def begin(self) -> Product:
        """An empty installation with an empty, migrated database."""
        self.settings = {}
        if "empty" not in self._saved:
            self._reset_database("template1")
            self.product = self._new(self.product.root, self._url())
            self.do(["arrivals"])
            self.save("empty")
        self.restore("empty")
        return self.product

    def save(self, name: str) -> None:
        """Keep the state of all folders and of the database under this name."""
        copy = self.folder / name
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.product.root, copy, symlinks=True)
        if self.server:
            self.wait_until_disconnected()
            self.server.copy_database("crash", f'"saved_{name}"')
        self._saved.add(name)

    def has(self, name: str) -> bool:
        return name in self._saved

    def restore(self, name: str) -> None:
        """Put a saved state back: same paths, names, bytes, modes and times."""
        locks, kept = self.product.root / "var" / "workers", self.folder / "workers"
        if locks.is_dir():
            locks.rename(kept)
        shutil.rmtree(self.product.root)
        shutil.copytree(self.folder / name, self.product.root, symlinks=True)
        if kept.is_dir():
            _put_in_place_of(kept, locks)
        if self.server:
            self._reset_database(f"saved_{name}")

    def _reset_database(self, template: str) -> None:
        if self.server:
            self.server.execute("DROP DATABASE IF EXISTS crash WITH (FORCE)")
            self.server.copy_database(f'"{template}"', "crash")

    def wait_until_disconnected(self) -> None:
        """Until every server has noticed that a killed client is gone, and has done what was sent to it before."""
        if self.server:
            server = self.server
            wait_until(lambda: server.connections_to("crash") == 0, what="the end of the server's process")
        if self.sshd:
            sshd = self.sshd
            wait_until(lambda: not sshd.sessions(), what="the end of the sessions at the server")

    # Commands

    def do(self, *commands: Command) -> list[Result]:
        """Run commands one after the other in one fresh process."""
        answer = self.ask(do=commands)
        assert isinstance(answer, list), answer
        return [Result(**each) for each in answer]

    def step(self, commands: Sequence[Command], at: Point | int | str | None = None) -> Traced:
        """The same, traced, and stopped just before the step `at` (a text: the request of this name)."""
        if isinstance(at, str):
            at = str(self.marks / at)
        return self._traced(self.ask(step=commands, at=at, mark=str(self.marks) if self.sshd else None))

    def kill(self) -> Traced:
        """Kill what was stopped, all of it at once."""
        ended = self._traced(self.ask(end="kill"))
        self.wait_until_disconnected()
        return ended

    def cut(self, request: str) -> Traced:
        """Cut the connection at the request at which it was stopped, and let it run on to its end."""
        (self.marks / request).touch()
        return self.thaw()

    def thaw(self) -> Traced:
        """Let what was stopped run on to its end."""
        return self._traced(self.ask(end="thaw"))

    def ask(self, **request: Any) -> Any:
        assert self._zygote.stdin and self._zygote.stdout
        request |= {"config": str(self.product.config), "set": self.settings, "environment": self.environment}
        self._zygote.stdin.write(json.dumps(request) + "\n")
        self._zygote.stdin.flush()
        line = self._zygote.stdout.readline()
        assert line, "the zygote has died"
        return json.loads(line)

    def _traced(self, answer: Mapping[str, Any]) -> Traced:
        steps = [Step(Point(task, count), call, about) for task, count, call, about in answer["steps"]]
        results = [Result(**each) for each in answer.get("results") or []]
        return Traced(steps, answer.get("stopped", False), answer.get("status"), results)


def in_memory(fallback: Path, name: str) -> Path:
    """A folder of this process on a file system in memory."""
    shared = Path("/dev/shm")
    folder = (shared if os.access(shared, os.W_OK) else fallback) / f"dropslot-crash-{os.getpid()}-{name}"
    with suppress(FileNotFoundError):
        shutil.rmtree(folder)
    folder.mkdir(mode=0o755)
    return folder
