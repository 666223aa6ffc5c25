"""One disk has one percentage, and it is df's."""

from __future__ import annotations

import subprocess
from pathlib import Path

from dropslot.core.fullness import percent_full
from dropslot.files.folder_probe import percent_full as of_folder


def test_a_local_folder_is_as_full_as_df_says(tmp_path: Path) -> None:
    df = subprocess.run(["df", "--output=pcent", tmp_path], capture_output=True, text=True, check=True)
    assert (
        abs(of_folder(str(tmp_path)) - int(df.stdout.split()[-1].rstrip("%"))) <= 1
    )  # others write meanwhile


def test_roots_reserve_is_no_room() -> None:
    assert percent_full(total=100, free=15, usable=10) == 90  # 85 of 95, rounded up
    assert percent_full(0, 0, 0) == 0
    assert percent_full(100, 0, 0) == 100
