"""Every mistake is reported in one go, with its key, value, expectation, an example and its line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from configurations import BASE, problems, problems_of_route, problems_of_text, route, the_problem
from dropslot.config import ConfigError, Problem, from_mapping, load, parse
from dropslot.core.settings.config_errors import NO_VALUE

MANY = """\
dta: ./var
time_zone: Mars/Base
worker_count: many
routes:
  study:
    folders: ./study
    takes: dirs
    settle: soon
    notify: {faild: []}
    deliver:
      - to: ./studies/{study}/raw
        file_mode: 999
        groop: x
  results:
    folders: ./results
    marker: READY
    deliver: [{to: './out/{nothing}'}]
"""


def found_in(text: str) -> dict[str, Problem]:
    return {problem.key: problem for problem in problems_of_text(text)}


def test_many_mistakes_are_reported_in_one_go_with_their_lines() -> None:
    lines = {key: problem.line for key, problem in found_in(MANY).items()}
    assert lines == {
        "dta": 1,
        "time_zone": 2,
        "worker_count": 3,
        "routes.study.takes": 7,
        "routes.study.settle": 8,
        "routes.study.notify.faild": 9,
        "routes.study.deliver[0].file_mode": 12,
        "routes.study.deliver[0].groop": 13,
        "routes.results.marker": 16,
        "routes.results.deliver[0].to": 17,
    }


def test_the_report_has_key_value_expectation_and_example() -> None:
    with pytest.raises(ConfigError) as caught:
        parse(MANY, BASE, "config.yaml")
    report = str(caught.value)
    assert report.startswith("config.yaml has 10 mistakes:\n")
    assert (
        "line 7: routes.study.takes is 'dirs': expected one of directories, files, any; did you mean directories?"
        in report
    )
    assert "line 8: routes.study.settle is 'soon': expected a duration" in report
    assert "For example: settle: 5s" in report
    assert "did you mean data?" in report
    assert "did you mean group?" in report


@pytest.mark.parametrize("key", ["key", "base"])
def test_what_the_objects_have_besides_is_no_key_of_the_file(key: str) -> None:
    assert the_problem(problems_of_route(**{key: "x"})).key == f"routes.study.{key}"
    assert the_problem(problems({key: "x", "routes": {"study": route()}})).key == key


def test_duplicate_keys_are_refused_with_both_lines() -> None:
    problem = the_problem(
        problems_of_text("routes:\n  s:\n    folders: ./a\n    deliver: [{to: ./b}]\n    folders: ./c\n")
    )
    assert (problem.key, problem.line) == ("routes.s.folders", 5)
    assert "line 3" in problem.expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- a\n",
        "just words",
        "routes: {",
        "a: b: c",
        "\t- x",
        "routes: !!python/object:os.system {}",
        "a: *nothing",
        "--- 1\n--- 2\n",
        "{" * 3000,
        "[" * 3000 + "]" * 3000,
        "? {a: b}\n: c",
        "routes: &r [*r]",
        b"\xff\xfe\x00",
        b"routes: \x00",
        "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n",
    ],
)
def test_texts_that_are_no_configuration_are_mistakes(text: str | bytes) -> None:
    assert problems_of_text(text)


def test_aliases_of_aliases_do_not_fill_the_memory() -> None:
    levels = "\n".join(f"k{n}: &k{n} [{', '.join([f'*k{n - 1}'] * 10)}]" for n in range(1, 12))
    found = problems_of_text(f"k0: &k0 [x]\n{levels}\n")
    assert any("no more than" in problem.expected for problem in found)


def test_words_that_yaml_would_change_stay_texts() -> None:
    made = parse(
        "locations: {no: yes, 17: on, x: 2026-01-01, y: 1:30}\nroutes: {s: {folders: ./s, deliver: [{to: ./d}]}}",
        BASE,
    )
    assert made.locations == {"no": "yes", "17": "on", "x": "2026-01-01", "y": "1:30"}


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:s3cr3t@host/db",
        "postgresql://host/db?password=s3cr3t",
        "postgresql://user:s3cr3t@host:notaport/db",
        "mysql://user:s3cr3t@host/db",
        "postgresql://user:s3cr3t@host",
    ],
)
def test_a_password_in_the_file_is_refused_and_never_shown(url: str) -> None:
    problem = the_problem(problems({"database": url, "routes": {"s": route()}}))
    assert problem.key == "database"
    assert "s3cr3t" not in str(problem)


@pytest.mark.parametrize("key", ["password", "database_password", "api_token", "secret"])
def test_secrets_under_other_keys_are_not_shown_either(key: str) -> None:
    problem = the_problem(problems({key: "s3cr3t", "routes": {"s": route()}}))
    assert "s3cr3t" not in str(problem)
    assert "environment" in problem.expected


@pytest.mark.parametrize(
    "database", ["mysql://h/d", "oracle", 5, "sqlite:///x.db", "postgresql://host", "postgresql://h/a/b", ""]
)
def test_unknown_databases_are_refused(database: Any) -> None:
    assert "expected" in the_problem(problems({"database": database, "routes": {"s": route()}})).expected


@pytest.mark.parametrize("key", ["", "-x", "a b", "ä", "x" * 101, "a/b"])
def test_route_keys_are_plain_words(key: str) -> None:
    found = problems({"routes": {key: route()}})
    assert all(problem.expected.startswith("expected letters") for problem in found)


@pytest.mark.parametrize(
    "mapping",
    [
        {},
        {"routes": {}},
        {"routes": None},
        {"routes": 5},
        {"routes": []},
        {"routes": {"s": None}},
        {"routes": {"s": 5}},
        [],
        None,
        5,
    ],
)
def test_shapes_that_are_no_configuration_are_mistakes(mapping: Any) -> None:
    assert problems(mapping)


def test_an_unreadable_file_is_a_mistake_too(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="dropslot init"):
        load(tmp_path / "config.yaml")
    with pytest.raises(ConfigError, match="can be read"):
        load(tmp_path)


def test_values_are_shown_short_and_printable() -> None:
    problem = Problem("data", "\x1b[31m" + "x" * 500, "expected a path")
    assert "\x1b" not in str(problem)
    assert len(str(problem)) < 200
    assert str(Problem("a", None, "expected a text")) == "a is empty: expected a text."
    assert str(Problem("", NO_VALUE, "expected YAML", 3)) == "line 3: the file: expected YAML."


_leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
_keys = st.sampled_from(
    [
        "routes",
        "study",
        "folders",
        "deliver",
        "to",
        "name",
        "select",
        "checks",
        "data",
        "settle",
        "marker",
        "inbox",
        "group",
        "space",
    ]
) | st.text(max_size=5)
_trees = st.recursive(
    _leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys, inner, max_size=5),
    max_leaves=25,
)


@given(_trees)
@example({"[key]": None})
def test_any_tree_is_a_configuration_or_a_list_of_mistakes(tree: Any) -> None:
    try:
        from_mapping(tree, BASE)
    except ConfigError as error:
        assert error.problems
        assert str(error)


@given(st.dictionaries(_keys, _trees, max_size=6))
@example({"base": None})
def test_any_route_is_a_route_or_a_list_of_mistakes(keys: dict[str, Any]) -> None:
    try:
        from_mapping({"routes": {"study": route(**keys)}}, BASE)
    except ConfigError as error:
        assert all(
            problem.key.startswith("routes.study") or problem.key == "data" for problem in error.problems
        )


@given(st.text() | st.binary())
def test_any_text_is_a_configuration_or_a_list_of_mistakes(text: str | bytes) -> None:
    try:
        parse(text, BASE)
    except ConfigError as error:
        assert error.problems
