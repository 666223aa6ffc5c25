"""What to do about each kind of refusal by the system."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from dropslot.config.mistakes.remedies import remedy_for


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EROFS, "mounted read-only"),
        (errno.ENOSPC, "free space"),
        (errno.EDQUOT, "quota"),
        (errno.EIO, "dmesg"),
        (errno.EUCLEAN, "dmesg"),
        (errno.ESTALE, "mount it again"),
        (errno.ENOTCONN, "mount it again"),
        (errno.EMFILE, "LimitNOFILE"),
    ],
)
def test_each_kind_has_its_own_remedy(tmp_path: Path, number: int, words: str) -> None:
    found = remedy_for(OSError(number, os.strerror(number)), tmp_path)
    assert words in found
    assert "run it as" not in found


def test_the_first_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    found = remedy_for(OSError(errno.ENOENT, ""), tmp_path / "a/b/c")
    assert found.startswith(f"{tmp_path / 'a'} is missing")


def test_unknown_kinds_have_none(tmp_path: Path) -> None:
    assert remedy_for(OSError(errno.EINVAL, ""), tmp_path) == ""
