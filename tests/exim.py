"""Debian's exim on a loopback port, with its spool and its mails in a folder of its own: takes mails for
sam@lab.example and delivers them into a maildir."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest

from ports import free_port
from waiting import wait_until

_ACCOUNT = "Debian-exim"
_CONFIG = """
primary_hostname = mail.lab.example
spool_directory = {folder}/spool
log_file_path = {folder}/log-%s
pid_file_path =
deliver_drop_privilege
local_interfaces = 127.0.0.1
acl_smtp_rcpt = rcpt
host_lookup =
keep_environment =
begin acl
rcpt:
  accept domains = lab.example
         local_parts = sam
  deny   message = no such user
begin routers
here:
  driver = accept
  domains = lab.example
  transport = maildir
begin transports
maildir:
  driver = appendfile
  directory = {folder}/mails
  maildir_format
  create_directory
begin retry
* * F,1h,1m
"""


@dataclass
class Exim:
    """`mails` are those that it has delivered."""

    folder: Path
    port: int

    @property
    def mails(self) -> list[EmailMessage]:
        found = []
        for file in sorted((self.folder / "mails" / "new").glob("*")):
            message = message_from_bytes(file.read_bytes(), policy=policy.default)
            assert isinstance(message, EmailMessage)
            found.append(message)
        return found


@pytest.fixture
def exim(open_folder: Path) -> Iterator[Exim]:
    """It runs as its own account, which only root can start."""
    if os.geteuid() != 0:
        pytest.skip("only root can act as other accounts")
    account = pwd.getpwnam(_ACCOUNT)
    config = open_folder / "exim.conf"
    config.write_text(_CONFIG.format(folder=open_folder))
    for path in (open_folder, config):
        os.chown(path, account.pw_uid, account.pw_gid)
    made = Exim(open_folder, free_port())
    command = [_exim(), "-C", str(config), "-bdf", "-oX", f"127.0.0.1.{made.port}"]
    log = (open_folder / "output").open("wb")
    with (
        log,
        subprocess.Popen(
            command, user=account.pw_uid, group=account.pw_gid, extra_groups=[], stdout=log, stderr=log
        ) as process,
    ):
        wait_until(lambda: _listens(process, made), what="exim's greeting")
        yield made
        process.terminate()
        process.wait(60)


def _exim() -> str:
    found = shutil.which("exim4", path=f"{os.environ['PATH']}:/usr/sbin")
    assert found, "exim4 is missing: setup/packages test"
    return found


def _listens(process: subprocess.Popen[bytes], made: Exim) -> bool:
    if process.poll() is not None:
        raise AssertionError(f"exim ended: {(made.folder / 'output').read_text()}")
    try:
        with socket.create_connection(("127.0.0.1", made.port), 1) as connection:
            return connection.recv(3) == b"220"
    except OSError:
        return False
