"""A private Apache: its own folder, its own free port on both loopback addresses, users of two clinics."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import requests

from ports import free_port
from waiting import wait_until

MODULES = Path("/usr/lib/apache2/modules")
COMBINED = r'"%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-Agent}i\""'
FULL = COMBINED[:-1] + r' %O %X \"%{Content-Range}o\" \"%{Content-Encoding}o\""'
PASSWORD = "only for tests"
# Who may open which folder; staff may open all.
USERS = {"clinic12": "digawana", "clínica 7": "molepo", "staff": ""}

_CONFIGURATION = """
ServerRoot "{folder}"
ServerName 127.0.0.1
PidFile "{folder}/pid"
Listen 127.0.0.1:{port}
Listen [::1]:{port}
{modules}
{account}
ErrorLog "{folder}/error.log"
LogFormat {combined} combined
LogFormat {full} full
CustomLog "{folder}/access.log" combined
CustomLog "{folder}/full.log" full
DocumentRoot "{folder}/root"
<Directory "{folder}/root">
    AuthType Basic
    AuthName results
    AuthUserFile "{folder}/users"
    Require all denied
</Directory>
<Directory "{folder}/root/results/digawana">
    Require user clinic12 staff
</Directory>
<Directory "{folder}/root/results/molepo">
    Require user "clínica 7" staff
</Directory>
{more}
"""
_MODULES = ("mpm_event", "authn_core", "authn_file", "authz_core", "authz_user", "auth_basic", "dir")


class NoApache(Exception):
    """Apache's server program is not installed."""


class Apache:
    """Started by `start`, ended by `stop`, and by the kernel when the test process dies."""

    def __init__(self, more: str = "", modules: Sequence[str] = ()) -> None:
        """`more` is added to the configuration, {folder} being the server's own; `modules` to the usual ones."""
        self._more, self._modules = more, (*_MODULES, *modules)
        self._program = shutil.which("apache2", path=f"{os.environ['PATH']}:/usr/sbin")
        if self._program is None or not shutil.which("htpasswd"):
            raise NoApache("Apache is not installed; `setup/packages test` installs it as root.")
        # Not pytest's folder: that is closed to the account that the server runs as.
        self.folder = Path(tempfile.mkdtemp(prefix="dropslot-apache-"))
        self.folder.chmod(0o755)
        self.results = self.folder / "root" / "results"
        for folder in ("digawana", "molepo"):
            (self.results / folder).mkdir(parents=True)
        self.access_log, self.full_log = self.folder / "access.log", self.folder / "full.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0
        self._before: set[str] = set()

    def start(self) -> None:
        for user in USERS:
            command = [
                "htpasswd",
                "-b",
                "-m",
                "-c" if user == "clinic12" else "-b",
                str(self.folder / "users"),
            ]
            subprocess.run([*command, user, PASSWORD], check=True, capture_output=True)
        for _ in range(5):
            self._port = free_port()
            self._launch()
            if wait_until(self._answers_or_ended, deadline_seconds=60, what="Apache's start") == "answers":
                return
        raise RuntimeError(f"Apache did not start:\n{(self.folder / 'error.log').read_text()}")

    def stop(self) -> None:
        if self._process:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(60)
        shutil.rmtree(self.folder)

    @property
    def port(self) -> int:
        return self._port

    @property
    def reload_command(self) -> str:
        """What a rotation runs afterwards, so that the server opens its logs anew."""
        assert self._process
        self._before = self._workers()
        return f"kill -USR1 {self._process.pid}"

    def wait_until_reopened(self) -> None:
        """Until those have ended who still wrote to the old logs."""
        wait_until(
            lambda: self._workers() and not self._before & self._workers(), what="Apache's new workers"
        )

    def _workers(self) -> set[str]:
        assert self._process
        pid = self._process.pid
        return set(Path(f"/proc/{pid}/task/{pid}/children").read_text().split())

    def get(
        self, path: str, user: str = "clinic12", host: str = "127.0.0.1", method: str = "GET", **headers: str
    ) -> requests.Response:
        """Ask as a clinic does; the line is in the logs on return."""
        before = self._lines()
        response = self._ask(method, path, user, host, headers, b"")
        wait_until(lambda: self._lines() > before, what="Apache's line in both logs")
        return response

    def put(self, path: str, content: bytes, user: str = "clinic12") -> requests.Response:
        """Upload as a WebDAV client does."""
        before = self._lines()
        response = self._ask("PUT", path, user, "127.0.0.1", {}, content)
        wait_until(lambda: self._lines() > before, what="Apache's line in both logs")
        return response

    def _ask(
        self, method: str, path: str, user: str, host: str, headers: dict[str, str], body: bytes
    ) -> requests.Response:
        url = f"http://{f'[{host}]' if ':' in host else host}:{self._port}{path}"
        login = (user.encode(), PASSWORD.encode()) if user else None
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        # requests takes bytes as well, and a user in another script than Latin needs them.
        return requests.request(method, url, auth=login, headers=named, data=body or None, timeout=30)  # type: ignore[arg-type]

    def abort(self, path: str, user: str = "clinic12") -> None:
        """Ask, and hang up after the first bytes."""
        before = self._lines()
        response = requests.get(
            f"http://127.0.0.1:{self._port}{path}",
            auth=(user, PASSWORD), stream=True, timeout=30, headers={"Connection": "close"},
        )  # fmt: skip
        response.raw.read(100)
        response.close()
        wait_until(lambda: self._lines() > before, what="the line of what was broken off")

    def _lines(self) -> int:
        """Of the log that has fewer: a request's lines are written one after the other."""
        logs = (self.access_log, self.full_log)
        return min(log.read_bytes().count(b"\n") if log.exists() else 0 for log in logs)

    def _launch(self) -> None:
        modules = [f"LoadModule {name}_module {MODULES}/mod_{name}.so" for name in self._modules]
        text = _CONFIGURATION.format(
            folder=self.folder,
            port=self._port,
            modules="\n".join(modules),
            account="User www-data\nGroup www-data" if os.geteuid() == 0 else "",
            combined=COMBINED,
            full=FULL,
            more=self._more.replace("{folder}", str(self.folder)),
        )
        (self.folder / "apache.conf").write_text(text)
        command = [self._program, "-f", str(self.folder / "apache.conf"), "-DFOREGROUND"]
        # The death signal ends the server with a test process that was killed.
        self._process = subprocess.Popen(["setpriv", "--pdeathsig", "TERM", *map(str, command)])

    def _answers_or_ended(self) -> str:
        if self._process is None or self._process.poll() is not None:
            return "ended"
        try:
            socket.create_connection(("127.0.0.1", self._port), 5).close()
        except OSError:
            return ""
        return "answers"


@pytest.fixture
def make_apache() -> Iterator[Callable[..., Apache]]:
    """Servers with modules and configuration of their own."""
    made: list[Apache] = []

    def make(more: str = "", modules: Sequence[str] = ()) -> Apache:
        try:
            server = Apache(more, modules)
        except NoApache as error:
            pytest.skip(str(error))
        made.append(server)
        server.start()
        return server

    yield make
    for server in made:
        server.stop()


@pytest.fixture
def apache(make_apache: Callable[..., Apache]) -> Apache:
    """A server of its own for each test: its logs begin empty."""
    return make_apache()
