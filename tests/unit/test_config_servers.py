"""Destinations at servers, as config.yaml has them."""

from __future__ import annotations

from datetime import time
from pathlib import Path

import pytest

from configurations import config, problems, problems_of_route, route, the_problem
from dropslot.config import from_mapping
from dropslot.core.addressing.addresses import parse
from dropslot.core.errors import Refused
from dropslot.core.settings.limits import limit
from dropslot.core.templates import Template

SERVER = "sftp://edc@edc.example.org/~/results"


@pytest.mark.parametrize(
    ("text", "server", "remote_path"),
    [
        ("sftp://edc@edc.example.org/~/viral_load", "edc@edc.example.org", "viral_load"),
        ("sftp://edc@EDC.example.org:22/~", "edc@edc.example.org", "."),
        ("sftp://edc.example.org:2222/srv//a b/./#c/", "edc.example.org:2222", "/srv/a b/#c"),
        ("SFTP://".lower() + "a@[::1]:2222/", "a@[::1]:2222", "/"),
    ],
)
def test_addresses_have_one_spelling(text: str, server: str, remote_path: str) -> None:
    address = parse(text)
    assert (address.server, address.remote_path) == (server, remote_path)
    assert parse(address.url) == address


def test_the_root_of_a_server_can_be_what_is_fixed() -> None:
    template = Template("sftp://edc@edc.example.org:2222/{folder}/{date:%Y}")
    assert parse(template.fixed).path == "/"
    values = {"folder": "digawana", "date": "2026-03-01"}
    assert parse(template.fill(values)).remote_path == "/digawana/2026"
    for name in ("~", "~root"):
        with pytest.raises(Refused, match="the account's start folder"):
            template.fill(values | {"folder": name})
    assert Template("sftp://edc.example.org/~/{folder}").fill({"folder": "~"}).endswith("/~/~")


def test_keys_of_servers_are_read(tmp_path: Path) -> None:
    to = {"to": SERVER, "key": "./id", "known_hosts": "hosts", "password": "EDC", "limit": "20MB/s"}
    rule = (
        config(tmp_path, deliver=[{**to, "verify": "read-back", "create_folders": True}])
        .routes["study"]
        .deliver[0]
    )
    assert rule.to == SERVER
    assert (rule.key, rule.known_hosts) == (tmp_path / "id", tmp_path / "hosts")
    assert rule.limit is not None
    assert rule.limit.at(time(12)) == 20_000_000


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("password", "hunter2", "expected the name of an environment variable"),
        ("limit", "fast", "expected a rate such as 20MB/s"),
        ("limit", {"8-18": "5MB/s"}, "not a span of a day"),
        ("limit", "3B/s", "1kB/s or more"),
        ("verify", "hash", "expected one of size, read-back"),
        ("must_exist", "./here", "at the server of `to`"),
        ("must_exist", "sftp://other/x", "at the server of `to`"),
    ],
)
def test_mistakes_are_told(key: str, value: object, says: str) -> None:
    problem = problems_of_route(deliver=[{"to": SERVER, key: value}])[0]
    assert problem.key == f"routes.study.deliver[0].{key}"
    assert says in problem.expected
    assert "hunter2" not in str(problem)


@pytest.mark.parametrize("key", ["key", "known_hosts", "password", "verify", "limit", "create_folders"])
def test_keys_of_servers_are_refused_for_folders_of_this_machine(key: str) -> None:
    values = {"password": "EDC", "verify": "size", "limit": "1MB/s", "create_folders": True}
    problem = problems_of_route(deliver=[{"to": "./here", key: values.get(key, "./x")}])[0]
    assert problem.key == f"routes.study.deliver[0].{key}"
    assert "sftp://" in problem.expected


def test_a_limit_by_time_of_day_may_go_over_midnight() -> None:
    by_day = limit({"08:00-18:00": "5MB/s", "22:00-06:00": "50MB/s"})
    expected = {7: None, 8: 5_000_000, 17: 5_000_000, 18: None, 22: 50_000_000, 5: 50_000_000, 6: None}
    assert {hour: by_day.at(time(hour)) for hour in expected} == expected


def of_own_kind(
    to: str = "ftp://lab@host/in/{sent}", scheme: str = "ftp", **keys: object
) -> dict[str, object]:
    """A configuration with a kind of destination that dropslot does not bring."""
    study = route(name="(?P<sent>.+)", deliver=[{"to": to, **keys}])
    return {"destinations": {scheme: "mykinds.FtpKind"}, "routes": {"study": study}}


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A folder with a kind of destination among its plugins, which nobody may run to read config.yaml."""
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins/mykinds.py").write_text("class FtpKind: ...\nraise SystemExit('it was run')\n")
    return tmp_path


def test_an_address_of_an_own_kind_is_kept_as_it_is(lab: Path) -> None:
    to = "FTP://lab@host:2121//in/./{sent}/"
    made = from_mapping(of_own_kind(to, options={"passive": True}, manifest="none"), lab)
    rule = made.routes["study"].deliver[0]
    assert (rule.to, rule.options) == ("ftp://lab@host:2121/in/{sent}", {"passive": True})
    assert rule.folder_here is None
    assert Template(rule.to).fixed == "ftp://lab@host:2121/in"


@pytest.mark.parametrize(
    ("mapping", "key", "says"),
    [
        (of_own_kind("sftps://a@b/c"), "routes.study.deliver[0].to", "or ftp:// or s3:// or sftp://"),
        (
            of_own_kind("ftp://lab:hunter2@host/in"),
            "routes.study.deliver[0].to",
            "no password in the address",
        ),
        (of_own_kind("ftp:///in"), "routes.study.deliver[0].to", "ftp://PLACE/PATH"),
        (of_own_kind("ftp://{sent}/in"), "routes.study.deliver[0].to", "fields in the path alone"),
        (of_own_kind("ftp://host/../in"), "routes.study.deliver[0].to", "without '..'"),
        (
            of_own_kind(group="lab"),
            "routes.study.deliver[0].group",
            "is a folder of this machine or begins with sftp",
        ),
        (of_own_kind(verify="size"), "routes.study.deliver[0].verify", "begins with sftp://"),
        (
            of_own_kind("./here", options=1),
            "routes.study.deliver[0].options",
            "a kind that `destinations` has",
        ),
        (of_own_kind("./here", "sftp"), "destinations.sftp", "sftp:// is dropslot's own"),
        (of_own_kind() | {"destinations": {"ftp": "mykids.FtpKind"}}, "destinations.ftp", "no module mykids"),
    ],
)
def test_mistakes_with_own_kinds_are_told(lab: Path, mapping: object, key: str, says: str) -> None:
    problem = the_problem(problems(mapping, lab))
    assert problem.key == key
    assert says in problem.expected
    assert "hunter2" not in str(problem)
