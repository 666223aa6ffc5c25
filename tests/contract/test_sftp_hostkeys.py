"""Logging in: which of a server's host keys is shown, compared and asked for; and how often."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from contract.sftp_site import account_at
from dropslot.core.errors import DestinationUnready
from dropslot.sftp import connection, runtime, trust
from dropslot.sftp.hostkeys import HostKeyChanged, HostKeyUnknown
from dropslot.sftp.login import LoginRefused, Unreachable
from dropslot.sftp.ssh_account import Account
from sshd import Sshd

FURTHER = ("rsa", "ecdsa")


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    for kind in FURTHER:
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", folder / f"host_{kind}"], check=True)
    return folder


@pytest.fixture
def server(keys: Path, tmp_path: Path) -> Iterator[Sshd]:
    """It has a key of each kind; one of ed25519 always."""
    shutil.copytree(keys, tmp_path, dirs_exist_ok=True)
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


def test_a_revoked_key_is_never_accepted(server: Sshd, tmp_path: Path) -> None:
    account = account_with(server, tmp_path, "ed25519")
    known = tmp_path / "known"
    known.write_text(f"@revoked {known.read_text()}")
    before = known.read_bytes()
    with pytest.raises(HostKeyChanged, match="marks as revoked"):
        trust.accept(account, trust.shown_key(account))
    assert known.read_bytes() == before


def test_the_key_of_an_address_says_nothing_of_a_name(server: Sshd, tmp_path: Path) -> None:
    """Who can make the name resolve to another trusted server must not get what was meant for this one."""
    account = replace(account_with(server, tmp_path, "ed25519"), host="localhost")
    with pytest.raises(HostKeyUnknown):
        can_log_in(account)
    Sshd.make_key(tmp_path / "host_other")
    other = (tmp_path / "host_other.pub").read_text()
    with (tmp_path / "known").open("a") as known:
        known.write(f"[localhost]:{server.port} {other}")
    with pytest.raises(HostKeyChanged):
        can_log_in(account)


@pytest.mark.parametrize("text", [None, ""])
def test_no_other_file_is_looked_at_when_that_of_the_rule_has_no_key(
    server: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    (tmp_path / ".ssh").mkdir()
    account_with(server, tmp_path, "ed25519")
    (tmp_path / "known").rename(tmp_path / ".ssh/known_hosts")
    monkeypatch.setenv("HOME", str(tmp_path))
    if text is not None:
        (tmp_path / "hosts").write_text(text)
    with pytest.raises(HostKeyUnknown):
        can_log_in(replace(account_at(server), known_hosts=str(tmp_path / "hosts")))


def test_a_file_of_keys_may_have_bytes_that_are_no_text_and_no_line_that_is_none(
    server: Sshd, tmp_path: Path
) -> None:
    account = account_with(server, tmp_path, "ed25519")
    with (tmp_path / "known").open("ab") as known:
        known.write(b"# M\xfcller\n")
    assert can_log_in(account)
    runtime.close()
    with (tmp_path / "known").open("ab") as known:
        known.write(b"alone\n")
    with pytest.raises(DestinationUnready, match="a line that cannot be read"):
        can_log_in(account)


def test_a_host_of_a_name_that_cannot_be_is_unreachable(server: Sshd) -> None:
    with pytest.raises(Unreachable, match="No connection"):
        can_log_in(replace(account_at(server), host="results..example.org"))


def test_a_login_that_was_refused_is_not_asked_for_again_at_once(
    shared_sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hundreds of arrivals that wait would get the account or the address locked."""
    Sshd.make_key(tmp_path / "other")
    account = replace(account_at(shared_sshd), key=str(tmp_path / "other"))
    original, asked = connection.Connection.open, []

    async def counted(account: Account) -> connection.Connection:
        asked.append(account)
        return await original(account)

    monkeypatch.setattr(connection.Connection, "open", counted)
    for _ in range(3):
        with pytest.raises(LoginRefused):
            runtime.current().run(runtime.current().connection(account))
    assert len(asked) == 1
    runtime.close()
    with pytest.raises(LoginRefused):
        runtime.current().run(runtime.current().connection(account))
    assert len(asked) == 2
