"""Kinds of events, as they are stored."""

from __future__ import annotations

import re
from pathlib import Path

from dropslot.audit.chain import Entry
from dropslot.audit.kinds import Kind, entry

SOURCE = Path(__file__).parents[2] / "src" / "dropslot"
STORED = """access-refused accessed acknowledged adopted after-asked altered associations-refused audit-withdrawn
claimed damage-accepted damaged delivered dismissed downloaded epoch-adopted exported fetched folders-loaded
given-back held images-recorded import imported instances-changed intact-again left-behind legal-hold
legal-hold-released mended not-notified notified purged rebuild rebuilt received refused reidentified
released renamed retry-asked retrying rights-changed series-incomplete sign-in-refused signed-in started
taken-over timestamped trouble trouble-over unacknowledged upload-audited uploaded verified viewed waiting
withdrawn written-since"""


def test_a_kind_is_stored_under_the_name_that_old_trails_have() -> None:
    assert sorted(kind.value for kind in Kind) == STORED.split()


def test_an_entry_holds_plain_text_and_the_payload_as_it_was_given() -> None:
    made = entry(Kind.DISMISSED, "01JE", {"reason": "sent twice", "by": "ada"})
    assert made == Entry("dismissed", "01JE", {"reason": "sent twice", "by": "ada"})
    assert type(made.kind) is str


def test_every_writer_makes_its_events_by_the_function_that_mypy_checks() -> None:
    writers = [path for path in SOURCE.rglob("*.py") if "dropslot.audit.chain import" in path.read_text()]
    by_hand = [path.name for path in writers if re.search(r"\bEntry\(", path.read_text())]
    assert by_hand == ["kinds.py"]
