"""The key `portal.ldap` of config.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from configurations import BASE, problems, route, the_problem
from dropslot.access import directory_section
from dropslot.access.directory_section import Ldap
from dropslot.access.section import portal_of
from dropslot.config import from_mapping

LDAP: dict[str, Any] = {"server": "ldaps://ldap.lab.example", "users": "ou=people,dc=lab,dc=example"}
GROUPS = "ou=groups,dc=lab,dc=example"


@pytest.fixture(autouse=True)
def _the_extra_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory_section, "find_spec", lambda name: name)


def content(change: dict[str, Any]) -> dict[str, Any]:
    return {"routes": {"study": route()}, "portal": {"ldap": LDAP | change}}


def ldap(**change: Any) -> Ldap:
    portal = portal_of(from_mapping(content(change), BASE))
    assert portal is not None and portal.ldap is not None
    return portal.ldap


@pytest.mark.parametrize(
    ("server", "starttls"),
    [
        ("ldaps://ldap.lab.example", False),
        ("ldaps://ldap.lab.example:3269", False),
        ("ldap://ldap.lab.example", True),
        ("ldap://192.0.2.1:389/", True),
        ("ldap://localhost:389", False),
        ("ldap://[::1]:389", False),
    ],
)
def test_only_this_machine_is_spoken_to_in_the_open(server: str, starttls: bool) -> None:
    assert ldap(server=server).uses_starttls == starttls


def test_defaults_and_paths() -> None:
    found = ldap(certificates="lab.pem")
    assert (found.name, found.group_kind, found.bind, found.roles) == ("uid", "groupOfNames", None, [])
    assert found.certificates == BASE / "lab.pem"
    assert ldap(certificates="/etc/lab.pem").certificates == Path("/etc/lab.pem")


@pytest.mark.parametrize(
    ("change", "key", "words"),
    [
        ({"server": "ldap.lab.example"}, "server", "expected ldaps://HOST"),
        ({"server": "http://h"}, "server", "expected ldaps://HOST"),
        ({"server": "ldaps://h/dc=x"}, "server", "expected ldaps://HOST"),
        ({"server": "ldaps://u@h"}, "server", "no user in the address"),
        ({"users": "people"}, "users", "a distinguished name"),
        ({"users": ""}, "users", "a distinguished name"),
        ({"name": "uid)(x"}, "name", "the name of an attribute"),
        ({"bind": "cn=x,dc=y"}, "password", "both `bind` and `password`"),
        ({"password": "LDAP_SECRET"}, "password", "both `bind` and `password`"),
        ({"bind": "cn=x,dc=y", "password": "hidden!"}, "password", "environment variable"),
        ({"roles": [{"group": GROUPS, "role": "operator"}]}, "roles", "expected `groups`, too"),
        ({"groups": GROUPS, "roles": [{"group": GROUPS, "role": "boss"}]}, "roles[0].role", "one of sender"),
        (
            {"groups": GROUPS, "roles": [{"group": GROUPS, "role": "recipient"}]},
            "roles[0]",
            "expected `folders`",
        ),
        ({"groups": GROUPS, "roles": [{"group": GROUPS, "role": "study-runner"}]}, "roles[0]", "`studies`"),
        ({"group_kind": "groups"}, "group_kind", "one of groupOfNames"),
    ],
)
def test_mistakes(change: dict[str, Any], key: str, words: str) -> None:
    problem = the_problem(problems(content(change)))
    assert problem.key == f"portal.ldap.{key}"
    assert words in problem.expected
    assert "hidden" not in str(problem)


def test_without_the_extra_the_mistake_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory_section, "find_spec", lambda name: None)
    problem = the_problem(problems(content({})))
    assert problem.key == "portal.ldap"
    assert "pip install 'dropslot[ldap]'" in problem.expected
