"""Signs a person in: with a key, the agent, a password, and the questions of a second factor.

A server counts each key and each password that it refuses, and may lock the account. So only a few are tried, and the
same answer is never given twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import asyncssh

from dropslot.core.errors import DropslotError
from dropslot.core.names import escape
from dropslot.sender.credentials import Credentials, Question
from dropslot.sender.faults import SignInRefused
from dropslot.sender.local_paths import shown_path
from dropslot.sender.over_sftp.plain_errors import UNSENT
from dropslot.sender.over_sftp.question import answer_to
from dropslot.sftp.login import Client

T = TypeVar("T")
MOST_KEYS = 3  # sshd ends the connection after six refusals by default: this leaves room for passwords
MOST_PASSWORDS = 3
_OWN_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")
_NOT_A_KEY = (OSError, ValueError, asyncssh.KeyImportError, asyncssh.KeyEncryptionError)


class SigningIn:
    """What is known of one person at one server; a lost connection is made again without a question, where the server
    asks for nothing new. `account` is `user@host`, for people."""

    def __init__(self, account: str, key: str, credentials: Credentials) -> None:
        self.account, self.credentials = account, credentials
        self.uses_keys = True
        self.error: BaseException | None = None  # of a question
        self.unanswered = ""  # the question to which there was no answer
        self.password: str | None = None
        self.password_refused = False
        self._key = str(Path(key).expanduser()) if key else ""
        self._opened: list[asyncssh.SSHKeyPair] = []
        self._accepted = b""  # public part of the key that was accepted last

    def client(self) -> Asking:
        """What answers one connection."""
        self.unanswered = ""
        return Asking(self)

    def raise_error(self) -> None:
        """Raise what a question raised: the person gave up."""
        error, self.error = self.error, None
        if error is not None:
            raise error

    async def ask(self, what: str, question: Callable[[], T | None]) -> T | None:
        """The answer of a person; the loop goes on meanwhile."""
        try:
            answer = await answer_to(question)
        except asyncio.CancelledError:  # the server ended the connection while the person was thinking
            self.unanswered = what
            raise
        except BaseException as error:  # noqa: BLE001 - raised again when the connection has ended
            self.error = error
            return None
        if answer is None:
            self.unanswered = what
        return answer

    def accept(self, key: asyncssh.SSHKeyPair | None) -> None:
        """The person is signed in; `key` is the last one that was tried."""
        self.unanswered, self.password_refused = "", False
        self._accepted = key.public_data if key else b""

    async def keys(self, agent: list[asyncssh.SSHKeyPair]) -> list[asyncssh.SSHKeyPair]:
        """The keys to try, the likeliest first."""
        if not self.uses_keys:
            return []
        if self._key:
            return await self._chosen(agent)
        if not self._opened:
            self._opened = [pair for name in _OWN_KEYS for pair in _unlocked(Path.home() / ".ssh" / name)]
        own = {key.public_data for path in _public_files() if (key := _public(path))}
        agent = sorted(
            agent, key=lambda pair: (pair.public_data != self._accepted, pair.public_data not in own)
        )
        # Of the agent's keys at most two, so that a key of the usual files is tried as well.
        return _once([*agent[: MOST_KEYS - bool(self._opened)], *self._opened])[:MOST_KEYS]

    async def _chosen(self, agent: list[asyncssh.SSHKeyPair]) -> list[asyncssh.SSHKeyPair]:
        """The key that the person named. If the agent has it, its passphrase is not asked for."""
        private = Path(self._key.removesuffix(".pub"))
        public = _public(Path(f"{private}.pub"))
        if public and (held := [pair for pair in agent if pair.public_data == public.public_data]):
            return held
        if not self._opened:
            self._opened = await self._open(private)
        return self._opened

    async def _open(self, path: Path) -> list[asyncssh.SSHKeyPair]:
        passphrase, again = None, False
        while True:
            try:
                return list(asyncssh.load_keypairs(str(path), passphrase))
            except _NOT_A_KEY as error:
                if "passphrase" not in str(error).lower():
                    self.error = _unusable(path, error)
                    return []
            again = passphrase is not None
            passphrase = await self.ask(
                f"the passphrase of {shown_path(path)}", self._passphrase(str(path), again=again)
            )
            if passphrase is None:
                return []

    def _passphrase(self, path: str, *, again: bool) -> Callable[[], str | None]:
        return lambda: self.credentials.passphrase(path, again=again)


class Asking(Client):
    """Answers one connection. asyncssh calls it in the loop."""

    def __init__(self, signing: SigningIn) -> None:
        self._signing = signing
        self._keys: list[asyncssh.SSHKeyPair] | None = None
        self._last_key: asyncssh.SSHKeyPair | None = None
        self._agent: asyncssh.SSHAgentClient | None = None
        self._passwords = 0  # how many were given over this connection
        self._asks = (
            True  # whether the server asks questions: without any, each attempt would count as a refusal
        )

    async def public_key_auth_requested(self) -> asyncssh.SSHKeyPair | None:
        if self._keys is None:
            self._keys = list(await self._signing.keys(await self._agent_keys()))
        self._last_key = self._keys.pop(0) if self._keys else None
        return self._last_key

    async def password_auth_requested(self) -> str | None:
        return await self._password()

    def kbdint_auth_requested(self) -> str | None:
        asks, self._asks = self._asks, False
        return "" if asks and not self._signing.unanswered and self._passwords < MOST_PASSWORDS else None

    async def kbdint_challenge_received(
        self, name: str, instructions: str, _lang: str, prompts: Sequence[tuple[str, bool]]
    ) -> list[str] | None:
        self._asks = True
        if not prompts:
            return []
        if len(prompts) == 1 and not prompts[0][1] and "password" in prompts[0][0].lower():
            password = await self._password()
            return None if password is None else [password]
        questions = [Question(text, echo) for text, echo in prompts]
        asked = self._signing.credentials.answers
        answers = await self._signing.ask("a code", lambda: asked(name, instructions, questions))
        return None if answers is None else list(answers)

    def auth_completed(self) -> None:
        self._signing.accept(self._last_key)
        self._close_agent()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._close_agent()

    async def _password(self) -> str | None:
        """The known password once, then what the person says."""
        signing, again = self._signing, self._signing.password_refused
        if self._passwords >= MOST_PASSWORDS or signing.unanswered:
            return None
        if again or signing.password is None:
            asked = signing.credentials.password
            signing.password = await signing.ask("a password", lambda: asked(signing.account, again=again))
        self._passwords += 1
        signing.password_refused = True  # until the server accepts it
        return signing.password

    async def _agent_keys(self) -> list[asyncssh.SSHKeyPair]:
        try:
            self._agent = await asyncssh.connect_agent()
            return list(await self._agent.get_keys())
        except (OSError, ValueError, asyncssh.Error):
            return []  # no agent

    def _close_agent(self) -> None:
        if self._agent is not None:
            self._agent.close()
            self._agent = None


def _unlocked(path: Path) -> list[asyncssh.SSHKeyPair]:
    """The key of a file, if it opens without a passphrase."""
    with suppress(*_NOT_A_KEY):
        return list(asyncssh.load_keypairs(str(path)))
    return []


def _public(path: Path) -> asyncssh.SSHKey | None:
    with suppress(*_NOT_A_KEY):
        return asyncssh.read_public_key(path)
    return None


def _public_files() -> list[Path]:
    with suppress(OSError):
        return sorted((Path.home() / ".ssh").glob("*.pub"))
    return []


def _once(pairs: Iterable[asyncssh.SSHKeyPair]) -> list[asyncssh.SSHKeyPair]:
    """Each key once, in their order."""
    found: dict[bytes, asyncssh.SSHKeyPair] = {}
    for pair in pairs:
        found.setdefault(pair.public_data, pair)
    return list(found.values())


def _unusable(path: Path, error: BaseException) -> DropslotError:
    return SignInRefused(
        f"The key {shown_path(path)} cannot be used: {escape(str(error))}",
        where=UNSENT,
        next_step="Name the file of a private key that you can read, or leave it out and sign in with a password",
    )
