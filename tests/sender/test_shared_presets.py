"""Presets that a lab shares at an address: fetched each time, kept for when the address gives no answer."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from dropslot.cli.output.exit_status import UsageError
from dropslot.cli.sending.preset_options import Options, presets
from dropslot.core.settings.limits import limit
from dropslot.sender.connecting import Access
from dropslot.sender.presets.load_presets import PresetsMissing, PresetsUnsafe, load, shared_from
from dropslot.sender.presets.mistakes import PresetMistakes

PRESET = "presets:\n  heart:\n    to: sftp://drop.lab.example/inbox\n    folders: {eprime: /data}\n"


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/cut.yaml":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(PRESET.encode())
            return
        if self.path != "/moved.yaml":
            super().do_GET()
            return
        self.send_response(302)
        self.send_header("Location", f"http://0.0.0.0:{self.server.server_address[1]}/lab.yaml")  # type: ignore[index]
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Path, http.server.ThreadingHTTPServer]]:
    folder = tmp_path / "site"
    folder.mkdir()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield folder, server
        server.shutdown()
        thread.join()


def test_an_address_is_read_anew_and_what_it_gave_last_is_kept(
    site: tuple[Path, http.server.ThreadingHTTPServer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, server = site
    monkeypatch.setenv("DROPSLOT_SENDER_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    url = f"http://127.0.0.1:{server.server_address[1]}/lab.yaml"
    (tmp_path / "home" / "settings.yaml").write_text(f"location: Brogden A\npresets_from: {url}\n")
    with pytest.raises(PresetsMissing, match=r"lab\.yaml.*404"):
        load()
    (folder / "lab.yaml").write_text(PRESET)
    assert load().presets["heart"].location == "Brogden A"
    (folder / "lab.yaml").write_text(PRESET.replace("eprime", "biopac"))
    assert load().presets["heart"].folders[0].subfolder == "biopac"
    (folder / "lab.yaml").write_text(PRESET.replace("to:", "too:"))
    with pytest.raises(PresetMistakes, match="did you mean to"):
        load()
    (folder / "lab.yaml").unlink()
    assert load().presets["heart"].folders[0].subfolder == "biopac"
    (tmp_path / "home" / "settings.yaml").write_text(f"presets_from: {url.replace('lab', 'other')}\n")
    with pytest.raises(PresetsMissing, match=r"other\.yaml.*404"):  # not those of the address before
        load()
    with pytest.raises(PresetsMissing, match=r"cut\.yaml cannot be read"):
        shared_from(url.replace("lab", "cut"), tmp_path)


def test_what_anybody_on_the_way_could_change_is_not_believed(
    site: tuple[Path, http.server.ThreadingHTTPServer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, server = site
    monkeypatch.setenv("DROPSLOT_SENDER_HOME", str(tmp_path / "home"))
    (folder / "lab.yaml").write_text(PRESET)
    port = server.server_address[1]
    with pytest.raises(PresetsUnsafe, match="https://"):
        shared_from(f"http://0.0.0.0:{port}/lab.yaml", tmp_path)
    with pytest.raises(PresetsMissing, match="without encryption"):
        shared_from(f"http://127.0.0.1:{port}/moved.yaml", tmp_path)
    assert not list((tmp_path / "home").glob("shared-presets*"))


def test_shared_presets_name_no_file_of_this_pc_unless_its_own_settings_allow_it(tmp_path: Path) -> None:
    (tmp_path / "lab.yaml").write_text(f"{PRESET}    token_file: ~/.ssh/id_ed25519\n")
    settings = tmp_path / "settings.yaml"
    settings.write_text("presets_from: lab.yaml\nshared_may_set: [key, known_hosts]\n")
    with pytest.raises(PresetsUnsafe, match="`token_file` for heart") as caught:
        load(settings)
    assert "shared_may_set: [token_file]" in caught.value.next_step
    settings.write_text("presets_from: lab.yaml\nshared_may_set: token_file\n")
    assert load(settings).presets["heart"].access.token_file.endswith("/.ssh/id_ed25519")
    settings.write_text("shared_may_set: [to]\n")
    with pytest.raises(PresetMistakes, match="expected some of key, known_hosts, token_file"):
        load(settings)


def test_a_limit_is_a_rate_or_a_timetable() -> None:
    assert Options(limit="2MB/s").rate == limit("2MB/s")
    assert Options(limit="08:00-18:00=2MB/s,18:00-20:00=5MB/s").rate == limit(
        {"08:00-18:00": "2MB/s", "18:00-20:00": "5MB/s"}
    )
    for wrong in ("fast", "08:00=2MB/s", "08:00-18:00=", "08:00-18:00=1MB/s,"):
        with pytest.raises(UsageError, match="--limit"):
            _ = Options(limit=wrong).rate


def test_a_subfolder_that_no_preset_has_is_a_mistake_and_not_nothing_new(tmp_path: Path) -> None:
    settings = tmp_path / "settings.yaml"
    settings.write_text(PRESET)
    assert presets(["heart"], Options(subfolders=("eprime",), settings=settings))
    with pytest.raises(UsageError, match="'eprme'") as caught:
        presets([], Options(subfolders=("eprme",), settings=settings))
    assert "eprime" in caught.value.next_step


def test_paths_go_to_the_route_that_is_named() -> None:
    portal = Access("https://drop.lab.example", route="eeg")
    (preset,) = presets(["/data"], Options(portal, "heart", location="Brogden A"))
    assert preset.access == portal


@pytest.mark.parametrize("server", ["https://exa mple.lab", f"https://{'a' * 70}.lab", "sftp://x..lab/inbox"])
def test_an_address_that_no_server_can_have_is_a_mistake(server: str) -> None:
    with pytest.raises(UsageError, match=r"no server can|no blanks"):
        presets(["/data"], Options(Access(server), "heart", location="Brogden A"))
