"""What refuses an arrival is still there after it was sealed, so that a crash or a retry forgets nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from dropslot.arrivals.intake import seal
from dropslot.core.file_names import litter
from dropslot.files.walk import list_arrival
from people import Person


def _with_mode(mode: int) -> Callable[[Path], None]:
    return lambda path: path.chmod(mode)


def _of_another(path: Path) -> None:
    os.chown(path, 12345, -1)


def _linked_twice(path: Path) -> None:
    os.link(path, path.with_name("second"))


EVIDENCE = {
    "setuid": _with_mode(0o4755),
    "setgid": _with_mode(0o2755),
    "both, closed": _with_mode(0o6000),
    "another's": _of_another,
    "linked twice": _linked_twice,
}


@pytest.mark.parametrize("what", EVIDENCE)
@pytest.mark.parametrize("inside", [True, False], ids=["in a folder", "by itself"])
def test_what_refuses_an_arrival_is_found_again_however_often_it_is_sealed(
    open_folder: Path, other_user: Person, what: str, inside: bool
) -> None:
    top = open_folder / "held/drop"
    top.parent.mkdir()
    tool = top / "sub/tool" if inside else top
    tool.parent.mkdir(parents=True, exist_ok=True)
    tool.write_bytes(b"x")
    for path in (tool, *(p for p in tool.parents if p.is_relative_to(top))):
        other_user.owns(path)
    EVIDENCE[what](tool)

    def faults() -> list[str]:
        found = seal.seal_arrival(top, other_user.uid, litter.NONE)
        return list(dict.fromkeys([*found, *list_arrival(top).faults]))

    first = faults()
    assert len(first) >= 1
    assert faults() == faults() == first
    if inside:
        assert top.stat().st_uid == os.geteuid() and top.stat().st_mode & 0o777 == 0o700


def test_what_is_well_is_sealed_beside_it(open_folder: Path, other_user: Person) -> None:
    top = open_folder / "drop"
    top.mkdir()
    for name, mode in (("good", 0o666), ("tool", 0o4755), ("sticky", 0o1644)):
        (top / name).write_bytes(b"x")
        other_user.owns(top / name)
        (top / name).chmod(mode)
    other_user.owns(top)
    seal.seal_arrival(top, other_user.uid, litter.NONE)
    assert {path.name: (path.stat().st_uid, path.stat().st_mode & 0o7777) for path in top.iterdir()} == {
        "good": (0, 0o600),
        "sticky": (0, 0o600),
        "tool": (other_user.uid, 0o4755),
    }
