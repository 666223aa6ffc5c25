"""`fixity`, and what `done` says about time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from configurations import BASE, problems, problems_of_route, route
from dropslot.config import Config, Route, from_mapping
from dropslot.config.schema import json_schema
from dropslot.keeping.section import fixity_of, keeps_for


def made(done: Any = None, /, **more: Any) -> Config:
    own = route() if done is None else route(done=done)
    return from_mapping({"routes": {"study": own}, **more}, BASE)


@pytest.mark.parametrize(
    ("top", "done", "folder", "days"),
    [
        (None, None, "/srv/lab/study/done", None),
        (None, "keep 90d", "/srv/lab/study/done", 90),
        (None, "./archive", "/srv/lab/archive", None),
        (None, "./keep 90d", "/srv/lab/keep 90d", None),
        (None, {"folder": "./archive", "keep": "30d"}, "/srv/lab/archive", 30),
        (None, {"keep": "30d"}, "/srv/lab/study/done", 30),
        ("keep 90d", None, "/srv/lab/study/done", 90),
        ("keep 90d", "keep 10d", "/srv/lab/study/done", 10),
        ("keep 90d", "keep forever", "/srv/lab/study/done", None),
        ("keep 90d", {"folder": "./archive"}, "/srv/lab/archive", 90),
    ],
)
def test_done_says_where_and_how_long(top: Any, done: Any, folder: str, days: int | None) -> None:
    config = made(done, **({} if top is None else {"done": top}))
    study = config.routes["study"]
    assert study.done == folder
    assert keeps_for(config, study) == (None if days is None else timedelta(days=days))


@pytest.mark.parametrize("done", ["keep 90x", "keep 0", {"keep": "soon"}, {"for": "90d"}, {}, ["keep 90d"]])
def test_what_done_cannot_say_is_told(done: Any) -> None:
    (problem,) = problems_of_route(done=done)
    assert problem.key == "routes.study.done"


@pytest.mark.parametrize("top", ["./archive", "keep", "keep 0s", 0])
def test_what_the_whole_file_cannot_say_is_told(top: Any) -> None:
    (problem,) = problems({"routes": {"study": route()}, "done": top})
    assert problem.key == "done" and "keep 90d" in problem.expected


def test_fixity_is_a_time_or_has_a_rate() -> None:
    short, long = made(fixity="30d"), made(fixity={"every": "30d", "rate": "50MB/s", "mend": True})
    assert fixity_of(made()) is None
    plain, whole = fixity_of(short), fixity_of(long)
    assert plain and whole and plain.every == whole.every == timedelta(days=30)
    assert (
        plain.rate is None
        and not plain.mend
        and whole.mend
        and whole.rate
        and whole.rate.always == 50_000_000
    )


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ("30x", "fixity.every"),
        ("5s", "fixity.every"),
        ({"every": "1d", "speed": 1}, "fixity.speed"),
        ({}, "fixity.every"),
    ],
)
def test_a_mistake_in_fixity_is_told_with_its_place(value: Any, key: str) -> None:
    (problem,) = problems({"routes": {"study": route()}, "fixity": value})
    assert problem.key == key


def test_a_route_in_python_says_the_same_and_the_schema_has_no_key_of_its_own() -> None:
    made = Route.model_validate(
        {"key": "study", "folders": "./study", "deliver": [{"to": "."}], "done": "keep 1d"}
    )
    assert made.done == "./study/done"
    assert not [
        key
        for key in json_schema()["$defs"]["Route"]["properties"]
        if "keep_" in key and key != "keep_receipts"
    ]
