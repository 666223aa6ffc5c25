"""Private databases for the tests."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django.plugin import DjangoDbBlocker


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL server of this test session alone: own folder, own port, gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="dropslot-pg-"))
    user = _unprivileged(folder)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data = folder / "data"
    _run(user, "initdb", "-D", str(data), "-U", "dropslot", "-A", "trust", "-E", "UTF8", "--no-sync")
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    _run(user, "pg_ctl", "-D", str(data), "-w", "-l", str(folder / "log"), "-o", options, "start")
    try:
        yield f"postgresql://dropslot@127.0.0.1:{port}/postgres"
    finally:
        _run(user, "pg_ctl", "-D", str(data), "-m", "immediate", "-w", "stop")
        shutil.rmtree(folder)


def _unprivileged(folder: Path) -> str:
    if os.geteuid() != 0:
        return ""
    shutil.chown(folder, "postgres", "postgres")
    return "postgres"


def _run(user: str, *command: str) -> None:
    before = ("runuser", "-u", user, "--") if user else ()
    done = subprocess.run((*before, *command), capture_output=True, text=True, cwd="/", check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def databases_at_hand(django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Lets a test use databases that it makes itself; pytest-django's own is not set up."""
    with django_db_blocker.unblock():
        yield
