"""Which of a server's host keys is shown, compared and asked for."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from contract.sftp_site import account_at
from dropslot.destinations.sftp import runtime, trust
from dropslot.destinations.sftp.accounts import Account
from dropslot.destinations.sftp.hostkeys import HostKeyChanged, HostKeyUnknown
from sshd import Sshd

FURTHER = ("rsa", "ecdsa")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Sshd]:
    """It has a key of each kind; one of ed25519 always."""
    for kind in FURTHER:
        subprocess.run(
            ["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", tmp_path / f"host_{kind}"], check=True
        )
    running = Sshd(tmp_path / "sshd", *(f"HostKey {tmp_path}/host_{kind}" for kind in FURTHER)).start()
    yield running
    runtime.close()
    running.stop()


def account_with(server: Sshd, folder: Path, *kinds: str) -> Account:
    """Its known_hosts has these keys."""
    known = folder / "known"
    files = {"ed25519": server.host_key.with_suffix(".pub")}
    texts = [files.get(kind, folder / f"host_{kind}.pub").read_text() for kind in kinds]
    keys = [text.rsplit(" ", 1)[0] for text in texts]
    known.write_text("".join(f"[127.0.0.1]:{server.port} {key}\n" for key in keys))
    return replace(account_at(server), known_hosts=str(known))


def can_log_in(account: Account) -> bool:
    return runtime.current().run(runtime.current().connection(account)).is_open


def test_of_several_keys_the_one_that_openssh_prefers_is_shown(server: Sshd, tmp_path: Path) -> None:
    account = account_with(server, tmp_path)
    assert trust.shown_key(account).get_algorithm() == "ssh-ed25519"
    with pytest.raises(HostKeyUnknown, match="ssh-ed25519 SHA256:"):
        can_log_in(account)


@pytest.mark.parametrize("kind", ["ed25519", *FURTHER])
def test_a_key_of_each_kind_that_is_known_is_asked_for(server: Sshd, tmp_path: Path, kind: str) -> None:
    account = account_with(server, tmp_path, kind)
    assert trust.is_trusted(account, trust.shown_key(account))
    assert can_log_in(account)


def test_another_key_of_a_known_kind_is_a_changed_one(server: Sshd, tmp_path: Path) -> None:
    Sshd.make_key(tmp_path / "host_other")
    with pytest.raises(HostKeyChanged):
        can_log_in(account_with(server, tmp_path, "other"))
