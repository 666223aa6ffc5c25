"""What goes on otherwise than planned: cancelled, cut off, refused; and what the window keeps for a person."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from PySide6.QtCore import Qt
from PySide6.QtGui import QImage
from PySide6.QtTest import QTest

from collecting import damage
from desktop.careful_server import CODE, PASSWORD, careful_server
from desktop.opened import Opened
from desktop.test_window import recording, sent
from dropslot.sender import home_folder
from dropslot.sender.connecting import Access, place
from dropslot.sender.ledger.bags import Bag, Bags
from dropslot.sender.ledger.ledger import Ledger
from dropslot.sender.plan import NewFile
from keyrings import keyring_in_memory
from sshd import Sshd


def study(server: Sshd, folder: Path, **more: Any) -> dict[str, Any]:
    """What is in `eprime` goes to the inbox beside it."""
    (folder / "inbox").mkdir()
    access = {
        "to": server.url(folder / "inbox"),
        "key": str(server.key),
        "known_hosts": str(server.known_hosts),
    }
    return {"heart": {**access, "folders": {"eprime": str(folder / "eprime")}, **more}}


def test_what_is_cancelled_leaves_nothing_at_the_server_and_is_as_new_as_before(
    opened: Callable[..., Opened], shared_sshd: Sshd, open_folder: Path
) -> None:
    recording(open_folder / "eprime", "large.raw", 12_000_000)
    window = opened(study(shared_sshd, open_folder, limit="3MB/s"))
    window.press("Send 1 file (12 MB)")
    window.sees(" a second · ")
    window.press("Cancel upload…")
    window.sees("your files stay as they are")
    window.press("Cancel the upload")
    window.sees("The files are as new as before")
    window.sees("Send 1 file (12 MB)")
    assert list((open_folder / "inbox").iterdir()) == []


def test_a_server_that_goes_away_is_tried_again_after_a_countdown_or_at_once(
    opened: Callable[..., Opened], make_sshd: Callable[..., Sshd], open_folder: Path
) -> None:
    large = recording(open_folder / "eprime", "large.raw", 6_000_000)
    server = make_sshd()
    window = opened(study(server, open_folder, limit="3MB/s"))
    window.press("Send 1 file (6.0 MB)")
    window.sees(" a second · ")
    server.stop()
    window.sees("Tried again in ")
    server.start()
    window.press("Try again now")
    window.sees("✓ Uploaded · 1 file")
    assert sent(open_folder / "inbox") == {"eprime/large.raw": large.read_bytes()}


def test_a_password_is_kept_in_the_keyring_if_somebody_ticks_that_and_not_asked_for_again(
    opened: Callable[..., Opened], tmp_path: Path
) -> None:
    (tmp_path / "server" / "inbox").mkdir(parents=True)
    with careful_server(tmp_path / "server") as (port, _), keyring_in_memory() as held:
        to = f"sftp://ann@127.0.0.1:{port}/inbox"
        for count in (1, 2):
            recording(tmp_path / "eprime", f"run{count}.edat3")
            window = opened({"heart": {"to": to, "folders": {"eprime": str(tmp_path / "eprime")}}})
            window.press("Send 1 file (300 kB)")
            if count == 1:
                window.trusts_the_server()
                window.types("Password:", PASSWORD)
                window.press("Remember it in this computer's keyring")
                window.press("Sign in")
            window.types("Verification code:", CODE)
            window.press("Sign in")
            window.sees("✓ Uploaded: it is safe at the server")
            window.end()
        assert list(held.values()) == [PASSWORD]
    assert len(list((tmp_path / "server" / "inbox").iterdir())) == 2


class _Site(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


def test_the_assistant_takes_the_labs_settings_from_an_address_or_a_file(
    opened: Callable[..., Opened], tmp_path: Path
) -> None:
    recording(tmp_path / "eprime", "run1.edat3")
    preset = {"to": "sftp://drop.lab.example/inbox", "folders": {"eprime": str(tmp_path / "eprime")}}
    (tmp_path / "lab.yaml").write_text(yaml.safe_dump({"presets": {"heart": preset}}))
    handler = partial(_Site, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as site:
        thread = threading.Thread(target=site.serve_forever)
        thread.start()
        address = f"http://127.0.0.1:{site.server_address[1]}"
        window = opened()
        window.press("Next >")
        window.types("Settings file or address", f"{address}/nothing.yaml")
        window.press("Done")
        window.sees("nothing.yaml cannot be read")
        window.types("Settings file or address", f"{address}/lab.yaml")
        window.press("Done")
        window.sees("1 of 1 file chosen")
        site.shutdown()
        thread.join()
    window.end()
    home_folder.settings_file().unlink()
    window = opened()
    window.press("Next >")
    window.types("Settings file or address", str(tmp_path / "lab.yaml"))
    window.press("Done")
    window.sees("1 of 1 file chosen")
    assert home_folder.settings_file().read_text() == f"presets_from: {tmp_path}/lab.yaml\n"


def test_rows_below_the_first_level_are_painted_anew_when_ticks_change(
    opened: Callable[..., Opened], tmp_path: Path
) -> None:
    recording(tmp_path / "eprime", "s01/run1.edat3")
    access = {"to": "sftp://drop.lab.example/inbox", "folders": {"eprime": str(tmp_path / "eprime")}}
    window = opened({"heart": access})
    window.sees("run1.edat3")
    view = window.window.new.view

    def seen() -> QImage:
        """The row of the file, as it is on the screen."""
        index = view.model().index(0, 0)
        while view.model().rowCount(index):
            index = view.model().index(0, 0, index)
        row = view.visualRect(index)
        row.setLeft(0)
        corner = view.viewport().mapToGlobal(row.topLeft())
        return (
            window.window.screen().grabWindow(0, corner.x(), corner.y(), row.width(), row.height()).toImage()
        )

    window.settle()
    ticked = seen()
    window.window.new.model.choose_all(False)
    window.waits(lambda: seen() != ticked, "the row without its tick")


@contextmanager
def begun(file: Path, to: str) -> Iterator[tuple[Bags, Bag]]:
    """The ledger of this PC, with a bag of one file."""
    ledger, access = Ledger(home_folder.ledger_file()), Access(to)
    bags, target = Bags(ledger), ledger.target(place(to), "heart")
    new = NewFile(str(file), f"eprime/{file.name}", file.stat().st_size, file.stat().st_mtime_ns)
    bag = bags.begin("heart-1", target, access, "", [new], None)
    assert bag
    yield bags, bag
    ledger.close()


def test_an_upload_that_only_lacks_its_name_is_gone_on_with_and_doubts_are_said(
    opened: Callable[..., Opened], shared_sshd: Sshd, open_folder: Path
) -> None:
    presets = study(shared_sshd, open_folder)
    file = recording(open_folder / "eprime", "run1.edat3")
    with begun(file, presets["heart"]["to"]) as (bags, bag):
        bags.record(bag, {}, {"eprime/run1.edat3": "a" * 64}, [])
        bags.seal(bag)  # then the PC was off, and somebody removed the bag
    window = opened(presets)
    window.press("Continue to send: almost done")
    window.sees("Sent. Please read this")
    window.sees("heart-1 is not in the inbox any more: the server took it, or somebody removed it")
    window.sees("Nothing to send")


def test_a_ledger_with_damage_inside_is_made_anew_while_the_window_is_open(
    opened: Callable[..., Opened], tmp_path: Path
) -> None:
    file, to = recording(tmp_path / "eprime", "run1.edat3"), "sftp://drop.lab.example/inbox"
    with begun(file, to) as (bags, bag):
        bags.finish(bag)
    damage(home_folder.ledger_file())
    window = opened({"heart": {"to": to, "folders": {"eprime": str(tmp_path / "eprime")}}})
    window.sees("A new one is made from the server's receipts")
    window.sees("1 of 1 file chosen")
    assert len(list(home_folder.home().glob("ledger.sqlite3.damaged-*"))) == 1


def test_what_was_refused_is_chosen_again_by_shift_and_f5(
    opened: Callable[..., Opened], tmp_path: Path
) -> None:
    file, to = recording(tmp_path / "eprime", "run1.edat3"), "sftp://drop.lab.example/inbox"
    with begun(file, to) as (bags, bag):
        bags.finish(bag)
        refused = {"eprime/run1.edat3": ("refused", "it is too blue", True)}
        bags.settle(bag, "01A", "2026-11-29T00:00:00Z", refused)
    window = opened({"heart": {"to": to, "folders": {"eprime": str(tmp_path / "eprime")}}})
    window.sees("it is too blue")
    window.sees("Nothing to send")
    QTest.keyClick(window.window, Qt.Key.Key_F5, Qt.KeyboardModifier.ShiftModifier)
    window.sees("1 of 1 file chosen")
