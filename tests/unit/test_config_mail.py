"""The key `mail` of config.yaml."""

from __future__ import annotations

from typing import Any

import pytest

from configurations import BASE, problems, route, the_problem
from dropslot.config import from_mapping
from dropslot.mail.section import Mail, mail_of, missing_secret

MAIL = {"server": "smtp://mail.lab.example", "from": "dropslot@lab.example"}


def mail(**change: Any) -> Mail:
    found = mail_of(from_mapping({"routes": {"study": route()}, "mail": MAIL | change}, BASE))
    assert found is not None
    return found


def test_without_the_key_there_is_no_mail() -> None:
    assert mail_of(from_mapping({"routes": {"study": route()}}, BASE)) is None


@pytest.mark.parametrize(
    ("server", "meant"),
    [
        ("smtp://mail.lab.example", ("smtp", "", "mail.lab.example", 587)),
        ("smtps://mail.lab.example/", ("smtps", "", "mail.lab.example", 465)),
        ("smtp://Mail.Lab.example:25", ("smtp", "", "mail.lab.example", 25)),
        ("smtp://[::1]:2525", ("smtp", "", "::1", 2525)),
    ],
)
def test_servers(server: str, meant: tuple[str, str, str, int]) -> None:
    assert mail(server=server).server == meant


@pytest.mark.parametrize("user", ["ops", "ops@lab.example", "ops%40lab.example"])
def test_a_user_may_be_an_address(user: str) -> None:
    server = mail(server=f"smtp://{user}@mail.lab.example:587", password="MAIL_SECRET").server
    assert (server.user, server.host) == (user.replace("%40", "@"), "mail.lab.example")


def test_connections_are_encrypted_except_to_this_machine() -> None:
    assert mail().uses_starttls
    assert mail(server="smtp://localhost:25", starttls=True).uses_starttls
    assert not mail(server="smtp://localhost:25").uses_starttls
    assert not mail(server="smtp://127.0.0.1").uses_starttls
    assert not mail(server="smtps://mail.lab.example").uses_starttls
    assert not mail(starttls=False).uses_starttls


@pytest.mark.parametrize(
    ("change", "key", "words"),
    [
        ({"server": "mail.lab.example"}, "server", "expected smtp://USER@HOST:587"),
        ({"server": "smtp://"}, "server", "expected smtp://USER@HOST:587"),
        ({"server": 25}, "server", "expected smtp://USER@HOST:587"),
        ({"server": "smtp://h:99999"}, "server", "a port between 1 and 65535"),
        ({"server": "smtp://u:hidden@h"}, "server", "no password in the address"),
        ({"server": "smtp://u@h"}, "password", "holds the password of u"),
        ({"password": "MAIL_SECRET"}, "password", "expected the user, too"),
        ({"server": "smtp://u@h", "password": "my secret!"}, "password", "environment variable"),
        ({"server": "smtps://h", "starttls": True}, "starttls", "no such key with smtps://"),
        ({"server": "smtp://u@h", "password": "X", "starttls": False}, "starttls", "expected true if"),
        ({"from": "nobody"}, "from", "an address of mail"),
        ({"from": "a@b\nBcc: c@d"}, "from", "an address of mail"),
        ({"from": "Lab <a@b"}, "from", "an address of mail"),
        ({"form": "a@b"}, "form", "did you mean from?"),
    ],
)
def test_mistakes(change: dict[str, Any], key: str, words: str) -> None:
    problem = the_problem(problems({"routes": {"study": route()}, "mail": MAIL | change}))
    assert problem.key == f"mail.{key}"
    assert words in problem.expected
    assert "hidden" not in str(problem)


def test_a_mistake_has_an_example() -> None:
    found = problems({"routes": {"study": route()}, "mail": {"server": "smtp://h"}})
    assert the_problem(found).example == "from: dropslot <dropslot@lab.example>"


def test_the_secret_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    made = mail(server="smtp://u@h", password="MAIL_SECRET")
    monkeypatch.delenv("MAIL_SECRET", raising=False)
    assert missing_secret(made) == "MAIL_SECRET"
    monkeypatch.setenv("MAIL_SECRET", "x")
    assert missing_secret(made) == ""
