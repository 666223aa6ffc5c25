"""pgbouncer before a test's PostgreSQL, in transaction mode: each transaction may go to another connection."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from ports import free_port
from waiting import wait_until

_CONFIG = """
[databases]
* = host={host} port={port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {own}
unix_socket_dir =
auth_type = any
auth_file = {users}
pool_mode = transaction
ignore_startup_parameters = extra_float_digits,options
"""


@contextmanager
def pooled(url: str, password: str) -> Iterator[str]:
    """The URL of the same database through the pooler."""
    # Not pytest's folder: that is closed to the account that the pooler runs as.
    with tempfile.TemporaryDirectory(prefix="dropslot-pgbouncer-") as folder:
        Path(folder).chmod(0o755)
        with _running(url, password, Path(folder)) as through:
            yield through


@contextmanager
def _running(url: str, password: str, folder: Path) -> Iterator[str]:
    parts, own = urlsplit(url), free_port()
    users, file = folder / "users.txt", folder / "pgbouncer.ini"
    users.write_text(f'"{parts.username}" "{password}"\n')
    host = f"{parts.hostname} user={parts.username} password={password}"
    file.write_text(_CONFIG.format(host=host, port=parts.port, own=own, users=users))
    account = ["--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.geteuid() == 0 else []
    with (folder / "log").open("ab") as log:
        command = ["setpriv", "--pdeathsig", "TERM", *account, "pgbouncer", str(file)]
        process = subprocess.Popen(command, stdout=log, stderr=log)
    through = f"postgresql://{parts.username}@127.0.0.1:{own}{parts.path}"
    try:
        wait_until(lambda: _answers(through), what="pgbouncer")
        yield through
    finally:
        process.terminate()
        process.wait(60)


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True
