"""The systemd unit of an installation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dropslot.cli.installing.service_unit import unit
from dropslot.config.load_config import from_mapping
from dropslot.core.errors import DropslotError


def lines(base: str = "/srv/lab", **route: Any) -> list[str]:
    rules = {"folders": "./study", "deliver": [{"to": "/srv/studies/{date:%Y}"}]} | route
    config = from_mapping({"data": "./var", "routes": {"study": rules}}, Path(base))
    return unit(config, Path(base, "config.yaml"), "drop", "drops", "dropslot").splitlines()


def values(key: str, found: list[str]) -> list[str]:
    return [line.partition("=")[2] for line in found if line.startswith(f"{key}=")]


def test_a_unit_names_account_program_and_every_folder_that_is_written_to() -> None:
    found = lines()
    assert values("User", found) == ["drop"] and values("Group", found) == ["drops"]
    assert values("ExecStart", found)[0].endswith(" run -c /srv/lab/config.yaml")
    written = ["/srv/lab/study", "/srv/lab/var", "/srv/studies"]
    assert values("ReadWritePaths", found) == written
    assert values("RequiresMountsFor", found) == [" ".join(written)]


def test_folders_set_one_by_one_get_the_folder_above_them_all() -> None:
    """A rename from one path of ReadWritePaths into another fails."""
    found = lines(inbox="/data/in/box", processing="/data/work", done="/data/done", failed="/data/failed")
    assert "/data" in values("ReadWritePaths", found)
    with pytest.raises(DropslotError, match="only / in common"):
        lines(inbox="/data")


def test_names_with_blanks_and_specifiers_are_quoted_as_systemd_reads_them() -> None:
    found = lines("/srv/100% of it")
    assert '"/srv/100%% of it/study"' in values("ReadWritePaths", found)


def test_homes_are_seen_only_where_the_installation_lies_in_one() -> None:
    assert values("ProtectHome", lines("/home/lab")) == ["read-only"]
