"""Names: shown safely, refused with a reason, and versioned without collisions."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropslot.core.names import appended, escape, fault_of_name, size_bytes, versioned

on_disk = st.binary(min_size=1, max_size=255).map(os.fsdecode)
names = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1).filter(
    lambda name: size_bytes(name) <= 255
)


@pytest.mark.parametrize(
    ("name", "second"),
    [
        ("scan.nii.gz", "scan.v2.nii.gz"),
        ("backup.tar.xz", "backup.v2.tar.xz"),
        ("SCAN.NII.GZ", "SCAN.v2.NII.GZ"),
        ("scan.dcm", "scan.v2.dcm"),
        ("1.2.840.10008", "1.2.840.10008.v2"),
        ("README", "README.v2"),
        (".profile", ".profile.v2"),
        ("odd.", "odd..v2"),
        ("p.v2.dcm", "p.v2.v2.dcm"),
        ("Größe.pdf", "Größe.v2.pdf"),
    ],
)
def test_version_stands_before_the_extension(name: str, second: str) -> None:
    assert versioned(name, 2) == second
    assert versioned(name, 1) == name


@given(names, st.integers(2, 10**6), st.integers(2, 10**6), st.integers(40, 255))
def test_versions_of_one_name_never_collide_and_fit(name: str, one: int, other: int, limit: int) -> None:
    first, second = versioned(name, one, limit), versioned(name, other, limit)
    assert (first == second) == (one == other)
    assert name not in (first, second)
    assert size_bytes(first) <= limit
    assert "/" not in first


@given(st.text("aä𝄞.", min_size=200, max_size=255), st.integers(2, 12))
def test_long_names_are_cut_on_character_borders(name: str, version: int) -> None:
    assert len(versioned(name, version, 255).encode()) <= 255


def test_a_full_length_name_that_looks_like_its_own_version_still_gets_another() -> None:
    name = "x" * 248 + ".v2.dcm"
    assert versioned(name, 2) != name
    assert len(versioned(name, 2)) <= 255


@given(names)
def test_appended_keeps_the_suffix(name: str) -> None:
    assert appended(name, ".sha256").endswith(".sha256")
    assert size_bytes(appended(name, ".sha256")) <= 255


@given(on_disk)
def test_escaped_names_are_printable_and_tell_names_apart(name: str) -> None:
    shown = escape(name)
    assert shown.isprintable()
    assert not any("\u202a" <= c <= "\u202e" for c in shown)
    if "\\" not in name and name.isprintable():
        assert shown == name


@given(st.lists(on_disk, min_size=2, max_size=2, unique=True))
def test_two_names_never_look_the_same(pair: list[str]) -> None:
    assert escape(pair[0]) != escape(pair[1])


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a\nb", "a\\x0ab"),
        ("\x1b[31m", "\\x1b[31m"),
        ("a\\b", "a\\x5cb"),
        ("\udc85", "\\x85"),
        ("\x85", "\\u0085"),
        ("a\u202eb", "a\\u202eb"),
        ("\U000e0001", "\\U000e0001"),
    ],
)
def test_escape(name: str, shown: str) -> None:
    assert escape(name) == shown


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "a/b",
        "a\x00b",
        "a\nb",
        "a\x1b",
        "a\x7f",
        "a\x9b",
        "a\u2028",
        "a\u2029",
        "a\u202e",
        "a\u2066",
        "a\u200f",
        "a\u061c",
        "a\udcff",
        "x" * 256,
        "ä" * 128,
        ".dropslot",
        ".DropSlot",
    ],
)
def test_unsafe_names_have_a_fault(name: str) -> None:
    reason = fault_of_name(name)
    assert reason is not None
    assert reason.isprintable()


@pytest.mark.parametrize(
    "name", ["a", "..a", "CON", " x ", ".hidden", "x" * 255, "é", "日本", "a\\b", "-", "~", ".dropslot2"]
)
def test_ordinary_names_have_none(name: str) -> None:
    assert fault_of_name(name) is None


@given(on_disk)
def test_whatever_passes_is_one_safe_part(name: str) -> None:
    if fault_of_name(name) is None:
        assert "/" not in name
        assert name not in (".", "..")
        name.encode()
        assert not any(ord(c) < 32 for c in name)
