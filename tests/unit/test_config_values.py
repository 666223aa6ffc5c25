"""Values as people write them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configurations import BASE, config, problems_of_route, the_problem
from dropslot.config import Deliver, parse, values
from dropslot.config.schema import duration_in_words
from dropslot.core.settings.byte_sizes import size


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("5s", 5),
        ("2m", 120),
        ("1h", 3600),
        ("1h30m", 5400),
        ("500ms", 0.5),
        (7, 7),
        (0.5, 0.5),
        ("30d", 2592000),
        ("0s", 0),
    ],
)
def test_durations(written: Any, seconds: float) -> None:
    assert values.duration(written) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "written",
    ["soon", "5", "-5s", -1, True, None, "5 weeks", float("inf"), float("nan"), "9" * 400 + "d", []],
)
def test_what_is_no_duration_is_refused(written: Any) -> None:
    with pytest.raises(ValueError, match="expected a duration"):
        values.duration(written)


@pytest.mark.parametrize(
    ("written", "size_bytes"),
    [
        ("20MB", 20_000_000),
        ("1GiB", 2**30),
        ("1.5kB", 1500),
        (7, 7),
        ("7", 7),
        ("2 TiB", 2 * 2**40),
        ("10K", 10_000),
    ],
)
def test_sizes(written: Any, size_bytes: int) -> None:
    assert size(written) == size_bytes


@pytest.mark.parametrize("written", ["big", "-1", -1, True, 1.5, "9" * 400, "1e9", "5 MM", None])
def test_what_is_no_size_is_refused(written: Any) -> None:
    with pytest.raises(ValueError, match="expected a size"):
        size(written)


@pytest.mark.parametrize("written", ["640", "0640", "'640'", "'0640'", "0o640", "'0o640'"])
def test_modes_are_octal_however_yaml_would_read_them(written: str) -> None:
    text = f"routes: {{study: {{folders: ./s, deliver: [{{to: ./d, file_mode: {written}}}]}}}}"
    assert parse(text, BASE).routes["study"].deliver[0].file_mode == 0o640


def test_modes_are_octal_digits_in_python_too() -> None:
    made: dict[str, Any] = {"to": "./x", "file_mode": 640, "folder_mode": 2750}
    assert Deliver(**made).file_mode == 0o640
    assert (
        config(deliver=[{"to": "./x", "folder_mode": 2750}]).routes["study"].deliver[0].folder_mode == 0o2750
    )


@pytest.mark.parametrize("mode", [0o640, 0o644, 0o600, 0o660, 0o440, 0o750])
def test_an_octal_number_in_python_is_refused_rather_than_misread(mode: int) -> None:
    with pytest.raises(ValueError, match="expected a mode"):
        values.file_mode(mode)


@pytest.mark.parametrize("mode", [999, "rw-r--r--", "64", "06400", 4755, 2640, 204, 64, True, None, "0x1a0"])
def test_what_is_no_file_mode_is_refused(mode: Any) -> None:
    with pytest.raises(ValueError, match="expected a mode"):
        values.file_mode(mode)


@pytest.mark.parametrize("mode", [550, 4755, 6755, 640, "0555"])
def test_a_folder_that_the_service_could_not_write_is_refused(mode: Any) -> None:
    with pytest.raises(ValueError, match="expected a mode"):
        values.folder_mode(mode)


@pytest.mark.parametrize(("written", "number"), [("90%", 90), (90, 90), ("99.5 %", 99.5), ("100", 100)])
def test_percentages(written: Any, number: float) -> None:
    assert values.percent(written) == number


@pytest.mark.parametrize("written", ["0%", 101, -1, "most", True, None])
def test_what_is_no_percentage_is_refused(written: Any) -> None:
    with pytest.raises(ValueError, match="expected a percentage"):
        values.percent(written)


def test_a_bad_expression_is_refused_with_the_position() -> None:
    problem = the_problem(problems_of_route(name=r"(?P<study>\w+)-(?P<sent>.+"))
    assert problem.key == "routes.study.name"
    assert "position 16" in problem.expected
    assert r"\w" in str(problem)


@pytest.mark.parametrize("expression", ["a{99999999999999}", "(" * 5000, 5, None, ["x"]])
def test_absurd_expressions_are_mistakes(expression: Any) -> None:
    if expression is None:
        assert config(name=None).routes["study"].name is None
    else:
        assert the_problem(problems_of_route(name=expression)).key == "routes.study.name"


@given(st.integers(0, 10_000_000))
def test_durations_in_words_are_read_back(seconds: int) -> None:
    duration = timedelta(seconds=seconds)
    assert values.duration(duration_in_words(duration)) == duration


_anything = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text(), max_size=2)
)


@given(
    st.sampled_from(
        [values.duration, size, values.percent, values.file_mode, values.folder_mode, values.pattern]
    ),
    _anything,
)
def test_any_value_is_read_or_refused_with_a_value_error(read: Any, value: Any) -> None:
    try:
        read(value)
    except ValueError as error:
        assert "expected" in str(error)
