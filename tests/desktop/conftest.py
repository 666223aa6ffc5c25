"""One X server for all tests of the window in a process; each test has a home of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from desktop.display import display
from desktop.opened import Opened


@pytest.fixture(scope="session", autouse=True)
def screen() -> Iterator[None]:
    """Before Qt starts."""
    with display() as environment:
        before = dict(os.environ)
        os.environ.update(environment)
        yield
        # Qt ends the process when its X server goes away first.
        if (app := QApplication.instance()) is not None:
            app.shutdown()
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Settings, ledger and memory of this test's PC."""
    folder = tmp_path / "home of the sender"
    monkeypatch.setenv("DROPSLOT_SENDER_HOME", str(folder))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    return folder


@pytest.fixture
def opened(qtbot: QtBot, home: Path) -> Iterator[Callable[..., Opened]]:
    """Opens the window with these presets, as settings.yaml has them."""
    made: list[Opened] = []

    def open_it(presets: Mapping[str, Any] | None = None, **settings: Any) -> Opened:
        home.mkdir(exist_ok=True)
        if presets is not None:
            text = yaml.safe_dump({**settings, "presets": dict(presets)})
            (home / "settings.yaml").write_text(text, encoding="utf-8")
        made.append(Opened(qtbot))
        return made[-1]

    yield open_it
    for each in made:
        each.end()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All in one process, one after the other: they share the screen."""
    for item in items:
        if "/desktop/" in str(item.path):
            item.add_marker(pytest.mark.xdist_group("desktop"))
