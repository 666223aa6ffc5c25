"""A secret shows nowhere, wherever somebody wrote it: what is refused says why, and not with the secret in it."""

from __future__ import annotations

import json
import os
import subprocess
import traceback
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configurations import BASE, problems, route
from dropslot.config import ConfigError, parse, secret
from dropslot.config.servers.databases import database_url, django_database
from dropslot.core import context
from dropslot.core.addressing import addresses
from dropslot.core.concealing import Secret, conceal, conceal_value
from dropslot.core.errors import DestinationUnready, Refused
from dropslot.running import log_sinks
from people import program

HUSH = "hu5h!sesame"
PASSWORDS = (
    HUSH,
    "p@hu5hsesame",
    "hu5h/sesame",
    "hu5h:sesame@x/y",
    quote("hu5h/@: sesame"),
    "hu5h{sesame}",
    "hu5h#sesame?x",
    "hu5h%sesame",
    "1234/hu5hsesame",
    "hu5h&sesame",
    "hu5h\\sesame",
)
# What is left of any of them is a leak.
PARTS = ("hu5h", "sesame")


def _urls(password: str) -> list[str]:
    return [
        f"sftp://edc:{password}@edc.example.org/~/x",
        f"sftp://edc:{password}@edc.example.org:2222/~/x",
        f"sftp://:{password}@edc.example.org/x",
        f"SFTP://edc:{password}@edc.example.org/x",
        f"ftp://edc:{password}@edc.example.org/x",
        f"s3://edc:{password}@bucket/x",
        f"https://edc:{password}@edc.example.org/x?y=z",
        f"edc:{password}@edc.example.org:/x",
        f"edc:{password}@edc.example.org",
        f"sftp://edc%3A{password}@edc.example.org/x",
        f"sftp://edc:{password}@[::1]/x",
        f"sftp://edc:{password}@edc.example.org:notaport/x",
        f"sftp://edc:{password}@edc.example.org",
        f"sftp://edc%40lab.example:{password}@edc.example.org/x",
        # A number and a slash behind that @ are a port and a path.
        f"sftp://edc@lab.example:{password.removeprefix('1234/')}@edc.example.org:2222/x",
        f"sftp://LAB\\edc:{password}@edc.example.org/x",
        f"sftp://edc%20r:{password}@edc.example.org/x",
        f"edc@lab.example:{password}@edc.example.org:/x",
    ]


QUERIES = [
    f"sftp://edc@edc.example.org/x?{name}={HUSH}"
    for name in (
        "password",
        "token",
        "access_token",
        "X-Amz-Signature",
        "X-Amz-Credential",
        "sig",
        "client_secret",
    )
] + [f"sftp://edc:{HUSH}/x", f"https://u:{HUSH}/x", f"sftp://edc%40lab:{HUSH}/x", f"sftp://edc r:{HUSH}@h/x"]
PLACES = (
    lambda url: {"routes": {"s": route(deliver=[{"to": url}])}},
    lambda url: {"routes": {"s": route(deliver=[{"to": url, "must_exist": url, "key": url, "group": url}])}},
    lambda url: {"routes": {"s": route(deliver=url)}},
    lambda url: {"routes": {"s": route(deliver=[url])}},
    lambda url: {"routes": {"s": route(deliver={"to": url})}},
    lambda url: {"routes": {"s": route(deliver=[{url: "x"}])}},
    lambda url: {
        "routes": {"s": route(acknowledge=[{"log": url, "match": "/{stored_as}", "users": {"*": "*"}}])}
    },
    lambda url: {"routes": {"s": route(acknowledge=[{"lgo": url}])}},
    lambda url: {"routes": {"s": route(acknowledge=[{"log": 5, "match": url, "users": {"u": [url]}}])}},
    lambda url: {"database": url, "routes": {"s": route()}},
    lambda url: {"databse": url, "routes": {"s": route()}},
    lambda url: {"data": 5, "broker": url, "routes": {"s": route()}},
    lambda url: {
        "timestamp": url,
        "log_level": url,
        "time_zone": url,
        "workers": url,
        "routes": {"s": route()},
    },
    lambda url: {"routes": {"s": route(complete=url, settle=url, name=f"{url}(", marker=url)}},
    lambda url: {"routes": url},
    lambda url: {"routes": {"s": url}},
    lambda url: {"routes": {url: route()}},
    lambda url: {"routes": {"s": route(folders=5, takes={"x": [url]}, after=url)}},
    lambda url: {"routes": {"s": route(password=url)}},
    lambda url: {"routes": {"s": route(deliver=[{"to": "sftp://u@h/x", "password": url}])}},
)


def _told(configuration: dict[str, Any]) -> str:
    try:
        found = problems(configuration)
    except ConfigError as error:  # pragma: no cover
        found = error.problems
    told = ConfigError(found, "config.yaml")
    return "\n".join([str(told), "".join(traceback.format_exception(told)), *map(str, found)])


def _shows_none(text: str) -> None:
    assert not [part for part in PARTS if part in text], text


@pytest.mark.parametrize("place", range(len(PLACES)))
def test_a_password_in_an_address_is_in_no_error_wherever_it_is_written(place: int) -> None:
    for url in [url for password in PASSWORDS for url in _urls(password)] + QUERIES:
        configuration = PLACES[place](url)
        if any(found in json.dumps(configuration) for found in ("deliver", "log")):
            _shows_none(_told(configuration))


def test_an_address_to_notify_is_a_secret_as_a_whole() -> None:
    for url in (
        "slack://hu5h/T1/sesame",
        "https://hooks.example/hu5h",
        "tgram://12:hu5h/sesame",
        "mailto:u:hu5h@h",
    ):
        for wrong in ({"notify": url, "routes": {"s": route()}}, {"routes": {"s": route(notify=url)}}):
            _shows_none(_told(wrong))


@pytest.mark.parametrize("url", [*_urls(HUSH), *QUERIES])
def test_a_password_in_an_address_is_refused(url: str) -> None:
    for key in ("deliver", "acknowledge"):
        entry = (
            {"log": url, "match": "/{stored_as}", "users": {"*": "*"}}
            if key == "acknowledge"
            else {"to": url}
        )
        with pytest.raises(ConfigError):
            parse(json.dumps({"routes": {"s": route(**{key: [entry]})}}), BASE)
    with pytest.raises(ValueError, match="expected") as caught:
        addresses.parse(url)
    _shows_none(str(caught.value))


@pytest.mark.parametrize("password", PASSWORDS)
def test_a_password_of_a_database_is_refused_and_not_told(password: str) -> None:
    for url in (
        f"postgresql://u:{password}@h/db",
        f"postgres://u:{password}@h:5432/db",
        f"postgresql://u:{password}@h:x/db",
        f"postgresql://h/db?password={password}",
        f"postgresql://h/db?sslpassword={password}",
        f"postgresql://u%3A{password}@h/db",
        f"mysql://u:{password}@h/db",
        f"u:{password}@h/db",
        f"host=h user=u password={password}",
    ):
        with pytest.raises(ValueError, match="expected") as caught:
            database_url(url)
        _shows_none(str(caught.value))


@pytest.mark.parametrize(
    "text",
    [
        f"password: *{HUSH}\nroutes: {{}}",
        f"password: !{HUSH}\nroutes: {{}}",
        f"password: !x!{HUSH} y\nroutes: {{}}",
        f"database: %{HUSH}\nroutes: {{}}",
        f"database: 'postgresql://u:{HUSH}@h\nroutes: {{}}",
        f'database: "postgresql://u:\\q{HUSH}@h"\nroutes: {{}}',
        f"database: postgresql://u:{HUSH}@h: x\nroutes: {{}}",
        f"database: postgresql://u: {HUSH}@h: y\nroutes: {{}}",
        f"database: [postgresql://u:{HUSH}@h/d\nroutes: {{}}",
        f"database: {{postgresql://u:{HUSH}@h/d: 1}}\nroutes: {{}}",
        f"sftp://u:{HUSH}@h: 1\nsftp://u:{HUSH}@h: 2\nroutes: {{}}",
        f"? [sftp://u:{HUSH}@h]\n: 2\nroutes: {{}}",
        f"database: &{HUSH} x\nroutes: *{HUSH}s",
        f"database: @{HUSH}\nroutes: {{}}",
        f"database: `{HUSH}`\nroutes: {{}}",
    ],
)
def test_a_file_that_is_no_yaml_is_not_quoted(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, BASE)
    _shows_none("".join(traceback.format_exception(caught.value)))


@pytest.mark.parametrize("by_file", [True, False])
def test_a_secret_of_the_environment_is_used_and_shown_nowhere(
    by_file: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DROPSLOT_DATABASE_PASSWORD", "DROPSLOT_DATABASE_PASSWORD_FILE"):
        monkeypatch.delenv(name, raising=False)
    if by_file:
        (tmp_path / "secret").write_text(f"{HUSH}\n")
        monkeypatch.setenv("DROPSLOT_DATABASE_PASSWORD_FILE", str(tmp_path / "secret"))
    else:
        monkeypatch.setenv("DROPSLOT_DATABASE_PASSWORD", HUSH)
    made = django_database("postgresql://u@h/db", tmp_path)
    assert "".join(made["PASSWORD"]) == HUSH
    _shows_none(repr(made))
    for error in (DestinationUnready(f"'{HUSH}' is wrong", where=f"at {HUSH}"), Refused([f"no {HUSH}"])):
        _shows_none(str(error) + repr(error) + repr(error.args) + repr(vars(error)))


def test_a_password_that_is_set_in_place_of_its_file_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in (HUSH, f"/{HUSH}/x", f"./{HUSH}"):
        monkeypatch.setenv("EDC_FILE", value)
        with pytest.raises(ConfigError) as caught:
            secret("EDC")
        _shows_none("".join(traceback.format_exception(caught.value)))


def _logged(**entry: Any) -> str:
    shown = log_sinks.without_secrets(None, "", {"level": "error", "timestamp": "now", "event": "x", **entry})
    return log_sinks.for_people(shown) + log_sinks.for_machines(shown, names=True)


def test_a_log_line_has_no_secret_in_any_of_its_values() -> None:
    Secret(HUSH)
    try:
        raise ValueError(f"connecting as {HUSH} to postgresql://u:{PASSWORDS[1]}@h/db")  # noqa: TRY301
    except ValueError as error:
        shown = traceback.format_exc()
        _shows_none(
            _logged(event=f"said {HUSH}", error=error, exception=shown, more=[HUSH, {"password": "sesame"}])
        )


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=6, max_size=40), st.integers(0, 5))
def test_a_secret_once_known_is_hidden_in_every_text(value: str, spelled: int) -> None:
    context.renew()  # without the secrets of other examples
    Secret(value)
    spelling = (value, quote(value), quote(value, safe=""), json.dumps(value)[1:-1], repr(value)[1:-1], value)
    shown = conceal(f"before {spelling[spelled]} after")
    assert shown == "before *** after" or value in "before *** after"


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30))
def test_whatever_the_password_is_nothing_of_an_address_is_shown_but_its_server(password: str) -> None:
    url = f"sftp://edc:{password}@edc.example.org/x"
    assert conceal_value(url) == "sftp://edc:***@edc.example.org/x"


@pytest.mark.parametrize(
    "text",
    [
        "sftp://edc@edc.example.org/~/x",
        "sftp://edc@edc.example.org:2222/x/a@b",
        "sftp://edc%40lab.example@edc.example.org:2222/x/a@b",
        "sftp://edc@lab.example@edc.example.org/x/12:30@b",
        "sftp://edc.example.org:22/x",
        "sftp://[::1]:22/x",
        "sftp://u@[fe80::1]/x",
        "https://drop.lab.example:8443/x?page=2",
        "postgresql://dropslot@db.example:5432/dropslot?sslmode=require",
        "expected sftp://USER@HOST/PATH or sftp://USER@HOST:PORT/~/PATH",
        "/srv/a:b@c/d",
        "(?:x)@y",
        "https://drop.lab.example:8443. Then go on",
        "mailto:ops@lab.example",
        "scan_12:30@home.nii",
        "12:30",
    ],
)
def test_what_is_no_secret_is_left_as_it_is(text: str) -> None:
    assert conceal(text) == text


@pytest.mark.parametrize(
    "part", [":/", "a:/", ":/a:", "://a:b", "://a%3a", "@:/", "?passw", "passw", "=password "]
)
def test_a_long_path_is_looked_through_once(part: str) -> None:
    # Quadratic, this takes minutes.
    path = f"@?{part * 200_000} ="
    assert conceal(path).startswith("@")


def test_no_command_tells_a_password(tmp_path: Path) -> None:
    how, url = program(), _urls(PASSWORDS[3])[0]
    environment = {
        **os.environ,
        **how.environment,
        "DROPSLOT_TRACEBACK": "1",
        "DROPSLOT_DATABASE_PASSWORD_FILE": HUSH,
    }
    for name in ("DJANGO_SETTINGS_MODULE", "DROPSLOT_DATABASE_PASSWORD"):
        environment.pop(name, None)
    wrong = {"routes": {"s": route(deliver=[{"to": url}])}}
    fine = {
        "database": "postgresql://u@127.0.0.1:1/d",
        "routes": {"s": route(deliver=[{"to": str(tmp_path)}])},
    }
    for name, made in (("wrong", wrong), ("fine", fine)):
        (tmp_path / f"{name}.yaml").write_text(json.dumps({"data": str(tmp_path / "var"), **made}))
    for args in (
        ["doctor", "-c", "wrong.yaml"],
        ["drain", "-c", "fine.yaml"],
        ["trust_host", url],
        ["doctor", "-c", url],
    ):
        done = subprocess.run(
            [*how.command, *args], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode in (1, 2) and ("expected" in done.stderr or "does not exist" in done.stderr)
        _shows_none(done.stdout + done.stderr)
