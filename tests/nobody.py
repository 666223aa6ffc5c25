"""Credentials of a sender that can ask nobody."""

from __future__ import annotations

from collections.abc import Sequence

from dropslot.sender.credentials import HostKey, Question


class Nobody:
    """Answers nothing: keys and files must do."""

    def user(self, server: str) -> str | None:
        return None

    def password(self, account: str, *, again: bool) -> str | None:
        return None

    def passphrase(self, key_file: str, *, again: bool) -> str | None:
        return None

    def answers(self, title: str, instructions: str, questions: Sequence[Question]) -> Sequence[str] | None:
        return None

    def trusts(self, key: HostKey) -> bool:
        return False

    def token(self, server: str, *, again: bool) -> str | None:
        return None

    def accepted(self) -> None:
        pass
