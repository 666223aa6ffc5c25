"""Presets of dittohead are taken over, and what it sent is not sent again."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

import pytest

from dropslot.core.errors import DropslotError
from dropslot.sender.dittohead.dittohead_files import NotDittoheads
from dropslot.sender.dittohead.preset_import import Importing
from dropslot.sender.ledger.ledger import Ledger
from dropslot.sender.ledger.sent_rows import sent
from dropslot.sender.new_files.preset_scan import Wish, look
from dropslot.sender.presets import load_presets

LAST_TIME = datetime(2015, 9, 18, 10, 11, 12, 345678)  # noqa: DTZ001 - as dittohead wrote it: local, without a zone

# As Python 2's PyYAML wrote it.
PRESETS = """\
- last_time: 2015-09-18 10:11:12.345678
  local_directory: !!python/unicode '{data}'
  name: !!python/unicode 'Heart: E-Prime'
  study: !!python/unicode 'heart'
  subdirectory: !!python/unicode 'eprime'
- local_directory: {data}
  name: Brain
  study: brain
  subdirectory: ''
- {{name: Old, study: 'no-good', subdirectory: eprime, local_directory: {data}}}
"""
CONFIG = 'host: "drop.lab.example"\ninput_directory: "/home/dittohead/inbox"\npresets_path: "presets.yaml"\n'


@pytest.fixture
def importing(tmp_path: Path) -> Importing:
    data = tmp_path / "data" / "visit"
    data.mkdir(parents=True)
    for name, seconds in (("before", -1), ("after", 1)):
        (data / name).write_text(name)
        os.utime(data / name, (0, LAST_TIME.timestamp() + seconds))
    (tmp_path / "presets.yaml").write_text(PRESETS.format(data=tmp_path / "data"))
    ledger = Ledger(tmp_path / "ledger.sqlite3")
    return Importing(tmp_path / "presets.yaml", tmp_path / "settings.yaml", ledger)


def test_what_dittohead_sent_is_known_and_the_rest_is_new(importing: Importing) -> None:
    importing.presets.with_name("config.yaml").write_text(CONFIG)
    said = list(importing.run())
    assert "1 file that dittohead sent will not be sent again" in said[0]
    assert said[2].startswith("Left out: Old: its study")
    presets = load_presets.load(importing.settings).presets
    assert list(presets) == ["Heart: E-Prime", "Brain"]
    assert presets["Brain"].folders[0].subfolder == "data"
    heart = presets["Heart: E-Prime"]
    assert (heart.study, heart.access.to) == ("heart", "sftp://drop.lab.example/home/dittohead/inbox")
    plan = look(heart, importing.ledger, Wish(settle_seconds=0))
    assert [file.path for file in plan.new] == ["eprime/visit/after"]
    assert (plan.known, plan.waiting) == (1, 0)
    (old,) = sent(importing.ledger)
    assert (old.file, old.state, old.reason) == ("eprime/visit/before", "uploaded", "dittohead sent it")
    brain = look(presets["Brain"], importing.ledger, Wish(settle_seconds=0))
    assert len(brain.new) == 2  # it was never sent

    list(importing.run())
    assert len(sent(importing.ledger)) == 1


def test_the_inbox_is_asked_for_where_dittohead_does_not_say_it(importing: Importing) -> None:
    with pytest.raises(DropslotError, match="Add --to"):
        list(importing.run())
    assert not importing.settings.exists()


@pytest.mark.parametrize("text", ["heart: {}", "[1, 2]", "a: [", "!!python/object/apply:os.system ['true']"])
def test_another_file_is_refused_in_words(importing: Importing, text: str) -> None:
    importing.presets.write_text(text)
    with pytest.raises(NotDittoheads, match="Nothing was taken over"):
        list(importing.run())
