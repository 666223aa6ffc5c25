"""A private PostgreSQL server: its own folder, its own free port, an account that is not root."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from ports import free_port
from waiting import wait_until

# A server that dies with the test run needs no durability; crash tests kill dropslot, not PostgreSQL.
_OPTIONS = (
    "fsync=off",
    "full_page_writes=off",
    "autovacuum=off",
    "max_connections=100",
    "shared_buffers=64MB",
    "min_wal_size=32MB",
    "max_wal_size=64MB",
)
# A copy of a database is 850 files: in memory that takes an eighth of the processor time of a disk.
_IN_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 1 << 30
_TRIES_FOR_A_PORT = 5


class NoPostgres(Exception):
    """PostgreSQL's server programs are not installed."""


def programs() -> Path:
    """The folder with initdb and postgres; Debian keeps it off PATH. Raises NoPostgres."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (folder / "initdb").exists():
            return folder
    raise NoPostgres("PostgreSQL is not installed; `setup/packages test` installs it as root.")


class PostgresServer:
    """Started by `start`, ended by `stop`, and by the kernel when the test process dies."""

    def __init__(self, *, durable: bool = False) -> None:
        """`durable`: each commit is on the disk, as in production; tests do without."""
        self._options = _OPTIONS[3:] if durable else _OPTIONS
        self._programs = programs()
        # Not pytest's folder: that is closed to the account that the server runs as.
        self._folder = Path(
            tempfile.mkdtemp(prefix="dropslot-postgresql-", dir=None if durable else _memory())
        )
        self._account = _unprivileged_account()
        self._password = secrets.token_hex(8)
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    def url(self, database: str) -> str:
        """What config.yaml's `database:` takes. The password comes from the environment: `passwords`."""
        return f"postgresql://dropslot@127.0.0.1:{self._port}/{database}"

    @property
    def passwords(self) -> dict[str, str]:
        """Environment variables with the password: dropslot's, and the one of PostgreSQL's own programs."""
        return {"DROPSLOT_DATABASE_PASSWORD": self._password, "PGPASSWORD": self._password}

    @property
    def address(self) -> str:
        """HOST:PORT, also of a server that does not run now."""
        return f"127.0.0.1:{self._port}"

    def start(self, template: Path | None = None) -> None:
        """Start it, with a cluster of its own: a new one, or a copy of what another one has left (`leave`)."""
        if template is None:
            self._make_cluster()
        else:
            self._copy_cluster(template)
        self._start()

    def _start(self) -> None:
        for _ in range(_TRIES_FOR_A_PORT):
            self._port = free_port()
            self._process = self._launch()
            if (
                wait_until(self._answers_or_ended, deadline_seconds=60, what="PostgreSQL's start")
                == "answers"
            ):
                return
        raise RuntimeError(f"PostgreSQL did not start:\n{(self._folder / 'log').read_text()}")

    def stop(self) -> None:
        self.end()
        shutil.rmtree(self._folder)

    def end(self, with_signal: int = signal.SIGINT) -> None:
        """End the server: SIGINT closes open connections and writes everything down, SIGQUIT is like a crash."""
        if self._process:
            self._process.send_signal(with_signal)
            self._process.wait(60)
            self._process = None

    def start_again(self) -> None:
        """With the same data on the same port."""
        self._process = self._launch()
        wait_until(lambda: self._answers_or_ended() == "answers", deadline_seconds=60, what="PostgreSQL")

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """All its processes stand still, as on a machine that has no time for them."""
        pids = self._pids()
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    def _pids(self) -> list[int]:
        assert self._process
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return [pid, *map(int, children.split())]

    def standby(self) -> PostgresServer:
        """A second server that follows this one, and that this one's commits wait for."""
        other = PostgresServer()
        other._password = self._password
        host, _, port = self.address.partition(":")
        copy = ["-h", host, "-p", port, "-U", "dropslot", "-D", "data", "-R", "-X", "stream", "-c", "fast"]
        other._run("pg_basebackup", *copy, "--no-sync", PGPASSWORD=self._password)
        other._start()
        self.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        self.execute("SELECT pg_reload_conf()")
        return other

    def promote(self) -> None:
        """Make the standby a server that takes writes."""
        self.execute("SELECT pg_promote()")

    def give(self, folder: Path) -> Path:
        """Let the server's account own a folder."""
        if self._account:
            os.chown(folder, self._account.pw_uid, self._account.pw_gid)
        return folder

    def _run(self, program: str, *args: str, **environment: str) -> None:
        self.give(self._folder)
        command = [*self._as_account(), str(self._programs / program), *args]
        subprocess.run(
            command, cwd=self._folder, check=True, capture_output=True, env=os.environ | environment
        )

    def execute(self, statement: str) -> None:
        """Run one statement outside of a transaction, as the owner of the server."""
        with psycopg.connect(self.url("postgres"), password=self._password, autocommit=True) as connection:
            connection.execute(statement.encode())

    def copy_database(self, template: str, name: str) -> None:
        """Make a database that is a copy of this one."""
        # Since 15 each block is copied through the log, which takes five times as long as copying the files.
        with psycopg.connect(self.url("postgres"), password=self._password, autocommit=True) as connection:
            strategy = "STRATEGY FILE_COPY" if connection.info.server_version >= 15_00_00 else ""
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} {strategy}".encode())

    def connections_to(self, database: str) -> int:
        """How many clients the server still serves in this database."""
        with psycopg.connect(self.url("postgres"), password=self._password, autocommit=True) as connection:
            statement = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s"
            row = connection.execute(statement, [database]).fetchone()
        return int(row[0]) if row else 0

    def leave(self, folder: Path) -> None:
        """End it, and leave its cluster in this new folder."""
        self.end()
        shutil.copytree(self._folder, folder)
        shutil.rmtree(self._folder)

    def _copy_cluster(self, template: Path) -> None:
        self._password = (template / "password").read_text()
        self.give(self._folder)
        subprocess.run(["cp", "-r", template / "data", self._folder], check=True)
        if self._account:
            owner = f"{self._account.pw_uid}:{self._account.pw_gid}"
            subprocess.run(["chown", "-R", owner, self._folder], check=True)

    def _make_cluster(self) -> None:
        password = self._folder / "password"
        password.write_text(self._password)
        self.give(password)
        options = ["--pwfile", "password", "-E", "UTF8", "--locale", "C.UTF-8", "--no-sync"]
        self._run("initdb", "-D", "data", "-U", "dropslot", "-A", "scram-sha-256", *options)

    def _launch(self) -> subprocess.Popen[bytes]:
        settings = [
            f"port={self._port}",
            "listen_addresses=127.0.0.1",
            f"unix_socket_directories={self._folder}",
        ]
        flags = [part for setting in (*settings, *self._options) for part in ("-c", setting)]
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(
                # The death signal ends the server with a test process that was killed.
                [
                    *self._as_account(),
                    "--pdeathsig",
                    "QUIT",
                    self._programs / "postgres",
                    "-D",
                    "data",
                    *flags,
                ],
                cwd=self._folder,
                stdout=log,
                stderr=log,
            )

    def _as_account(self) -> list[str]:
        if not self._account:
            return ["setpriv"]
        uid, gid = self._account.pw_uid, self._account.pw_gid
        return ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups"]

    def _answers_or_ended(self) -> str:
        if self._process is None or self._process.poll() is not None:
            return "ended"
        try:
            psycopg.connect(self.url("postgres"), password=self._password, connect_timeout=5).close()
        except psycopg.OperationalError:
            return ""
        return "answers"


def _memory() -> Path | None:
    """A file system in memory that has room, if there is one."""
    has_room = os.access(_IN_MEMORY, os.W_OK) and shutil.disk_usage(_IN_MEMORY).free > _ROOM_BYTES
    return _IN_MEMORY if has_room else None


def _unprivileged_account() -> pwd.struct_passwd | None:
    """PostgreSQL refuses to run as root; anybody else runs it as themselves."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")
