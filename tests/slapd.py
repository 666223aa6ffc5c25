"""A directory (OpenLDAP's slapd) on loopback ports, with its data in a folder of its own."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from certificates import make_certificate
from ports import free_port
from waiting import wait_until

try:
    import ldap
    from ldap.modlist import addModlist
except ImportError:  # the extra `ldap` is not installed; then these tests are skipped
    ldap = addModlist = None

SUFFIX = "dc=lab,dc=example"
SERVICE, SERVICE_PASSWORD = f"cn=dropslot,{SUFFIX}", "what searches"
PASSWORD = "her password there"
_ROOT, _ROOT_PASSWORD = f"cn=root,{SUFFIX}", "what writes"
_CONFIG = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
TLSCertificateFile {certificate}
TLSCertificateKeyFile {key}
database mdb
suffix "{suffix}"
rootdn "{root}"
rootpw "{password}"
directory {data}
access to * by dn.exact="{service}" read by anonymous auth by * none
"""


@dataclass
class Directory:
    """`people` and `groups` are where these are; hana is in the group `operators`, ole in none."""

    folder: Path
    port: int
    tls_port: int
    process: subprocess.Popen[bytes] | None = None
    people: str = f"ou=people,{SUFFIX}"
    groups: str = f"ou=groups,{SUFFIX}"

    @property
    def certificate(self) -> Path:
        return self.folder / "tls" / "portal.pem"

    @property
    def key(self) -> dict[str, Any]:
        """What config.yaml's `portal.ldap` says for this directory."""
        return {
            "server": f"ldap://127.0.0.1:{self.port}",
            "users": self.people,
            "groups": self.groups,
            "bind": SERVICE,
            "password": "LDAP_SECRET",
            "roles": [{"group": f"cn=operators, {self.groups.upper()}", "role": "operator"}],
        }

    def start(self) -> None:
        addresses = f"ldap://127.0.0.1:{self.port} ldaps://127.0.0.1:{self.tls_port}"
        command = [_slapd(), "-f", str(self.folder / "slapd.conf"), "-h", addresses, "-d", "0"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(self._answers, what="the directory's answer")

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
            self.process = None

    def add(self, dn: str, **attributes: str | list[str]) -> None:
        entry = {key: _bytes(value) for key, value in attributes.items()}
        self._write(lambda connection: connection.add_s(dn, addModlist(entry)))

    def person(self, name: str, **more: str) -> str:
        """Add somebody with PASSWORD; returns the distinguished name."""
        dn = f"uid={ldap.dn.escape_dn_chars(name)},{self.people}"
        given: dict[str, Any] = {"objectClass": "inetOrgPerson", "cn": name, "sn": name, "uid": name}
        self.add(dn, **given, userPassword=PASSWORD, **more)
        return dn

    def group(self, name: str, *members: str) -> None:
        self.add(f"cn={name},{self.groups}", objectClass="groupOfNames", cn=name, member=list(members))

    def remove(self, dn: str) -> None:
        self._write(lambda connection: connection.delete_s(dn))

    def replace(self, dn: str, attribute: str, *values: str) -> None:
        change = [(ldap.MOD_REPLACE, attribute, _bytes(list(values)))]
        self._write(lambda connection: connection.modify_s(dn, change))

    def _write(self, change: Any) -> None:
        connection = ldap.initialize(f"ldap://127.0.0.1:{self.port}")
        connection.simple_bind_s(_ROOT, _ROOT_PASSWORD)
        try:
            change(connection)
        finally:
            connection.unbind_s()

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.tls_port), timeout=5):
                return True
        except OSError:
            return False


def _bytes(value: str | list[str]) -> list[bytes]:
    return [text.encode() for text in ([value] if isinstance(value, str) else value)]


def _slapd() -> str:
    if ldap is None:
        pytest.skip("the extra `ldap` is not installed")
    found = shutil.which("slapd", path="/usr/sbin:/usr/local/sbin:/usr/bin")
    if found is None:
        pytest.skip("there is no slapd: apt-get install slapd")
    return found


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Directory]:
    """Started; hana, of the group `operators`, and ole are in it."""
    _slapd()
    folder = tmp_path / "directory"
    (folder / "data").mkdir(parents=True)
    made = Directory(folder, free_port(), free_port())
    make_certificate(folder / "tls", "directory", address="127.0.0.1")
    text = _CONFIG.format(
        certificate=made.certificate,
        key=made.certificate.with_suffix(".key"),
        suffix=SUFFIX,
        root=_ROOT,
        password=_ROOT_PASSWORD,
        data=folder / "data",
        service=SERVICE,
    )
    (folder / "slapd.conf").write_text(text)
    monkeypatch.setenv("LDAP_SECRET", SERVICE_PASSWORD)
    made.start()
    try:
        _fill(made)
        yield made
    finally:
        made.stop()


def _fill(directory: Directory) -> None:
    directory.add(SUFFIX, objectClass=["dcObject", "organization"], o="Lab", dc="lab")
    directory.add(SERVICE, objectClass=["person"], cn="dropslot", sn="x", userPassword=SERVICE_PASSWORD)
    for unit in (directory.people, directory.groups):
        directory.add(unit, objectClass="organizationalUnit", ou=unit[3:].split(",")[0])
    directory.group("operators", directory.person("hana", mail="hana@lab.example"))
    directory.person("ole")
