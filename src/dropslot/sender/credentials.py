"""How the sender asks the person who sends. The command asks on a terminal, the window in dialogs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Question:
    """One question of keyboard-interactive, such as `Verification code: `. `echo`: the answer may be seen."""

    text: str
    echo: bool


@dataclass(frozen=True, slots=True)
class HostKey:
    """The key that a server showed, and that this PC does not know: `server` is `host:port` for people, `kind` such as
    `ssh-ed25519`, `fingerprint` begins with `SHA256:`."""

    server: str
    kind: str
    fingerprint: str


class Credentials(Protocol):
    """Asked while somebody signs in; each call may come from another thread and may wait for the person.

    None as an answer means that there is none: the person gave up, or nobody can be asked. Then signing in fails with
    words.
    """

    def user(self, server: str) -> str | None:
        """The name of the account at this server, when neither address nor preset has it."""

    def password(self, account: str, *, again: bool) -> str | None:
        """The password of `user@host`. `again`: the one before was refused."""

    def passphrase(self, key_file: str, *, again: bool) -> str | None:
        """What opens a private key that is encrypted."""

    def answers(self, title: str, instructions: str, questions: Sequence[Question]) -> Sequence[str] | None:
        """Answers to the questions of a second factor, as many as there are questions. These texts are the server's:
        escape them."""

    def trusts(self, key: HostKey) -> bool:
        """Whether the person has compared the fingerprint of an unknown host key, and trusts it from now on."""

    def token(self, server: str, *, again: bool) -> str | None:
        """A token with the right to upload, for HTTPS."""

    def accepted(self) -> None:
        """The server accepted what was answered: a password that the person wants to keep may be kept now."""
