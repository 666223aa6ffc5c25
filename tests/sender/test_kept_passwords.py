"""Passwords are kept only on demand, in the system's keyring; a person who is there can have one forgotten."""

from __future__ import annotations

import getpass
from collections.abc import Iterator

import pytest

from dropslot.cli.sending.terminal_prompts import Silent, Terminal
from keyrings import keyring_in_memory


@pytest.fixture
def held() -> Iterator[dict[tuple[str, str], str]]:
    with keyring_in_memory() as held:
        yield held


def test_only_what_was_accepted_and_is_wanted_is_kept(
    held: dict[tuple[str, str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = ["wrong", "right", "right", "newer"]
    monkeypatch.setattr(getpass, "getpass", lambda *_, **__: typed.pop(0))
    monkeypatch.setattr("dropslot.cli.sending.terminal_prompts._restore_at_exit", lambda: None)
    forgetful = Terminal(remember=False)
    assert forgetful.password("ann@lab", again=False) == "wrong"
    assert forgetful.password("ann@lab", again=True) == "right"
    forgetful.accepted()
    assert forgetful.password("ann@lab", again=False) == "right"  # by the same command: nobody types it twice
    assert held == {} and Silent().password("ann@lab", again=False) is None
    keeping = Terminal(remember=True)
    keeping.password("ann@lab", again=False)
    assert held == {}
    keeping.accepted()
    assert held == {("dropslot", "ann@lab"): "right"}
    later = Terminal(remember=True)
    assert later.password("ann@lab", again=False) == "right"
    assert later.password("ann@lab", again=False) == "right" and Silent().password("ann@lab", again=False)
    assert Silent().password("ann@lab", again=True) is None  # a server that is half started refuses it once
    assert held == {("dropslot", "ann@lab"): "right"}
    assert later.password("ann@lab", again=True) == "newer"
    assert held == {}
    later.accepted()
    assert held == {("dropslot", "ann@lab"): "newer"}
