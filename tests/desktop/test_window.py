"""The window as somebody uses it: a real X server, the real engine, real servers."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from desktop.careful_server import CODE, PASSWORD, careful_server
from desktop.opened import Opened
from dropslot.sender import home_folder
from sshd import Sshd


def recording(folder: Path, name: str, size_bytes: int = 300_000) -> Path:
    """A file that was written long ago, so that no look waits for it."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(os.urandom(size_bytes))
    os.utime(path, (1_700_000_000, 1_700_000_000))
    return path


@pytest.fixture
def presets(shared_sshd: Sshd, open_folder: Path) -> dict[str, Any]:
    """A study that goes to the inbox in `open_folder`."""
    (open_folder / "inbox").mkdir()
    return {
        "heart": {
            "to": shared_sshd.url(open_folder / "inbox"),
            "key": str(shared_sshd.key),
            "known_hosts": str(shared_sshd.known_hosts),
            "folders": {"eprime": str(open_folder / "eprime")},
        }
    }


def sent(inbox: Path) -> dict[str, bytes]:
    """The payload of the one bag that has its final name."""
    [bag] = [each for each in inbox.iterdir() if not each.name.startswith(".")]
    data = bag / "data"
    return {str(path.relative_to(data)): path.read_bytes() for path in data.rglob("*") if path.is_file()}


def test_somebody_who_opens_it_for_the_first_time_answers_three_questions_and_sends(
    opened: Callable[..., Opened], tmp_path: Path
) -> None:
    (tmp_path / "server" / "inbox").mkdir(parents=True)
    files = tmp_path / "E-Prime Daten"
    first = recording(files, "s01/run1.edat3")
    with careful_server(tmp_path / "server") as (port, fingerprint):
        window = opened()
        window.press("I answer three questions")
        window.press("Next >")
        window.types("Which study?", "heart failure")
        window.press("Done")
        window.sees(
            "Where to? Please answer this.\nWhich folders of this computer? Expected at least one folder."
        )
        assert "For example: heart_failure" in window.texts() and "yaml" not in window.texts()
        window.types("Which study?", "heart")
        window.types("Where to?", f"sftp://127.0.0.1:{port}/inbox")
        window.types("Folder of this computer", str(files))
        window.press("Done")
        window.sees("1 of 1 file chosen")
        window.press("Send 1 file (300 kB)")
        window.sees(f"Sign in to 127.0.0.1:{port}")
        window.types("Your name there:", "ann")
        window.press("Sign in")
        assert window.trusts_the_server() == fingerprint
        for answer in ("mistyped", PASSWORD):
            window.sees("Password:")
            window.types("Password:", answer)
            window.press("Sign in")
        window.sees("From your phone")
        window.types("Verification code:", CODE)
        window.press("Sign in")
        window.sees("✓ Uploaded · 1 file")
    assert sent(tmp_path / "server" / "inbox") == {"E-Prime_Daten/s01/run1.edat3": first.read_bytes()}
    window.waits(lambda: window.window.study.user.currentText() == "ann", "the name for next time")


def test_what_is_unticked_stays_and_what_is_paused_is_continued_by_the_next_window(
    opened: Callable[..., Opened], presets: dict[str, Any], open_folder: Path
) -> None:
    large = recording(open_folder / "eprime", "large.raw", 12_000_000)
    recording(open_folder / "eprime", "practice.edat3")
    presets["heart"]["limit"] = "3MB/s"
    window = opened(presets)
    window.unticks("practice.edat3")
    window.press("Send 1 file (12 MB)")
    window.sees(" a second · about ")
    window.close()
    window.sees("Files are being sent. If you stop, nothing is lost")
    window.press("Stop, and continue next time")
    window.waits(lambda: window.is_over, "the end")
    assert not any(not bag.name.startswith(".") for bag in (open_folder / "inbox").iterdir())
    window.end()
    again = opened()
    again.sees("Continue to send: 1 file left")
    again.unticks("practice.edat3")
    again.press("Continue to send: 1 file left")
    again.sees("✓ Uploaded · 1 file")
    assert sent(open_folder / "inbox") == {"eprime/large.raw": large.read_bytes()}


def test_it_goes_on_in_the_background_when_it_is_closed(
    opened: Callable[..., Opened], presets: dict[str, Any], open_folder: Path
) -> None:
    recording(open_folder / "eprime", "large.raw", 2_000_000)
    presets["heart"]["limit"] = "1MB/s"
    window = opened(presets)
    window.press("Send 1 file (2.0 MB)")
    window.close()
    window.press("Go on in the background")
    assert not window.window.isVisible() and window.window.tray.isVisible()
    wait = open_folder / "inbox"
    window.waits(lambda: any(not bag.name.startswith(".") for bag in wait.iterdir()), "the bag")
    window.window.tray.shown.emit()
    window.sees("✓ Uploaded · 1 file")


def test_a_changed_host_key_stops_with_words_and_nothing_is_sent(
    opened: Callable[..., Opened], presets: dict[str, Any], open_folder: Path, tmp_path: Path
) -> None:
    recording(open_folder / "eprime", "run1.edat3")
    other = tmp_path / "other"
    Sshd.make_key(other)
    known = Path(presets["heart"]["known_hosts"]).read_text().split()[0]
    (tmp_path / "known").write_text(f"{known} {other.with_suffix('.pub').read_text()}")
    presets["heart"]["known_hosts"] = str(tmp_path / "known")
    window = opened(presets)
    window.press("Send 1 file (300 kB)")
    window.sees("changed")
    window.sees("Send 1 file (300 kB)")
    assert not list((open_folder / "inbox").iterdir())


def test_a_mistake_in_the_settings_is_named_with_its_line(opened: Callable[..., Opened]) -> None:
    window = opened({"heart": {"to": "sftp://drop.lab.example/inbox", "foldres": {}}})
    window.sees("did you mean folders?")


def test_a_study_is_added_changed_and_kept_in_the_file(
    opened: Callable[..., Opened], presets: dict[str, Any], open_folder: Path
) -> None:
    recording(open_folder / "eprime", "run1.edat3")
    recording(open_folder / "biopac", "s01.acq")
    window = opened(presets, location="Brogden A")
    window.sees("1 of 1 file chosen")
    window.press("Change…")
    window.press("Add another folder")
    window.types("Folder of this computer", str(open_folder / "biopac"), which=1)
    window.press("Save")
    window.sees("2 of 2 files chosen")
    text = home_folder.settings_file().read_text(encoding="utf-8")
    assert "biopac" in text and "Brogden A" in text and presets["heart"]["key"] in text
    assert "biopac" not in home_folder.settings_file().with_name("settings.yaml.before").read_text(
        encoding="utf-8"
    )


def test_the_window_remembers_who_sends_a_study_until_the_names_are_cleared(
    opened: Callable[..., Opened], presets: dict[str, Any], open_folder: Path
) -> None:
    recording(open_folder / "eprime", "run1.edat3")
    window = opened(presets)
    window.types("Sent by", "root")
    window.press("Send 1 file (300 kB)")
    window.sees("✓ Uploaded · 1 file")
    window.window.resize(1010, 707)
    window.close()
    window.end()
    again = opened()
    again.sees("root")
    assert (again.window.width(), again.window.height()) == (1010, 707)
    again.press("Clear names")
    again.waits(lambda: again.window.study.user.count() == 0, "no names")
    assert "root" not in (home_folder.home() / "window.ini").read_text()
