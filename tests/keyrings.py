"""A keyring as a system has it, in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import keyring
from keyring.backend import KeyringBackend
from keyring.errors import PasswordDeleteError


class _Held(KeyringBackend):
    priority = 1

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.held: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.held.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.held[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if self.held.pop((service, username), None) is None:
            raise PasswordDeleteError("none")


@contextmanager
def keyring_in_memory() -> Iterator[dict[tuple[str, str], str]]:
    """What it holds, by service and account."""
    before, ours = keyring.get_keyring(), _Held()
    keyring.set_keyring(ours)
    try:
        yield ours.held
    finally:
        keyring.set_keyring(before)
