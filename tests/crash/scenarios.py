"""What is interrupted: arrivals in all the ways they come, what came before each, and how it is taken up again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import records
from dicom.images import image, series
from laboratory import DRAIN, Command, Laboratory
from product import STUDY

VERIFY: Command = ("verify",)
PURGE: Command = ("purge", "--older-than", "0s", "--yes")
PURGE_FAILED: Command = ("purge", "--failed", "--older-than", "0s", "--yes")
RETRY_NAMED: list[Command] = [("retry", "0", "--name", "alpha-1"), DRAIN]
LATE = [DRAIN, VERIFY]  # which tells of the alarm
RETRY: list[Command] = [("retry", "0"), DRAIN]  # a unique start of an id will do
FOLDER = {
    "scan.nii.gz": b"voxels",
    "up/down/notes.txt": b"notes",
    "up/more": b"more",
    "empty/": b"",
    "zero": b"",
}
FIELD: dict[str, Any] = {
    **STUDY,
    "name": r"(?P<study>\w+)-(?P<sent>\w+)",
    "deliver": [{"to": "./studies/{study}/raw", "file_mode": 640, "folder_mode": 2750}],
}
_RESULTS = 2
PICKY: dict[str, Any] = {**STUDY, "select": {"patterns": ["*.txt"]}}


@dataclass(frozen=True)
class Scenario:
    """`before` makes the state in which `commands` begin; `again` is what is run after a crash, `drain` if nothing
    else. `dropped` are the bytes that must never be lost. Where several processes share work in an order that nobody
    knows, steps are counted over all of them (`shared`). `until`: its own steps are those from the worker's lock to the
    first one about this; all others are steps of other scenarios."""

    name: str
    before: Callable[[Laboratory], None]
    dropped: list[bytes]
    commands: list[Command] = field(default_factory=lambda: [DRAIN])
    again: list[Command] = field(default_factory=lambda: [DRAIN])
    settings: Mapping[str, Any] = field(default_factory=dict)
    shared: bool = False
    until: str = ""


def _contents(*trees: Mapping[str, bytes]) -> list[bytes]:
    return [data for content in trees for name, data in content.items() if not name.endswith("/")]


def _first(laboratory: Laboratory) -> None:
    laboratory.product.configure({"study": FIELD}).drop("alpha-1", FOLDER)


def _existing(laboratory: Laboratory) -> None:
    product = laboratory.product
    (product.studies / "up").mkdir()
    (product.studies / "up" / "more").write_bytes(b"from before dropslot")
    (product.studies / "zero").write_bytes(b"")
    product.drop("session", FOLDER)


def _file(laboratory: Laboratory) -> None:
    laboratory.product.drop("report.pdf", b"%PDF-1.7")


def _version(laboratory: Laboratory) -> None:
    laboratory.product.drop("session", FOLDER)
    assert laboratory.do(DRAIN)[0].status == 0
    laboratory.product.drop("session", FOLDER | {"scan.nii.gz": b"other voxels", "up/new": b"new"})


def _rerun(laboratory: Laboratory) -> None:
    laboratory.product.drop("session", FOLDER)
    assert laboratory.do(DRAIN)[0].status == 0
    os.rename(laboratory.product.folder("done") / "session", laboratory.product.folder("inbox") / "session")


def _refused(laboratory: Laboratory) -> None:
    laboratory.product.configure({"study": PICKY}).drop("mixed", FOLDER)


def _failed(laboratory: Laboratory) -> None:
    _refused(laboratory)
    assert laboratory.do(DRAIN)[0].status == 1
    laboratory.product.configure()


def _failed_again(laboratory: Laboratory) -> None:
    _refused(laboratory)
    assert laboratory.do(DRAIN)[0].status == 1


def _misnamed(laboratory: Laboratory) -> None:
    """A person has even renamed it inside failed, to what is no name for it either."""
    laboratory.product.configure({"study": FIELD}).drop("alpha", FOLDER)
    assert laboratory.do(DRAIN)[0].status == 1
    (folder,) = laboratory.product.folder("failed").iterdir()
    (folder / "alpha").rename(folder / "alpha one")


def _sent_again(laboratory: Laboratory) -> None:
    """Refused for its name, and sent again under the right one."""
    laboratory.product.configure({"study": FIELD}).drop("alpha", FOLDER)
    assert laboratory.do(DRAIN)[0].status == 1
    laboratory.product.drop("alpha-1", FOLDER)
    assert laboratory.do(DRAIN)[0].status == 0


def _batch(laboratory: Laboratory) -> None:
    for number in range(_RESULTS):
        laboratory.product.drop(f"result{number}.txt", b"result %d" % number)
    laboratory.product.configure({"study": PICKY}).drop("wrong.exe", b"MZ")


def _two_places(laboratory: Laboratory) -> None:
    (laboratory.product.studies / "one").mkdir()
    (laboratory.product.studies / "two").mkdir()
    deliver = [{"to": "./studies/one"}, {"to": "./studies/two", "manifest": "beside"}]
    laboratory.product.configure({"study": STUDY | {"deliver": deliver}}).drop("session", FOLDER)


def _sent_whole(laboratory: Laboratory) -> None:
    """To a kind of destination of the operator's own, beside a folder: new content under a known name."""
    root = laboratory.product.root
    for folder in ("plugins", "aside", "studies/here"):
        (root / folder).mkdir()
    shutil.copy(Path(__file__).parent / "shelf.py", root / "plugins")
    deliver = [{"to": "./studies/here"}, {"to": "shelf://lab/there", "options": str(root)}]
    product = laboratory.product.configure(
        {"study": STUDY | {"deliver": deliver}}, destinations={"shelf": "shelf.ShelfKind"}
    )
    product.drop("session", {"scan.nii.gz": b"voxels", "up/more": b"more"})
    assert laboratory.do(DRAIN)[0].status == 0
    product.drop("session", _NEWER)


FIRST_WORD = """
from dropslot.fields.base import ItemField

class FirstWord(ItemField):
    gives = frozenset({"word"})

    def values(self, item, known):
        with item.open() as stream:
            return {"word": stream.read().split()[0].decode()}
"""
PARTS = {
    "a.txt": b"one voxels",
    "up/b.txt": b"two notes",
    "up/c": b"three more",
    "up/d": b"one more",
    "empty/": b"",
}


def by_first_word(laboratory: Laboratory, to: dict[str, Any]) -> None:
    """Each item goes where its first word says: to folders that are new, and to one that holds a file already."""
    product = laboratory.product
    (product.root / "plugins").mkdir(exist_ok=True)
    (product.root / "plugins" / "words.py").write_text(FIRST_WORD)
    (product.studies / "two" / "up").mkdir(parents=True)
    (product.studies / "two" / "up" / "b.txt").write_bytes(b"from before dropslot")
    route = STUDY | {"fields": [{"words.FirstWord": None}], "deliver": [to]}
    product.configure({"study": route}).drop("session", PARTS)


def _parted(laboratory: Laboratory) -> None:
    by_first_word(laboratory, {"to": "./studies/{word}"})


_IMAGES = series(2)
_MORE_IMAGES = {
    "1.dcm": image(1, SeriesDescription="corrected"),
    "3.dcm": image(3),
    "up/other.dcm": image(1, PatientID="P-18", StudyInstanceUID="1.2", SeriesInstanceUID="1.2.3"),
    "up/notes.txt": b"what is not an image",
}


def _images(laboratory: Laboratory) -> None:
    """Each image goes where its tags say; in the second arrival one image has other bytes, and one file is none."""
    to = {"to": "./studies/{PatientID}/{SeriesInstanceUID}"}
    product = laboratory.product.configure({"study": STUDY | {"import": "dicom", "deliver": [to]}})
    product.drop("visit", _IMAGES)
    assert laboratory.do(DRAIN)[0].status == 0
    product.drop("visit", _MORE_IMAGES)


def _in_place(laboratory: Laboratory) -> None:
    laboratory.product.configure({"study": STUDY | {"leave_source": True}}).drop("series", FOLDER)


def _in_place_refused(laboratory: Laboratory) -> None:
    laboratory.product.configure({"study": PICKY | {"leave_source": True}}).drop("series", FOLDER)


def _purge(laboratory: Laboratory) -> None:
    _version(laboratory)
    laboratory.product.drop("report.pdf", b"%PDF-1.7")
    laboratory.product.drop("mac", {"scan": b"mac", ".DS_Store": _LITTER})
    assert laboratory.do(DRAIN)[0].status == 0


def _interrupted(laboratory: Laboratory) -> None:
    """Killed between two names of the publication: its recovery is killed everywhere, too."""
    _version(laboratory)
    trial = laboratory.folder / "before-the-kill"
    assert not trial.exists()
    laboratory.save(trial.name)
    steps = laboratory.step([DRAIN]).steps
    names = [step.point for step in steps if step.call == "renameat2" and "scan.v2.nii.gz" in step.about]
    laboratory.restore(trial.name)
    assert laboratory.step([DRAIN], at=names[0]).stopped
    laboratory.kill()


HALF, WHOLE = b"%PDF-1.7 half", b"%PDF-1.7 half, and the other half"
_SENDER = 54321
# The kernel refuses what asks for a lease, as a file system without leases does.
_UNLEASED = {"dropslot.files.copying:_SETSIG": -1}


def _written_on(laboratory: Laboratory) -> None:
    """Its program stalled, and wrote the other half after the delivery; the time has come to look."""
    dropped = laboratory.product.configure({"study": STUDY | {"settle": "0s"}}).drop("report.pdf", HALF)
    if os.geteuid() == 0:
        os.chown(dropped, _SENDER, -1)
    with dropped.open("r+b") as writer:
        assert laboratory.do(DRAIN)[0].status == 0
        writer.write(WHOLE)
    records.looks_are_due(laboratory)


MANY = {f"series{number % 3}/{number:03}.dcm": b"image %03d" % number for number in range(12)}
# At these thresholds storage shares a dozen small items with a forked helper.
_SHARING = {
    "dropslot.files.sharing:FORK_COST_BYTES": 1,
    "dropslot.files.sharing:CHUNK_COST_BYTES": 64 * 1024,
    "dropslot.files.sharing:_cpus()": 2,
}


def _many(laboratory: Laboratory) -> None:
    laboratory.product.drop("series", MANY)


_NEWER = {"scan.nii.gz": b"other voxels", "up/new": b"new"}
_LITTER = b"Finder, and nobody else has it"
SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("first", _first, _contents(FOLDER)),
        Scenario("existing-target", _existing, _contents(FOLDER)),
        Scenario("single-file", _file, [b"%PDF-1.7"]),
        Scenario("new-version", _version, _contents(FOLDER, _NEWER)),
        Scenario("unchanged", _rerun, _contents(FOLDER)),
        Scenario("refused", _refused, _contents(FOLDER)),
        Scenario("retry", _failed, _contents(FOLDER), RETRY, RETRY),
        Scenario("retry-refused", _failed_again, _contents(FOLDER), RETRY, RETRY),
        Scenario("retry-named", _misnamed, _contents(FOLDER), RETRY_NAMED, RETRY_NAMED),
        Scenario("purge-failed", _sent_again, _contents(FOLDER), [PURGE_FAILED], [PURGE_FAILED]),
        Scenario("batch", _batch, [*(b"result %d" % n for n in range(_RESULTS)), b"MZ"]),
        Scenario("two-destinations", _two_places, _contents(FOLDER)),
        Scenario("sent-whole", _sent_whole, [b"voxels", b"more", *_contents(_NEWER)]),
        Scenario("parted", _parted, _contents(PARTS)),
        Scenario("images", _images, _contents(_IMAGES, _MORE_IMAGES)),
        Scenario("leave-source", _in_place, _contents(FOLDER)),
        Scenario("leave-source-refused", _in_place_refused, _contents(FOLDER)),
        Scenario("purge", _purge, [*_contents(FOLDER, _NEWER), _LITTER], [PURGE], [PURGE]),
        Scenario("recovery", _interrupted, _contents(FOLDER, _NEWER)),
        Scenario("late-write", _written_on, [HALF, WHOLE], LATE, LATE, _UNLEASED, until="stage"),
        Scenario("shared-copy", _many, _contents(MANY), settings=_SHARING, shared=True),
    )
}
