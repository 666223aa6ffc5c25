"""The order of drops: what an id carries, and what may be waited for."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropslot.arrivals.delivery import order
from dropslot.arrivals.intake.claim import dropped_at, id_of_drop, time_of_drop
from dropslot.config import from_mapping
from dropslot.watching.completion import Completion
from product import write_tree
from watched import folder_set

NOW_NS = time.time_ns()
times = st.integers(1, NOW_NS)


@given(times)
def test_id_carries_the_time_of_the_drop(ctime_ns: int) -> None:
    expected = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=ctime_ns // 1000)
    assert dropped_at(id_of_drop(ctime_ns)) == expected == time_of_drop(ctime_ns)


@given(times, times)
def test_ids_sort_by_the_drop_to_the_nanosecond(one: int, other: int) -> None:
    if one != other:
        assert (id_of_drop(one) < id_of_drop(other)) == (one < other)


@pytest.mark.parametrize("ctime_ns", [0, -1, 2**62, 2**63, 2**90])
def test_time_that_cannot_be_is_taken_for_now(ctime_ns: int) -> None:
    found = dropped_at(id_of_drop(ctime_ns))
    assert abs(found - datetime.now(UTC)) < timedelta(hours=1)


def test_two_ids_of_one_drop_differ() -> None:
    assert len({id_of_drop(NOW_NS) for _ in range(1000)}) == 1000


@pytest.mark.parametrize(
    ("to", "fields", "url", "may"),
    [
        ("/a", {}, "/a", True),
        ("/a", {}, "/b", False),
        ("/a/{study}", {"study": "heart"}, "/a/heart", True),
        ("/a/{study}", {"study": "lung"}, "/a/heart", False),
        ("/a/{folder}", {"study": "lung"}, "/a/heart", True),  # looked up later: it may be this one
        ("/a/{date:%Y}/{study}", {"study": "heart"}, "/a/2026/heart", True),
        ("sftp://edc@h/~/{study}", {"study": "heart"}, "sftp://edc@h/~/heart", True),
        # More than one way to part the same path
        ("/a/{study}-{folder}", {"study": "h", "folder": "p-1"}, "/a/h-p-1", True),
        ("/a/{study}-{folder}", {"study": "h-p", "folder": "1"}, "/a/h-p-1", True),
        ("/a/{study}-{folder}", {"study": "h"}, "/a/h-p-1", True),
        ("/a/{study}-{folder}", {"folder": "p-1"}, "/a/h-p-1", True),
        ("/a/{study}-{folder}", {"study": "p"}, "/a/h-p-1", False),
        ("/a/{date:%Y}{study}", {"study": "26"}, "/a/2026", True),
        ("/a/{study}", {"study": "heart"}, "/a/heart/b", False),
    ],
)
def test_places_that_an_arrival_may_reach(
    tmp_path: Path, to: str, fields: dict[str, str], url: str, may: bool
) -> None:
    route = {"folders": "./r", "name": "(?P<study>.*)(?P<folder>.*)", "deliver": [{"to": to}]}
    config = from_mapping({"routes": {"r": route}}, tmp_path)
    assert list(order.reached(config.routes["r"].deliver, fields, {url, "/other"})) == ([url] if may else [])


def test_a_name_that_can_be_parted_in_very_many_ways_takes_no_time(tmp_path: Path) -> None:
    # Tried one way after the other, this takes hours.
    name = "".join(f"(?P<{field}>.*)" for field in "abcde")
    route = {"folders": "./r", "name": name, "deliver": [{"to": "/s/{a}-{b}-{c}-{d}-{e}x"}]}
    config = from_mapping({"routes": {"r": route}}, tmp_path)
    assert not list(order.reached(config.routes["r"].deliver, {}, {"/s/" + "-" * 250}))


paths = st.sampled_from(["a", "b", "c/a", "c/b", "c/d/e", "f"])


@given(st.sets(paths), st.sets(paths, min_size=1))
def test_names_in_common_are_found_whichever_has_more(
    tmp_path_factory: pytest.TempPathFactory, there: set[str], wanted: set[str]
) -> None:
    folder = write_tree(tmp_path_factory.mktemp("t") / "x", dict.fromkeys(there, b""))
    assert set(order.common(str(folder), wanted)) == there & wanted


def test_backlog_is_complete_in_the_order_of_its_drops(tmp_path: Path) -> None:
    folders = folder_set(tmp_path)
    names = [f"n{number * 7919 % 40:02}" for number in range(40)]
    for name in names:
        (folders.inbox / name).write_bytes(b"")
        (folders.inbox / name).chmod(0o600)
    completion = Completion(folders.route, folders.inbox, trust_names=True)
    completion.scanned(sorted(names), 0.0)
    judged = completion.complete(0.0)
    assert [one.name for one in judged] == sorted(names, key=lambda name: _dropped(folders.inbox / name))
    assert [one.ctime_ns for one in judged] == sorted(one.ctime_ns for one in judged)


def _dropped(path: Path) -> tuple[int, str]:
    return path.stat().st_ctime_ns, path.name
