"""Passwords are kept only on demand, in the system's keyring, and one that is refused is forgotten."""

from __future__ import annotations

import getpass
from collections.abc import Iterator

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.errors import PasswordDeleteError

from dropslot.cli.sending.asking import Silent, Terminal


class Held(KeyringBackend):
    """A keyring as a system has it, in memory."""

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


@pytest.fixture
def held() -> Iterator[dict[tuple[str, str], str]]:
    before, ours = keyring.get_keyring(), Held()
    keyring.set_keyring(ours)
    yield ours.held
    keyring.set_keyring(before)


def test_only_what_was_accepted_and_is_wanted_is_kept(
    held: dict[tuple[str, str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = ["wrong", "right", "right", "newer"]
    monkeypatch.setattr(getpass, "getpass", lambda *_, **__: typed.pop(0))
    monkeypatch.setattr("dropslot.cli.sending.asking._restore_at_exit", lambda: None)
    forgetful = Terminal(remember=False)
    assert forgetful.password("ann@lab", again=False) == "wrong"
    assert forgetful.password("ann@lab", again=True) == "right"
    forgetful.accepted()
    assert held == {} and Silent().password("ann@lab", again=False) is None
    keeping = Terminal(remember=True)
    keeping.password("ann@lab", again=False)
    assert held == {}
    keeping.accepted()
    assert held == {("dropslot", "ann@lab"): "right"}
    later = Terminal(remember=True)
    assert later.password("ann@lab", again=False) == "right" and Silent().password("ann@lab", again=False)
    assert later.password("ann@lab", again=True) == "newer"
    assert held == {}
    later.accepted()
    assert held == {("dropslot", "ann@lab"): "newer"}
