"""Manifests are sha256sum's own format."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropslot.core import manifests

SUM = "0" * 64
paths = st.lists(st.binary(min_size=1, max_size=40).map(os.fsdecode), max_size=5)


@given(paths.map(lambda found: [path.replace("\0", "") or "x" for path in found]))
def test_round_trip_of_any_path(found: list[str]) -> None:
    lines = [(hashlib.sha256(p.encode("utf-8", "surrogateescape")).hexdigest(), p) for p in found]
    assert list(manifests.parse(manifests.write(lines))) == lines


@pytest.mark.parametrize(
    "text",
    [
        f"{SUM}  a",
        f"{SUM} a\n",
        f"{SUM[:-1]}  a\n",
        f"{SUM}  \n",
        "\n",
        f"\\{SUM}  a\\tb\n",
        f"\\{SUM}  a\n",
        f"{SUM}  a\n\n",
        f"x{SUM}  a\n",
        f"\\{SUM}  a\\\n",
    ],
)
def test_malformed_manifests_are_never_a_pass(text: str) -> None:
    with pytest.raises(ValueError, match="line"):
        list(manifests.parse(text))


def test_binary_mode_and_upper_case_are_read() -> None:
    assert list(manifests.parse(f"{'AB' * 32} *a b\n")) == [("ab" * 32, "a b")]


def test_sha256sum_checks_odd_names(tmp_path: Path) -> None:
    odd = [
        "plain",
        "two  blanks",
        "back\\slash",
        "new\nline",
        "car\rriage",
        "-",
        "--help",
        "日本",
        "*star",
        " lead",
    ]
    for name in odd:
        (tmp_path / name).write_text(name)
    text = manifests.write((hashlib.sha256(name.encode()).hexdigest(), name) for name in odd)
    (tmp_path / "sums").write_bytes(manifests.encode(text))
    done = subprocess.run(
        ["sha256sum", "-c", "--strict", "sums"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(": OK") == len(odd)
    ours = subprocess.run(["sha256sum", "--", *odd], cwd=tmp_path, capture_output=True).stdout
    assert [path for _, path in manifests.parse(os.fsdecode(ours))] == odd
