"""Signing in as a person: keys, agent, passphrase, password, second factor, and the server's own key."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from at_pc import Answers
from dropslot.core.errors import DropslotError
from dropslot.sender import home_folder
from dropslot.sender.connecting import Access
from dropslot.sender.faults import HostChanged, HostUntrusted, SignInRefused
from dropslot.sender.over_sftp.inbox import SftpInbox
from dropslot.sender.over_sftp.ssh_login import MOST_KEYS, MOST_PASSWORDS
from dropslot.sftp import runtime
from sshd import Sshd

PASSWORD, CODE = "right-one", "123456"


@pytest.fixture(autouse=True)
def pc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A PC with no keys, no agent, and nothing known."""
    (tmp_path / ".ssh").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DROPSLOT_SENDER_HOME", str(tmp_path / "sender"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    yield tmp_path
    runtime.close()


@pytest.fixture
def server(shared_sshd: Sshd, pc: Path) -> Sshd:
    """A server that this PC knows."""
    home_folder.known_hosts().write_text(shared_sshd.known_hosts.read_text())
    return shared_sshd


def sign_in(server: Sshd, answers: Answers | None = None, **access: str) -> SftpInbox:
    return SftpInbox(Access(server.url("/tmp"), **access), answers or Answers())


def new_key(path: Path, passphrase: str = "") -> Path:
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-f", str(path)]
    subprocess.run(command, check=True)
    return path


def authorize(server: Sshd, key: Path) -> None:
    server.key.with_suffix(".pub").write_text(key.with_suffix(".pub").read_text())


@pytest.fixture
def agent(pc: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """ssh-agent; called with key files, it holds them."""
    socket = pc / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))

    def add(*keys: Path) -> None:
        command = ["ssh-add", "-q", *map(str, keys)]
        subprocess.run(command, check=True, env=os.environ, timeout=20)

    while not socket.exists():
        assert process.poll() is None
    yield add
    process.terminate()
    process.wait(60)


# The server's own key


def test_an_unknown_host_key_is_shown_once_and_kept(shared_sshd: Sshd) -> None:
    key = str(shared_sshd.key)
    shown = subprocess.run(
        ["ssh-keygen", "-lf", shared_sshd.host_key], capture_output=True, text=True, check=True
    )
    fingerprint = shown.stdout.split()[1]
    asked = Answers()
    with pytest.raises(HostUntrusted) as refused:
        sign_in(shared_sshd, asked, key=key)
    assert asked.asked == [f"trust 127.0.0.1:{shared_sshd.port} {fingerprint}"]
    assert f"--trust {fingerprint}" in str(refused.value) and "dropslot trust_host" not in str(refused.value)
    assert not home_folder.known_hosts().exists() and not refused.value.retryable
    sign_in(shared_sshd, Answers(trusted=True), key=key).close()
    again = Answers()
    sign_in(shared_sshd, again, key=key)
    assert again.asked == ["accepted"]


def test_a_fingerprint_on_the_command_line_trusts_exactly_that_key(shared_sshd: Sshd) -> None:
    key = str(shared_sshd.key)
    other = Answers(trusted=True)
    with pytest.raises(HostUntrusted) as refused:
        sign_in(shared_sshd, other, key=key, trust="SHA256:" + "A" * 43)
    assert other.asked == [] and not home_folder.known_hosts().exists()
    fingerprint = str(refused.value).split("--trust ")[1].split(")")[0]
    sign_in(shared_sshd, key=key, trust=fingerprint)


def test_host_keys_that_cannot_be_read_are_a_matter_of_this_pc(shared_sshd: Sshd) -> None:
    home_folder.known_hosts().write_text("nonsense\n")
    with pytest.raises(DropslotError, match="known_hosts has a line that cannot be read") as refused:
        sign_in(shared_sshd, key=str(shared_sshd.key))
    assert "Correct this file" in refused.value.next_step and "Nothing was sent" in refused.value.where


def test_a_changed_host_key_stops_everything(server: Sshd, pc: Path) -> None:
    other = new_key(pc / "other").with_suffix(".pub").read_text()
    home_folder.known_hosts().write_text(f"[127.0.0.1]:{server.port} {other}")
    asked = Answers(trusted=True, passwords=[PASSWORD])
    with pytest.raises(HostChanged, match="has changed") as refused:
        sign_in(server, asked, key=str(server.key))
    assert asked.asked == [] and not refused.value.retryable


# Keys


def test_a_passphrase_is_asked_for_until_it_opens_the_key_and_never_again(
    make_sshd: Callable[..., Sshd], pc: Path
) -> None:
    key = new_key(pc / "locked", "open sesame")
    server = make_sshd()
    authorize(server, key)
    home_folder.known_hosts().write_text(server.known_hosts.read_text())
    answers = Answers(passphrases=["wrong", "open sesame"])
    inbox = sign_in(server, answers, key=str(key))
    server.cut()
    assert inbox.receipt("none") is None  # over a new connection
    assert answers.asked == ["passphrase", "passphrase again", "accepted"]


def test_the_right_one_of_many_keys_of_an_agent_is_found_and_a_wrong_one_locks_nobody_out(
    make_sshd: Callable[..., Sshd], pc: Path, agent: Callable[..., None]
) -> None:
    keys = [new_key(pc / f"key{number}") for number in range(9)]
    agent(*keys)
    server = make_sshd("LogLevel VERBOSE")
    authorize(server, keys[8])
    home_folder.known_hosts().write_text(server.known_hosts.read_text())
    with pytest.raises(SignInRefused):
        sign_in(server, Answers())
    assert (server.folder / "log").read_text().count("Failed publickey") <= MOST_KEYS
    sign_in(server, key=f"{keys[8]}.pub").close()  # named by its public part
    (pc / ".ssh" / "mine.pub").write_text(keys[8].with_suffix(".pub").read_text())
    sign_in(server)


def test_keys_that_use_up_all_tries_leave_a_try_for_the_password(
    make_sshd: Callable[..., Sshd], pc: Path, agent: Callable[..., None]
) -> None:
    agent(*(new_key(pc / f"key{number}") for number in range(4)))
    server = make_sshd("MaxAuthTries 2")
    home_folder.known_hosts().write_text(server.known_hosts.read_text())
    answers = Answers(passwords=["wrong"])
    with pytest.raises(SignInRefused):
        sign_in(server, answers)
    assert answers.asked == ["password root@127.0.0.1"]


def test_a_key_that_is_none_is_named(server: Sshd, pc: Path) -> None:
    (pc / "none").write_text("no key")
    for name in ("none", "missing"):
        with pytest.raises(SignInRefused, match=name):
            sign_in(server, key=str(pc / name))


def test_a_locked_account_and_a_name_that_no_account_has_are_said(
    make_sshd: Callable[..., Sshd], pc: Path
) -> None:
    server = make_sshd("DenyUsers root")
    home_folder.known_hosts().write_text(server.known_hosts.read_text())
    for name in ("root", "an\x07n"):
        with pytest.raises(SignInRefused, match="locked or expired") as refused:
            sign_in(server, key=str(server.key), user=name)
        assert not refused.value.retryable and "\x07" not in str(refused.value)


# Passwords and second factors, by a server that speaks the protocol and has no accounts of this machine


class _Asking(asyncssh.SSHServer):
    """Wants a password, or a password and a code by keyboard-interactive."""

    factors = False

    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return not self.factors

    def validate_password(self, username: str, password: str) -> bool:
        return password == PASSWORD

    def kbdint_auth_supported(self) -> bool:
        return self.factors

    def get_kbdint_challenge(self, username: str, lang: str, submethods: str) -> Any:
        return "Sign in", "", "", [("Password: ", False)]

    def validate_kbdint_response(self, username: str, responses: Any) -> Any:
        if list(responses) == [PASSWORD]:
            return "", "From your phone", "", [("Verification code: ", True)]
        return list(responses) == [CODE]


@pytest.fixture(params=[False, True], ids=["password", "second-factor"])
def asking(request: pytest.FixtureRequest, pc: Path) -> Iterator[tuple[str, bool, Callable[[], None]]]:
    """Address, whether a code is wanted, and what cuts all connections."""
    host, own = asyncssh.generate_private_key("ssh-ed25519"), runtime.current()
    connections: list[asyncssh.SSHServerConnection] = []

    class Server(_Asking):
        factors = request.param

        def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
            connections.append(conn)

    async def begin() -> asyncssh.SSHAcceptor:
        keys = [host]
        return await asyncssh.listen(
            "127.0.0.1", 0, server_factory=Server, server_host_keys=keys, sftp_factory=True
        )

    async def cut() -> None:
        for connection in connections:
            connection.abort()

    server = own.run(begin())
    home_folder.known_hosts().write_text(
        f"[127.0.0.1]:{server.get_port()} {host.export_public_key().decode()}"
    )
    yield f"sftp://ann@127.0.0.1:{server.get_port()}/tmp", request.param, lambda: own.run(cut())
    own.loop.call_soon_threadsafe(server.close)


def test_a_password_and_a_code_sign_in_and_only_the_code_is_asked_for_again(
    asking: tuple[str, bool, Callable[[], None]],
) -> None:
    to, factors, cut = asking
    answers = Answers(passwords=["wrong", PASSWORD], codes=[CODE, CODE])
    inbox = SftpInbox(Access(to), answers)
    code = ["Verification code: "] if factors else []
    assert answers.asked == ["password ann@127.0.0.1", "password ann@127.0.0.1 again", *code, "accepted"]
    cut()
    del answers.asked[:]
    assert inbox.signers() == ""
    assert answers.asked == code


def test_wrong_passwords_end_after_few_and_nobody_at_the_pc_ends_at_once(
    asking: tuple[str, bool, Callable[[], None]],
) -> None:
    to, _, _ = asking
    answers = Answers(passwords=["wrong"] * 9)
    with pytest.raises(SignInRefused, match="did not let ann sign in") as refused:
        SftpInbox(Access(to), answers)
    assert len(answers.asked) <= MOST_PASSWORDS and not refused.value.retryable
    assert "wrong" not in f"{refused.value.where}{refused.value.__cause__}"
    with pytest.raises(SignInRefused, match="needs a password, and there is none"):
        SftpInbox(Access(to), Answers())


def test_a_person_who_gives_up_ends_it_with_their_own_error(
    asking: tuple[str, bool, Callable[[], None]],
) -> None:
    class GivesUp(Answers):
        def password(self, account: str, *, again: bool) -> str | None:
            raise DropslotError("no more")

    with pytest.raises(DropslotError, match="no more"):
        SftpInbox(Access(asking[0]), GivesUp())
