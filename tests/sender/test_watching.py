"""Sending without a person: what is done goes by itself, through a lost network too."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from collecting import Pc
from dropslot.cli.sending import terminal_prompts
from dropslot.core.errors import DropslotError
from dropslot.sender.connecting import Access
from dropslot.sender.engine.control import Control, Paused
from dropslot.sender.engine.listener import Silent
from dropslot.sender.home_folder import VARIABLE
from dropslot.sender.plan import LeftFile, NewFile
from dropslot.sender.presets.preset import Folder, Preset
from dropslot.sender.unattended.recording_done import Quiet
from dropslot.sender.unattended.send_watch import AlreadyWatching, watch
from sshd import Sshd
from waiting import wait_until

SETTLE_SECONDS = 0.5


def test_files_are_due_together_once_all_are_quiet_and_one_that_never_is_holds_nothing_up_for_ever() -> None:
    quiet = Quiet(10)
    first, second = NewFile("/a", "a", 1, 1), NewFile("/b", "b", 1, 1)
    assert quiet.due([first], now=0) == frozenset()
    assert quiet.due([first, second], now=9) == frozenset()
    assert quiet.due([first, second], now=12) == frozenset()
    assert quiet.wait_seconds(now=12) == 7
    assert quiet.due([first, second], now=19) == {"a", "b"}
    growing = (second._replace(size_bytes=size) for size in range(2, 100))
    at = 19.0
    while not (due := quiet.due([first, next(growing)], at)):
        at += 9
    assert due == {"a"}
    assert 100 <= at < 120


class Heard(Silent):
    """What the engine said."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.retried: list[DropslotError] = []
        self.named: list[str] = []

    def left(self, file: LeftFile) -> None:
        self.named.append(file.path)

    def warned(self, sentence: str) -> None:
        self.warnings.append(sentence)

    def retrying(self, error: DropslotError, seconds: float) -> None:
        self.retried.append(error)


@pytest.fixture
def server(make_sshd: Callable[..., Sshd]) -> Sshd:
    return make_sshd()


@pytest.fixture
def preset(server: Sshd, open_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Preset:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "sender"))
    for folder in (open_folder / "inbox", tmp_path / "eprime"):
        folder.mkdir()
    to = server.url(open_folder / "inbox")
    access = Access(to, key=str(server.key), known_hosts=str(server.known_hosts))
    return Preset("heart", "heart", access, (Folder("eprime", tmp_path / "eprime"),))


@contextmanager
def watching(preset: Preset, heard: Heard) -> Iterator[None]:
    control, ended = Control(), []

    def run() -> None:
        try:
            watch([preset], terminal_prompts.Silent(), heard, control, SETTLE_SECONDS)
        except DropslotError as error:
            heard.warnings.append(f"ended: {error}")
            ended.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        control.pause()
        thread.join(60)
    assert [type(error) for error in ended] == [Paused]


def test_a_recording_goes_by_itself_also_after_the_network_was_away(
    preset: Preset, server: Sshd, open_folder: Path
) -> None:
    data, heard = preset.folders[0].path, Heard()
    with watching(preset, heard):
        (data / "s01.edat3").write_bytes(b"first")
        (data / "aux.edat3").write_bytes(b"Windows keeps this name")
        wait_until(lambda: _arrived(open_folder) == {"s01.edat3"}, what="the first file")
        with pytest.raises(AlreadyWatching, match="This one sent nothing"):
            watch([preset], None, heard, Control())  # type: ignore[arg-type]
        server.stop()
        (data / "s02.edat3").write_bytes(b"second")
        wait_until(lambda: heard.retried or heard.warnings, what="a try without the server")
        server.start()
        wait_until(lambda: _arrived(open_folder) == {"s01.edat3", "s02.edat3"}, what="the second file")
    assert len(list((open_folder / "inbox").iterdir())) == 2
    assert heard.named == ["eprime/aux.edat3"]


def _arrived(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("inbox/heart-*/data/eprime/*")}


def test_the_service_of_systemd_sends_by_itself_until_it_is_removed(
    user_manager: Path, shared_sshd: Sshd, open_folder: Path, tmp_path: Path
) -> None:
    inbox = open_folder / "inbox"
    inbox.mkdir()
    pc = Pc(tmp_path / "pc", shared_sshd, inbox)
    pc.home.mkdir()
    (pc.home / "settings.yaml").write_text(
        f"presets: {{heart: {{to: '{shared_sshd.url(inbox)}', folders: {{eprime: '{pc.data}'}}}}}}"
    )
    keys = ["--key", str(shared_sshd.key), "--known-hosts", str(shared_sshd.known_hosts)]
    said = pc.run(
        "send", "heart", "--install-service", "--settle", "0.5", "--exclude", "practice*", *keys
    ).stdout
    assert f"Written: {user_manager}" in said
    pc.write("practice.edat3")
    pc.write("s01.edat3", b"first")
    wait_until(lambda: _arrived(open_folder) == {"s01.edat3"}, deadline_seconds=60, what="the file")
    assert "Removed: " in pc.run("send", "--uninstall-service").stdout
    assert not list(user_manager.glob("dropslot-send*"))


def test_without_a_preset_there_is_nothing_to_watch(tmp_path: Path) -> None:
    pc = Pc(tmp_path / "pc")
    for option in ("--watch", "--install-service"):
        assert "There is no preset to watch" in pc.run("send", option, status=2).stderr
        assert "are for one send" in pc.run("send", option, "--all", status=2).stderr
