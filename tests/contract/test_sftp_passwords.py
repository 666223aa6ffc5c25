"""Passwords come from the environment, at each login; a server that takes nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncssh
import pytest

from dropslot.core.errors import DestinationUnready
from dropslot.destinations.sftp.logins import account_of
from dropslot.sftp import runtime
from dropslot.sftp.login import LoginRefused

RIGHT, WRONG = "right-one", "wrong-one"


class _ByPassword(asyncssh.SSHServer):
    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return password == RIGHT


@dataclass
class Entry:
    """As an entry of config.yaml."""

    known_hosts: Path
    key: Path | None = None
    password: str | None = "EDC_PASSWORD"


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    host, own = asyncssh.generate_private_key("ssh-ed25519"), runtime.current()

    async def begin() -> asyncssh.SSHAcceptor:
        keys = [host]
        return await asyncssh.listen(
            "127.0.0.1", 0, server_factory=_ByPassword, server_host_keys=keys, sftp_factory=True
        )

    server = own.run(begin())
    public = host.export_public_key().decode()
    (tmp_path / "known").write_text(f"[127.0.0.1]:{server.get_port()} {public}")
    yield f"sftp://edc@127.0.0.1:{server.get_port()}/"
    own.loop.call_soon_threadsafe(server.close)


def log_in(url: str, tmp_path: Path) -> None:
    runtime.current().run(runtime.current().connection(account_of(url, Entry(tmp_path / "known"))))


def test_a_password_of_the_environment_logs_in(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DestinationUnready, match="is not set, nor the one with _FILE") as unset:
        log_in(url, tmp_path)
    assert "EDC_PASSWORD" not in str(unset.value)  # it may be the password itself, by mistake
    monkeypatch.setenv("EDC_PASSWORD", RIGHT)
    log_in(url, tmp_path)


def test_a_wrong_password_is_told_by_where_it_is_kept(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDC_PASSWORD", WRONG)
    with pytest.raises(LoginRefused, match="the password in EDC_PASSWORD") as refused:
        log_in(url, tmp_path)
    assert WRONG not in str(refused.value)


def test_a_file_with_another_password_counts_at_the_next_login(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret"
    monkeypatch.setenv("EDC_PASSWORD_FILE", str(secret))
    account = account_of(url, Entry(tmp_path / "known"))
    assert account.password
    secret.write_text(f"{WRONG}\n")
    assert account.password.read() == WRONG
    secret.write_text(f"{RIGHT}\n")
    log_in(url, tmp_path)
