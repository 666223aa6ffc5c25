"""The clinics' machine: OpenSSH's sshd, which takes the results, and Apache, from which each clinic fetches its own.

Both are Debian's programs with a configuration of their own in the demonstration's folder, on loopback ports that stay
the same from one start to the next, since they are part of the addresses of what was delivered.
"""

from __future__ import annotations

import getpass
import json
import os
import secrets
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import HTTPBasicAuthHandler, HTTPPasswordMgrWithDefaultRealm, build_opener

from installation import free_port

CLINICS = ("clinic12", "clinic14")
NEEDED = {
    "sshd": "openssh-server",
    "ssh-keygen": "openssh-client",
    "apache2": "apache2-bin",
    "htpasswd": "apache2-utils",
}
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
_MODULES = ("mpm_event", "authn_core", "authn_file", "authz_core", "authz_user", "auth_basic", "alias")
_START_SECONDS = 20

_SSHD = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/key.pub
PidFile none
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
Subsystem sftp internal-sftp
"""
_APACHE = """\
ServerName 127.0.0.1
Listen 127.0.0.1:{port}
{modules}
PidFile {folder}/web/pid
ErrorLog {folder}/web/errors
LogFormat {log_format} dropslot
CustomLog {folder}/web/access.log dropslot
Alias /results {results}
<Directory {results}>
    AuthType Basic
    AuthName Results
    AuthUserFile {folder}/users
    Require all denied
</Directory>
"""
_LOG_FORMAT = (
    r'"%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-Agent}i\" %O %X \"%{Content-Range}o\"'
    r' \"%{Content-Encoding}o\""'
)
_CLINIC = "<Directory {results}/{clinic}>\n    Require user {clinic}\n</Directory>\n"


def missing() -> list[str]:
    """The Debian packages that are not installed."""
    return [package for program, package in NEEDED.items() if not shutil.which(program, path=_PATH)]


@dataclass(frozen=True)
class Servers:
    """Made once in `folder`; `running` starts both."""

    folder: Path

    @property
    def results(self) -> Path:
        """What Apache serves; closed to everybody but the server's accounts."""
        return self.folder / "results"

    @property
    def address(self) -> str:
        return f"sftp://{getpass.getuser()}@127.0.0.1:{self._ports['sshd']}"

    @property
    def access_log(self) -> Path:
        return self.folder / "web" / "access.log"

    @property
    def _ports(self) -> dict[str, int]:
        return dict(json.loads((self.folder / "ports.json").read_text()))

    def make(self) -> None:
        """Keys, passwords, folders and both configurations."""
        self.results.mkdir(parents=True)
        (self.folder / "web").mkdir()
        (self.folder / "ports.json").write_text(json.dumps({"sshd": free_port(), "apache": free_port()}))
        for name in ("host", "key"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.folder / name], check=True
            )
        for clinic in CLINICS:
            (self.results / clinic).mkdir()
            self._set_password(clinic)
        kind, key = (self.folder / "host.pub").read_text().split()[:2]
        (self.folder / "known_hosts").write_text(f"[127.0.0.1]:{self._ports['sshd']} {kind} {key}\n")
        (self.folder / "sshd.conf").write_text(_SSHD.format(port=self._ports["sshd"], folder=self.folder))
        (self.folder / "apache.conf").write_text(self._apache())

    def _set_password(self, clinic: str) -> None:
        password = self.folder / f"{clinic}.password"
        password.write_text(secrets.token_urlsafe(12))
        password.chmod(0o600)
        users = self.folder / "users"
        command = ["htpasswd", "-i", *([] if users.exists() else ["-c"]), str(users), clinic]
        subprocess.run(command, input=password.read_bytes(), check=True, capture_output=True)

    def _apache(self) -> str:
        loaded = [f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so" for name in _MODULES]
        main = _APACHE.format(
            port=self._ports["apache"],
            modules="\n".join(loaded),
            folder=self.folder,
            results=self.results,
            log_format=_LOG_FORMAT,
        )
        return main + "".join(_CLINIC.format(results=self.results, clinic=clinic) for clinic in CLINICS)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Both servers; they end with the block."""
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # where sshd's unprivileged part lives
        sshd, apache = (str(shutil.which(name, path=_PATH)) for name in ("sshd", "apache2"))
        commands = {
            "sshd": [sshd, "-D", "-f", f"{self.folder}/sshd.conf", "-E", f"{self.folder}/sshd.log"],
            "apache": [*self._as_apache(), apache, "-f", f"{self.folder}/apache.conf", "-DFOREGROUND"],
        }
        started = [self._start(name, command) for name, command in commands.items()]
        try:
            yield
        finally:
            for process in started:
                process.terminate()
                process.wait(20)

    def _as_apache(self) -> list[str]:
        """Apache never serves as root; its own account may read the demonstration, wherever that lies."""
        if os.geteuid():
            return []
        shutil.chown(self.folder / "web", "www-data", "www-data")
        read = "+dac_read_search"
        account = ["--reuid=www-data", "--regid=www-data", "--clear-groups"]
        return ["setpriv", *account, f"--inh-caps={read}", f"--ambient-caps={read}"]

    def _start(self, name: str, command: list[str]) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(command, start_new_session=True)  # Ctrl-C is for us; we end them last
        end, tick = time.monotonic() + _START_SECONDS, threading.Event()
        while time.monotonic() < end and process.poll() is None:
            if self._answers(name):
                return process
            tick.wait(0.05)
        process.kill()
        raise SystemExit(
            f"{name} did not start; look into {self.folder}. Another DEMO=folder has servers of its own."
        )

    def _answers(self, name: str) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self._ports[name]), timeout=5).close()
        except OSError:
            return False
        return True

    def fetch(self, clinic: str, name: str) -> bytes:
        """As the clinic's browser does."""
        url = f"http://127.0.0.1:{self._ports['apache']}/results/{clinic}/{name}"
        logins = HTTPPasswordMgrWithDefaultRealm()
        logins.add_password(None, url, clinic, (self.folder / f"{clinic}.password").read_text())
        with build_opener(HTTPBasicAuthHandler(logins)).open(url, timeout=20) as answer:
            return bytes(answer.read())
