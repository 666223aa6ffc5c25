"""Mistakes in `acknowledge` are told like all others."""

from __future__ import annotations

from typing import Any

import pytest

from configurations import BASE, config, problems_of_route, the_problem
from dropslot.acknowledgments.section import logs_of

ROUTE: dict[str, Any] = {
    "name": "(?P<folder>[^-]+)-.*",
    "deliver": [{"to": "./results/{folder}"}],
}
ENTRY: dict[str, Any] = {
    "log": "access.log",
    "match": "/results/{folder}/{stored_name}",
    "users": {"clinic12": "digawana"},
}


def test_entry_has_its_defaults_and_absolute_paths() -> None:
    [entry] = logs_of(config(**ROUTE, acknowledge=[ENTRY]).routes["study"])
    assert (entry.log, entry.format, entry.preset) == (f"{BASE}/access.log", "combined", "none")
    assert entry.users == {"clinic12": ["digawana"]}


def test_addresses_stay_as_they_are() -> None:
    log = "sftp://edc@edc.example.org/var/log/apache2/access.log"
    [entry] = logs_of(config(**ROUTE, acknowledge=[ENTRY | {"log": log, "key": "k"}]).routes["study"])
    assert (entry.log, entry.key) == (log, BASE / "k")


def test_a_date_has_the_format_that_the_destination_has() -> None:
    route = ROUTE | {"deliver": [{"to": "./results/{folder}/{date:%Y%m}"}]}
    for right in ("{date:%Y%m}", "{date}/{date:%Y%m}"):
        config(**route, acknowledge=[ENTRY | {"match": f"/r/{{folder}}/{right}/{{stored_name}}"}])
    for wrong in ("{date}", "{date:%Y}{date:%m}"):
        problem = the_problem(
            problems_of_route(
                **route, acknowledge=[ENTRY | {"match": f"/r/{{folder}}/{wrong}/{{stored_name}}"}]
            )
        )
        assert "date:%Y%m of" in problem.expected


@pytest.mark.parametrize(
    ("change", "key", "words"),
    [
        ({"log": "http://h/x"}, "log", "sftp://"),
        ({"log": "sftp://u:pw@h/x"}, "log", "no password"),
        ({"log": "sftp:///x"}, "log", "sftp://USER@HOST"),
        ({"log": "sftp://u@h/"}, "log", "the path of a log"),
        ({"log": "sftp://u@h/../x"}, "log", "without '..'"),
        ({"format": "combind"}, "format", "combined"),
        ({"format": "%h %u"}, "format", "the time (%t)"),
        ({"format": "no.such.Reader"}, "format", "no module no"),
        ({"match": "results/{stored_name}"}, "match", "beginning with /"),
        ({"match": "/results/{folder}"}, "match", "{stored_name} and {stored_as}"),
        ({"match": "/results/{stored_name}"}, "match", "folder of"),
        ({"match": "/results/{folder}/{nothing}/{stored_name}"}, "match", "nothing is not one of them"),
        ({"users": {}}, "users", "at least one entry"),
        ({"users_field": "study"}, "users_field", "one of this route's fields: folder"),
        ({"destination": "./elsewhere"}, "destination", "destinations"),
        ({"key": "k"}, "key", "another machine"),
        ({"password": "EDC_PASSWORD"}, "password", "another machine"),
        ({"log": "sftp://u@h/x", "password": "hunter2"}, "password", "never the password itself"),
        ({"preset": "own"}, "preset", "owncloud"),
        ({"every": "0s"}, "every", "more"),
        ({"user": {}}, "user", "did you mean users?"),
    ],
)
def test_mistakes_name_key_and_expectation(change: dict[str, Any], key: str, words: str) -> None:
    problem = the_problem(problems_of_route(**ROUTE, acknowledge=[ENTRY | change]))
    assert problem.key.startswith(f"routes.study.acknowledge[0].{key}")
    assert words in str(problem)


def test_of_several_destinations_the_server_s_own_is_named() -> None:
    two = ROUTE | {"deliver": [{"to": "./a/{folder}"}, {"to": "./b/{folder}"}]}
    assert "serves" in the_problem(problems_of_route(**two, acknowledge=[ENTRY])).expected
    assert config(**two, acknowledge=[ENTRY | {"destination": "./b/{folder}"}])


def test_each_log_is_read_once_by_a_route() -> None:
    assert "each log once" in the_problem(problems_of_route(**ROUTE, acknowledge=[ENTRY, ENTRY])).expected


def test_any_user_and_any_folder_can_be_meant() -> None:
    entry = ENTRY | {"match": "/results/{stored_name}", "users": {"*": "*"}}
    assert config(deliver=[{"to": "./results"}], acknowledge=[entry])
