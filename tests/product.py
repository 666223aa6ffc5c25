"""dropslot as its users have it: a folder with config.yaml, commands as processes, files dropped into inboxes."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from inherited import environment
from people import Person, Program, program
from states import newest_state
from waiting import wait_until
from warm import Done, warm

Tree = Mapping[str, bytes]
_numbers = itertools.count(1)
_OWN = ("DROPSLOT_", "DJANGO_", "PG")
_KEPT = ("DROPSLOT_BROKER_PASSWORD", "DROPSLOT_DATABASE_PASSWORD")
# They start nothing that outlives them.
SHORT = frozenset(
    [
        "acknowledgments",
        "addtoken",
        "adduser",
        "arrivals",
        "audit_upload",
        "batch_logs",
        "damaged",
        "dismiss",
        "doctor",
        "drain",
        "events",
        "export_metrics",
        "fetch_dicom",
        "health",
        "history",
        "hold",
        "import_getresults",
        "latest",
        "load_remote_folders",
        "log_readers",
        "mend",
        "migrate_data",
        "partition_trail",
        "pending",
        "purge",
        "rebuild",
        "receipt",
        "reidentify",
        "removeuser",
        "report",
        "retry",
        "series",
        "space",
        "start_log_reader",
        "start_queue",
        "stop_watcher",
        "summary_metrics",
        "timestamp",
        "trust_host",
        "unacknowledge",
        "uploads",
        "users",
        "verify",
        "watcher_status",
        "watcher_stop",
    ]
)

# Constants of every command that ends. Django's million, for a third of a second each time.
_QUICK: dict[str, object] = {"django.contrib.auth.hashers:PBKDF2PasswordHasher.iterations": 1}

STUDY: dict[str, Any] = {
    "folders": "./study",
    "takes": "any",
    "deliver": [{"to": "./studies"}],
}


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    status: int
    stdout: str
    stderr: str

    @property
    def objects(self) -> list[dict[str, Any]]:
        """What `--json` printed, one object a line."""
        return [json.loads(line) for line in self.stdout.splitlines()]


class Product:
    """One installation in one folder. Whatever it started is ended by `close`."""

    def __init__(self, root: Path, database: str = "sqlite", how: Program | None = None) -> None:
        self.root = root
        self.config = root / "config.yaml"
        self.studies = root / "studies"
        self.database = database
        self.how = how or program()
        self._started: list[subprocess.Popen[str]] = []
        self.template: Path | None = None
        # `module:NAME`, and its value in commands that end: so that nobody waits for what has another reason.
        self.constants: dict[str, object] = {}

    # Configuration

    def configure(self, routes: Mapping[str, Mapping[str, Any]] | None = None, **more: Any) -> Product:
        """Write config.yaml (route `study` unless others are given) and make the folders it names.

        Routes have no grace unless they are given one: tests rename once and look no more.
        """
        routes = routes or {"study": STUDY}
        content = {
            "data": "./var",
            "database": self.database,
            "routes": {k: {"grace": 0, **v} for k, v in routes.items()},
        }
        self.config.write_text(yaml.safe_dump(content | more, sort_keys=False))
        for key in routes:
            for folder, mode in (
                ("inbox", 0o3773),
                ("processing", 0o700),
                ("done", 0o700),
                ("failed", 0o700),
            ):
                self.folder(folder, key).mkdir(parents=True, exist_ok=True)
                self.folder(folder, key).chmod(mode)
        self.studies.mkdir(exist_ok=True)
        return self

    def folder(self, which: str, route: str = "study") -> Path:
        """`inbox`, `processing`, `done` or `failed` of a route that keeps them under its own name."""
        return self.root / route / which

    def begin_with(self, template: Path) -> None:
        """Have a copy of this SQLite file for a database, as if an earlier command had made it."""
        file = self.root / "var" / "dropslot.sqlite3"
        file.parent.mkdir(mode=0o700)
        file.touch(0o600)
        shutil.copyfile(template, file)
        self.template = template

    # Commands

    def command(self, *args: str | Path) -> list[str]:
        return [*self.how.command, *map(str, args), "-c", str(self.config)]

    @property
    def environment(self) -> dict[str, str]:
        # Of the tests' own configuration only the database's password reaches the product.
        inherited = {k: v for k, v in environment().items() if k in _KEPT or not k.startswith(_OWN)}
        return inherited | dict(self.how.environment)

    def run(
        self,
        *args: str | Path,
        status: int | None = 0,
        as_person: Person | None = None,
        timeout_seconds: float = 120,
        **environment: str,
    ) -> Ended:
        """Run a command to its end; its exit status must be `status` (None: any).

        It is a process of its own. Most are forks of one that has loaded the libraries: `warm`.
        """
        done: subprocess.CompletedProcess[str] | Done
        if args[0] in SHORT and self.how == program() and as_person is None and not environment:
            words = self.command(*args)[len(self.how.command) :]
            done = warm(self.environment, str(args[0])).run(
                words, self.environment, self.root, timeout_seconds, _QUICK | self.constants
            )
        else:
            done = subprocess.run(
                self.command(*args),
                env=self.environment | environment,
                cwd=self.root,
                capture_output=True,
                text=True,
                timeout=timeout_seconds,
                **_account(as_person),
            )
        if status is not None and done.returncode != status:
            raise AssertionError(
                f"{args} ended with {done.returncode}, not {status}:\n{done.stdout}{done.stderr}"
            )
        return Ended(done.returncode, done.stdout, done.stderr)

    def start(
        self, *args: str | Path, as_person: Person | None = None, **environment: str
    ) -> subprocess.Popen[str]:
        """Start a command that stays; its output goes to ROOT/COMMAND.log."""
        with (self.root / f"{args[0]}.log").open("a") as log:
            process = subprocess.Popen(
                self.command(*args),
                env=self.environment | environment,
                cwd=self.root,
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
                **_account(as_person),
            )
        self._started.append(process)
        return process

    def drain(self, status: int | None = 0, **options: Any) -> Ended:
        """Deliver what is in the inboxes, trusting final names."""
        return self.run("drain", "--now", status=status, **options)

    def listing(self, command: str, *args: str) -> list[dict[str, Any]]:
        return self.run(command, "--json", *args).objects

    def arrivals(self, *args: str) -> list[dict[str, Any]]:
        return self.listing("arrivals", *args)

    def history(self, *args: str) -> list[dict[str, Any]]:
        return self.listing("history", *args)

    def wait_for_state(self, name: str, state: str, *, deadline_seconds: float = 60) -> dict[str, Any]:
        """The newest arrival of this name once it is in this state."""
        # The database of a command in a network of its own may not be reached from here.
        looked = newest_state(self.config, name) if self.how == program() else None

        def found() -> dict[str, Any] | None:
            if looked and looked() != state:
                return None
            named = [arrival for arrival in self.arrivals() if arrival["name"] == name]
            return named[-1] if named and named[-1]["state"] == state else None

        arrived = wait_until(found, deadline_seconds=deadline_seconds, what=f"{name} being {state}")
        assert arrived is not None
        return arrived

    # Dropping and looking

    def held(self, route: str = "study") -> list[Path]:
        """What is in processing, without dropslot's marker."""
        return [path for path in self.folder("processing", route).iterdir() if path.name[0] != "."]

    def drop(self, name: str, content: Tree | bytes, route: str = "study") -> Path:
        """Put a file, or a folder of files, into the inbox under its final name, whole, by one rename."""
        aside = self.root / f".aside{next(_numbers)}"
        write_tree(aside, content)
        return self._rename_in(aside, self.folder("inbox", route) / name)

    def drop_copy(self, source: Path, name: str | None = None, route: str = "study") -> Path:
        """As `drop`, of a copy of what is at `source`; links are copied as links."""
        aside = self.root / f".aside{next(_numbers)}"
        if source.is_dir():
            shutil.copytree(source, aside, symlinks=True)
        else:
            shutil.copy2(source, aside)
        return self._rename_in(aside, self.folder("inbox", route) / (name or source.name))

    def _rename_in(self, aside: Path, target: Path) -> Path:
        aside.rename(target)
        return target

    def delivered(self) -> dict[str, bytes]:
        """Every file under ./studies with its bytes; dropslot's own folder is left out."""
        return read_tree(self.studies)

    def manifests(self) -> list[Path]:
        return sorted(self.studies.rglob(".dropslot/manifests/*.sha256"))

    def close(self) -> None:
        for process in self._started:
            if process.poll() is None:
                _end(process)


def _account(person: Person | None) -> dict[str, Any]:
    if person is None:
        return {}
    return {"user": person.uid, "group": person.gid, "extra_groups": []}


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        # The whole session: workers must not outlive the test.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def write_tree(target: Path, content: Tree | bytes) -> Path:
    """A file, or a folder; a path that ends in `/` is an empty folder."""
    if isinstance(content, bytes):
        target.write_bytes(content)
        return target
    target.mkdir()
    for name, data in content.items():
        path = target / name
        (path if name.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
        if not name.endswith("/"):
            path.write_bytes(data)
    return target


def read_tree(folder: Path, hidden: Sequence[str] = (".dropslot",)) -> dict[str, bytes]:
    """Relative path and bytes of every regular file; folders named in `hidden` are left out."""
    found: dict[str, bytes] = {}
    for parent, folders, files in os.walk(folder):  # what vanishes meanwhile is no error
        folders[:] = sorted(set(folders) - set(hidden))
        for path in (Path(parent, name) for name in sorted(files)):
            if path.is_file() and not path.is_symlink() and path.name not in hidden:
                with contextlib.suppress(FileNotFoundError):
                    found[str(path.relative_to(folder))] = path.read_bytes()
    return dict(sorted(found.items()))


@pytest.fixture
def drains_try_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A drain leaves what fails for a while, which it otherwise tries again after 1 s, and after another 2 s."""
    monkeypatch.setitem(_QUICK, "dropslot.arrivals.workers.drain:PATIENCE_SECONDS", 0.5)


@pytest.fixture
def make_product(tmp_path: Path, sqlite_template: Path) -> Iterator[Callable[..., Product]]:
    """Make any number of products; `make_product(database=…, root=…, how=…)`.

    Those in a folder of this fixture begin with a database that has its tables, which a first command would make for
    half a second; `has_tables=False` leaves that to it.
    """
    made: list[Product] = []

    def make(
        database: str = "sqlite",
        root: Path | None = None,
        how: Program | None = None,
        has_tables: bool = True,
    ) -> Product:
        folder = root or tmp_path / f"product{len(made) + 1}"
        folder.mkdir(exist_ok=True)
        made.append(Product(folder, database, how).configure())
        if has_tables and database == "sqlite" and root is None:
            made[-1].begin_with(sqlite_template)
        return made[-1]

    yield make
    for product in made:
        product.close()


@pytest.fixture
def product(make_product: Callable[..., Product], database_url: str) -> Product:
    """A product with the route `study`: first with SQLite, then with PostgreSQL."""
    return make_product(database_url)


@pytest.fixture
def sqlite_product(make_product: Callable[..., Product]) -> Product:
    """A product with the route `study`, for tests to which the database makes no difference."""
    return make_product()
