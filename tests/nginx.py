"""A private nginx: its own folder, a free loopback port, a password for one clinic."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from ports import free_port
from waiting import wait_until

PASSWORD = "only for tests"
# As docs/acknowledgments.md recommends it.
FULL = (
    """'$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" """
    """"$http_user_agent" $bytes_sent "$request_completion" "$sent_http_content_range" """
    """"$sent_http_content_encoding"'"""
)
_CONFIGURATION = """
daemon off;
{account}
pid {folder}/pid;
error_log {folder}/error.log;
worker_processes 1;
events {{ worker_connections 64; }}
http {{
    client_body_temp_path {folder}/temporary;
    proxy_temp_path {folder}/temporary;
    fastcgi_temp_path {folder}/temporary;
    uwsgi_temp_path {folder}/temporary;
    scgi_temp_path {folder}/temporary;
    types {{ text/plain txt; application/pdf pdf; }}
    default_type application/octet-stream;
    gzip on;
    gzip_types text/plain;
    log_format dropslot {full};
    access_log {folder}/access.log;
    access_log {folder}/full.log dropslot;
    server {{
        listen 127.0.0.1:{port};
        root {folder}/root;
        auth_basic results;
        auth_basic_user_file {folder}/users;
    }}
    {more}
}}
"""


class Nginx:
    """Started by `start`, ended by `stop`, and by the kernel when the test process dies. `access_log` has nginx's own
    format, `combined`, `full_log` the recommended one. Texts (`.txt`) are compressed."""

    def __init__(self, more: str = "") -> None:
        """`more` is added to the block `http`."""
        self._more = more
        self._program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
        if self._program is None or not shutil.which("htpasswd"):
            pytest.skip("nginx is not installed; `setup/packages test` installs it as root.")
        # Not pytest's folder: that is closed to the account that the server runs as.
        self.folder = Path(tempfile.mkdtemp(prefix="dropslot-nginx-"))
        self.folder.chmod(0o755)
        self.results = self.folder / "root" / "results"
        self.results.mkdir(parents=True)
        self.access_log, self.full_log = self.folder / "access.log", self.folder / "full.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    def start(self) -> None:
        command = ["htpasswd", "-b", "-m", "-c", str(self.folder / "users"), "clinic12", PASSWORD]
        subprocess.run(command, check=True, capture_output=True)
        for _ in range(5):
            self._port = free_port()
            self._launch()
            if wait_until(self._answers_or_ended, deadline_seconds=60, what="nginx's start") == "answers":
                return
        raise RuntimeError(f"nginx did not start:\n{(self.folder / 'error.log').read_text()}")

    def stop(self) -> None:
        if self._process:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(60)
        shutil.rmtree(self.folder)

    def get(
        self, path: str, user: str = "clinic12", method: str = "GET", **headers: str
    ) -> requests.Response:
        """Ask as a clinic does; the line is in the log on return."""
        before = self._lines()
        login = (user, PASSWORD) if user else None
        response = requests.request(
            method, f"http://127.0.0.1:{self._port}{path}", auth=login, headers=headers, timeout=30
        )
        wait_until(lambda: self._lines() > before, what="nginx's line")
        return response

    def abort(self, path: str, user: str = "clinic12") -> None:
        """Ask, and hang up after the first bytes."""
        before = self._lines()
        url, login = f"http://127.0.0.1:{self._port}{path}", (user, PASSWORD)
        response = requests.get(url, auth=login, stream=True, timeout=30, headers={"Connection": "close"})
        response.raw.read(100)
        response.close()
        wait_until(lambda: self._lines() > before, what="the line of what was broken off")

    def _lines(self) -> int:
        logs = (self.access_log, self.full_log)
        return min(log.read_bytes().count(b"\n") if log.exists() else 0 for log in logs)

    def _launch(self) -> None:
        account = "user www-data;" if os.geteuid() == 0 else ""
        text = _CONFIGURATION.format(
            folder=self.folder, port=self._port, account=account, full=FULL, more=self._more
        )
        (self.folder / "nginx.conf").write_text(text)
        command = [str(self._program), "-p", str(self.folder), "-e", str(self.folder / "error.log")]
        command += ["-c", str(self.folder / "nginx.conf")]
        # The death signal ends the server with a test process that was killed.
        self._process = subprocess.Popen(["setpriv", "--pdeathsig", "TERM", *command])

    def _answers_or_ended(self) -> str:
        if self._process is None or self._process.poll() is not None:
            return "ended"
        try:
            # Not by a connection alone: another program may have taken the port.
            requests.get(f"http://127.0.0.1:{self._port}/", timeout=5)
        except (requests.ConnectionError, requests.Timeout):
            return ""
        return "answers" if self._lines() else ""


@pytest.fixture
def make_nginx() -> Iterator[Callable[..., Nginx]]:
    """Servers with a configuration of their own."""
    made: list[Nginx] = []

    def make(more: str = "") -> Nginx:
        made.append(Nginx(more))
        made[-1].start()
        return made[-1]

    yield make
    for server in made:
        server.stop()


@pytest.fixture
def nginx(make_nginx: Callable[..., Nginx]) -> Nginx:
    return make_nginx()
