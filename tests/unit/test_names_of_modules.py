"""A name of a module or folder stands once in the house, unless it is the same thing in each room."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import dropslot

HOUSE = Path(dropslot.__file__).parent

# Each app has these, and Django or our registry looks for most of them under this name.
OF_EVERY_APP = """apps models section management commands urls views signals app process doctor lateness listings
    queries metrics description config_keys"""
# Each protocol, kind of destination or extension point implements the same thing.
OF_EVERY_KIND = """base kind destination drop staging publishing renaming targets preflight modes faults inbox problems
    dicom dicomweb sftp local commitment"""
# One thing as the command line, the API, pages or the window show it, and the room that does it.
SHOWN_AND_DONE = """accounts acknowledgments arrivals beat desktop drain events fetch folder_tables getresults health
    holding install_service keeping mend mending moving notify notifying new_files panel payloads pending portal proof
    purge rebuild rebuilding receipts reidentify reidentifying reporting retry routes schema sender sent sentinel
    servers space start_queue states tokens troubles unattended upkeep uploads users verdicts verify verifying
    watcher"""
# The same thing for each of two programs, or a folder and its main module.
OF_EACH_PROGRAM = "bags engine ledger limits manage mistakes settings steering"
# Names that settings or extensions of users refer to; the other holder means the same word.
REFERRED_TO = "context errors"

SAME_IN_EACH = frozenset(
    " ".join((OF_EVERY_APP, OF_EVERY_KIND, SHOWN_AND_DONE, OF_EACH_PROGRAM, REFERRED_TO)).split()
)


def _names() -> Counter[str]:
    found = (path.relative_to(HOUSE) for path in HOUSE.rglob("*.py") if "migrations" not in path.parts)
    return Counter(path.parent.name if path.name == "__init__.py" else path.stem for path in found)


def test_a_name_stands_once_unless_it_is_the_same_thing_in_each_room() -> None:
    twice = sorted(name for name, count in _names().items() if count > 1 and name not in SAME_IN_EACH)

    assert not twice, (
        f"Modules of one name in different rooms: {', '.join(twice)}. A search for the name finds the wrong one."
        " Name each for what it holds; only if it is the same thing in each, add the name above."
    )


def test_the_list_has_no_name_that_stands_once() -> None:
    once = sorted(name for name in SAME_IN_EACH if _names()[name] < 2)

    assert not once, f"Take out of the list above: {', '.join(once)}"
