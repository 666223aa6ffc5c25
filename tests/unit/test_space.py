"""What `space` of config.yaml means, how fast a space fills, and who sees it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dropslot.arrivals.space import lateness
from dropslot.arrivals.space.space_trees import tree_of
from dropslot.arrivals.space.spaces import Space
from dropslot.arrivals.space.trends import rate
from dropslot.arrivals.space.waiting_for_room import Waits
from dropslot.config import Config, from_mapping
from dropslot.core.settings.config_errors import ConfigError

GB = 10**9
START = datetime(2026, 11, 1, tzinfo=UTC)


def config(base: Path, space: dict[str, Any], to: str = "./studies/{study}/raw/{sent}") -> Config:
    route = {
        "folders": "./study",
        "name": "(?P<study>[^-]+)-(?P<sent>.+)",
        "deliver": [{"to": to, "space": space}],
    }
    return from_mapping({"data": "./var", "routes": {"study": route}}, base)


@pytest.mark.parametrize(
    ("to", "of", "target", "tree", "values"),
    [
        (
            "./studies/{study}/raw/{sent}",
            "./studies/{study}",
            "studies/heart/raw/v1",
            "studies/heart",
            {"study": "heart"},
        ),
        ("./studies/{study}/raw/{sent}", None, "studies/heart/raw/v1", "studies", {}),
        ("./s{{1}}/{study}/{sent}", "./s{{1}}/{study}/", "s{1}/heart/v1", "s{1}/heart", {"study": "heart"}),
        (
            "sftp://edc@edc.lab/~/x/{study}/{sent}",
            "sftp://edc@edc.lab/~/x/{study}",
            "sftp://edc@edc.lab/~/x/a/b",
            "sftp://edc@edc.lab/~/x/a",
            {"study": "a"},
        ),
        (
            "s3://bucket/{study}/{sent}",
            "s3://bucket/{study}",
            "s3://bucket/a/b",
            "s3://bucket/a",
            {"study": "a"},
        ),
    ],
)
def test_a_target_lies_in_the_tree_that_space_names(
    tmp_path: Path, to: str, of: str | None, target: str, tree: str, values: dict[str, str]
) -> None:
    [route] = config(tmp_path, {"of": of} if of else {}, to).routes.values()
    here = "" if "://" in target else f"{tmp_path}/"
    found = tree_of(route, route.deliver[0], here + target)
    assert (found.url, found.values) == (here + tree, values)


@pytest.mark.parametrize(
    ("space", "key", "words"),
    [
        ({"of": "./elsewhere/{study}"}, "space.of", "expected the beginning of `to`"),
        ({"of": "./studies/{study}/ra"}, "space.of", "up to a whole folder"),
        ({"of": "."}, "space.of", "at least up to its first field"),
        ({"quota": {"heart": "2TB"}}, "space.quota", "expected one size"),
        ({"of": "./studies/{study}", "quota": {"heart": "much"}}, "space.quota", "expected a size"),
        ({"full": "120%"}, "space.full", "up to 100"),
    ],
)
def test_a_mistake_in_space_names_its_key(
    tmp_path: Path, space: dict[str, Any], key: str, words: str
) -> None:
    with pytest.raises(ConfigError) as mistake:
        config(tmp_path, space)
    assert f"deliver[0].{key}" in str(mistake.value) and words in str(mistake.value)


def test_a_quota_may_differ_by_study(tmp_path: Path) -> None:
    quotas = {"heart": "2TB", "*": "500GB"}
    [route] = config(tmp_path, {"of": "./studies/{study}", "quota": quotas}).routes.values()
    found = [
        tree_of(route, route.deliver[0], f"{tmp_path}/studies/{one}/raw/x").quota
        for one in ("heart", "brain")
    ]
    assert found == [2000 * GB, 500 * GB]


def grown(*held: int) -> list[tuple[datetime, int]]:
    return [(START + timedelta(days=day), used * GB) for day, used in enumerate(held)]


@pytest.mark.parametrize(
    ("samples", "daily"),
    [
        ([], None),
        (grown(10), None),
        (grown(10, 20, 30, 40), 10),
        (grown(500, 600, 700, 10, 20, 30), 10),  # somebody removed something: what was before says nothing
        (grown(40, 40, 40), 0),
        ([(START, 0), (START + timedelta(hours=6), 10 * GB)], None),  # half a morning says little
    ],
)
def test_a_trend_is_that_since_something_was_last_removed(
    samples: list[tuple[datetime, int]], daily: int | None
) -> None:
    assert rate(samples) == (None if daily is None else daily * GB)


def space(used: int, free: int | None, **more: Any) -> Space:
    path, limits = "/s/heart", {"used_files": 0, "free_files": None, "warn_at": 90.0, "full_at": 100.0}
    known: dict[str, Any] = {"what": "its quota", "folders": (path,), "routes": ("study",), "is_local": True}
    known |= {"values": {"study": "heart"}, "used_bytes": used, "free_bytes": free} | limits | more
    return Space("folder", path, path, "study heart", **known)


@pytest.mark.parametrize(
    ("one", "told"),
    [
        (space(80 * GB, 20 * GB), []),
        (space(80 * GB, None), []),
        (
            space(1880 * GB, 120 * GB, daily_bytes=10 * GB),
            ["it is 94 % full (warn: 90 %): 1.9 TB of 2.0 TB used, full in about 12 days"],
        ),
        (space(88 * GB, 12 * GB), []),
        (space(88 * GB, 12 * GB, was_filling=True), ["it is 88 % full (warn: 90 %): 88 GB of 100 GB used"]),
        (
            space(95 * GB, 5 * GB, full_at=95.0),
            [
                "it is 95 % full (warn: 90 %): 95 GB of 100 GB used",
                "it is out of space: 95 GB of 100 GB used",
            ],
        ),
        (
            space(50 * GB, 50 * GB, waits=Waits(1, 60 * GB)),
            ["it is out of space: 1 arrival of 60 GB waits for room, and 50 GB are free"],
        ),
        (
            space(GB, GB, used_files=98, free_files=2),
            ["it is 98 % full (warn: 90 %): 98 of 100 files"],
        ),
    ],
)
def test_what_is_said_of_a_space(one: Space, told: list[str]) -> None:
    found = list(lateness.late([one]))
    assert [late.what for late in found] == told
    assert all((late.route, late.study, late.kind) == ("study", "heart", "space") for late in found)
    assert len({late.key for late in found}) == len(found)
