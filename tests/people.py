"""Other accounts of the machine: senders, and a service that is not root."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parent.parent


@dataclass(frozen=True)
class Person:
    """An account; `run` and `start` do as that account does, with no group besides its own."""

    name: str
    uid: int
    gid: int

    def run(self, *command: str | Path, umask: int = 0o022, check: bool = True, **options: Any) -> Any:
        """As subprocess.run, with output as text; a failure shows what was printed."""
        done = subprocess.run(command, **self._options(umask), capture_output=True, text=True, **options)
        if check and done.returncode:
            raise AssertionError(
                f"{self.name}: {command} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
            )
        return done

    def start(self, *command: str | Path, umask: int = 0o022, **options: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(command, **self._options(umask), text=True, **options)

    def owns(self, *paths: Path) -> None:
        """Give them these paths (not what is inside)."""
        for path in paths:
            os.chown(path, self.uid, self.gid)

    def _options(self, umask: int) -> dict[str, Any]:
        return {"user": self.uid, "group": self.gid, "extra_groups": [], "umask": umask}


def _person(name: str) -> Person:
    if os.geteuid() != 0:
        pytest.skip("only root can act as other accounts")
    entry = pwd.getpwnam(name)
    return Person(name, entry.pw_uid, entry.pw_gid)


@pytest.fixture
def other_user() -> Person:
    """A sender: an account with no privilege and no group in common with anybody."""
    return _person("nobody")


@pytest.fixture
def service_user() -> Person:
    """An account that the daemon runs as: neither root nor the sender."""
    return _person("daemon")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every account may enter, which pytest's own are not."""
    folder = Path(tempfile.mkdtemp(prefix="dropslot-test-"))
    folder.chmod(0o755)
    yield folder
    _remove(folder)


def _remove(folder: Path) -> None:
    still_mounted = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    if any(point.startswith(f"{folder}/") for point in still_mounted):
        raise RuntimeError(f"{folder} still has a file system mounted in it; it is left as it is")
    shutil.rmtree(folder)


@dataclass(frozen=True)
class Program:
    """How dropslot is started as a child process: the command, and what its environment needs."""

    command: Sequence[str]
    environment: Mapping[str, str]


def program(repository: Path = REPOSITORY, python: str = sys.executable) -> Program:
    """The code of this checkout, installed or not."""
    return Program((python, "-m", "dropslot"), {"PYTHONPATH": str(repository / "src")})


@pytest.fixture(scope="session")
def program_for_everybody() -> Iterator[Program]:
    """As `program`, for accounts that may not enter the checkout's folder (somebody's home, say)."""
    usual = program()
    nobody = _person("nobody")
    if _can_start(nobody, usual):
        yield usual
        return
    point = Path(tempfile.mkdtemp(prefix="dropslot-checkout-"))
    point.chmod(0o755)
    # A second way to the same files, which leads through no closed folder.
    subprocess.run(["mount", "--bind", REPOSITORY, point], check=True)
    try:
        yield _through(point, nobody)
    finally:
        subprocess.run(["umount", "--lazy", point], check=True)
        point.rmdir()


def _through(point: Path, person: Person) -> Program:
    inside = (
        Path(sys.executable).relative_to(REPOSITORY) if sys.executable.startswith(str(REPOSITORY)) else None
    )
    there = program(point, str(point / inside) if inside else sys.executable)
    if not _can_start(person, there):
        pytest.skip(
            f"other accounts cannot start {sys.executable}: set it up with a Python outside of closed folders"
        )
    return there


def _can_start(person: Person, program: Program) -> bool:
    try:
        done = person.run(
            program.command[0], "-c", "import dropslot, django", check=False, env=program.environment, cwd="/"
        )
    except PermissionError:
        return False
    return bool(done.returncode == 0)


def with_few_watches(limit: int, command: Sequence[str]) -> list[str]:
    """The command, run where it may have `limit` inotify watches; other processes keep theirs."""
    script = f'echo {limit} > /proc/sys/user/max_inotify_watches && exec "$@"'
    return ["unshare", "--user", "--map-root-user", "sh", "-c", script, "sh", *command]
