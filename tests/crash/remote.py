"""Arrivals that go to a real server, which delivers into the very folders that the other scenarios have."""

from __future__ import annotations

from typing import Any

from laboratory import DRAIN, Laboratory
from product import STUDY
from scenarios import PARTS, Scenario, by_first_word

NEW = {"scan.nii.gz": b"voxels", "up/notes.txt": b"notes", "zero": b"", "empty/": b""}
KNOWN = {"scan.nii.gz": b"voxels", "report.pdf": b"%PDF-1.7"}
CHANGED = {"scan.nii.gz": b"other voxels", "report.pdf": b"%PDF-1.7", "new.txt": b"new"}


def to_server(laboratory: Laboratory, inner: str) -> dict[str, Any]:
    """One entry of `deliver`, to the server."""
    assert laboratory.sshd
    return {
        "to": laboratory.sshd.url(laboratory.product.studies) + inner,
        "key": str(laboratory.sshd.key),
        "known_hosts": str(laboratory.sshd.known_hosts),
        "create_folders": True,
    }


def _new_target(laboratory: Laboratory) -> None:
    to = to_server(laboratory, "/{study}/raw") | {"file_mode": 640, "folder_mode": 2750}
    route = STUDY | {"name": r"(?P<study>\w+)-\w+", "deliver": [to]}
    laboratory.product.configure({"study": route}).drop("alpha-1", NEW)


def _taken_names(laboratory: Laboratory) -> None:
    product = laboratory.product.configure({"study": STUDY | {"deliver": [to_server(laboratory, "")]}})
    product.drop("session", KNOWN)
    assert laboratory.do(DRAIN)[0].status == 0
    product.drop("session", CHANGED)


def _two_kinds(laboratory: Laboratory) -> None:
    product = laboratory.product
    (product.studies / "here").mkdir()
    (product.studies / "there").mkdir()
    deliver = [{"to": "./studies/here"}, to_server(laboratory, "/there") | {"manifest": "beside"}]
    product.configure({"study": STUDY | {"deliver": deliver}}).drop("session", KNOWN)


def _parted(laboratory: Laboratory) -> None:
    by_first_word(laboratory, to_server(laboratory, "/{word}"))


AT_ONCE = {"dropslot.sftp.transfers.many_files:DELAYS_SECONDS": [0.01] * 3}  # after a cut

REMOTE = {
    scenario.name: scenario
    for scenario in (
        Scenario("server-new-target", _new_target, [b"voxels", b"notes", b""], settings=AT_ONCE),
        Scenario("server-taken-names", _taken_names, [*KNOWN.values(), *CHANGED.values()], settings=AT_ONCE),
        Scenario("server-and-folder", _two_kinds, list(KNOWN.values()), settings=AT_ONCE),
        Scenario("server-parted", _parted, [data for data in PARTS.values() if data], settings=AT_ONCE),
    )
}
