"""Signing in on a terminal: questions without echo, a host key once. Without a terminal nothing is asked."""

from __future__ import annotations

import atexit
import getpass
import sys
from collections.abc import Sequence
from functools import cache

from dropslot.core.names import escape
from dropslot.sender.credentials import HostKey, Question
from dropslot.sender.stored_passwords import forget_password, keep_password, stored_password


class Silent:
    """Asks nobody; it knows only what the system's keyring has."""

    def user(self, server: str) -> str | None:
        return None

    def password(self, account: str, *, again: bool) -> str | None:
        # One refusal does not make a password wrong: a server may be half started. A person decides that it is.
        return None if again else stored_password(account)

    def passphrase(self, key_file: str, *, again: bool) -> str | None:
        return None

    def answers(self, title: str, instructions: str, questions: Sequence[Question]) -> Sequence[str] | None:
        return None

    def trusts(self, key: HostKey) -> bool:
        return False

    def token(self, server: str, *, again: bool) -> str | None:
        return None if again else stored_password(server)

    def accepted(self) -> None:
        pass


class Terminal(Silent):
    """Asks the person at the terminal. `remember`: what was accepted goes into the system's keyring."""

    def __init__(self, *, remember: bool) -> None:
        self._remember = remember
        self._given: dict[str, str] = {}
        self._known: dict[str, str] = {}  # another preset or route of this command asks for nothing twice
        self._stored: set[str] = set()

    def user(self, server: str) -> str | None:
        default = getpass.getuser()
        return _typed(f"User at {escape(server)} [{escape(default)}]: ") or default

    def password(self, account: str, *, again: bool) -> str | None:
        return self._secret(account, f"Password of {escape(account)}: ", again=again)

    def passphrase(self, key_file: str, *, again: bool) -> str | None:
        return _hidden(f"{_AGAIN if again else ''}Passphrase of the key {escape(key_file)}: ")

    def answers(self, title: str, instructions: str, questions: Sequence[Question]) -> Sequence[str] | None:
        for line in filter(None, (title, instructions)):
            sys.stderr.write(f"{escape(line)}\n")
        found = [(_typed if each.echo else _hidden)(f"{escape(each.text)}") for each in questions]
        return [each for each in found if each is not None] if None not in found else None

    def trusts(self, key: HostKey) -> bool:
        sys.stderr.write(
            f"{escape(key.server)} is not known to this computer. Its key is\n\n  {escape(key.kind)}"
            f" {escape(key.fingerprint)}\n\nCompare it with the one that its administrator gave you.\n"
        )
        return (
            _typed("Is it the same, and do you trust this server from now on? (yes/no) ") or ""
        ).lower() == "yes"

    def token(self, server: str, *, again: bool) -> str | None:
        return self._secret(server, f"Upload token for {escape(server)}: ", again=again)

    def accepted(self) -> None:
        if self._remember:
            for account, secret in self._given.items():
                keep_password(account, secret)
        self._known |= self._given
        self._given.clear()

    def _secret(self, account: str, question: str, *, again: bool) -> str | None:
        refused = self._known.pop(account, None) if again else None
        if account in self._known:
            return self._known[account]
        if refused is not None and account in self._stored:
            forget_password(account)  # the server refused the one that is kept
            again = False
        if not again and account not in self._stored and (stored := stored_password(account)):
            self._stored.add(account)
            self._known[account] = stored
            return stored
        answer = _hidden(f"{_AGAIN if again else ''}{question}")
        if answer:
            self._given[account] = answer
        return answer


_AGAIN = "That was not accepted. "


def _typed(question: str) -> str | None:
    sys.stderr.write(question)
    sys.stderr.flush()
    return sys.stdin.readline().strip() or None


def _hidden(question: str) -> str | None:
    _restore_at_exit()
    try:
        return getpass.getpass(question, stream=sys.stderr) or None
    except EOFError:
        return None


@cache  # what is registered with Python cannot be forgotten
def _restore_at_exit() -> None:
    """Ctrl-C ends the program while a question, in a thread of its own, has switched the echo off."""
    if sys.platform != "win32":
        import termios

        before = termios.tcgetattr(sys.stdin)
        atexit.register(lambda: termios.tcsetattr(sys.stdin, termios.TCSAFLUSH, before))
