"""Mails by real servers, and what `doctor` says about those that do not work."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.mail import EmailMessage

from certificates import make_certificate
from dropslot.config import Config, from_mapping
from dropslot.mail import doctor, smtp
from dropslot.mail.section import mail_of
from dropslot.mail.smtp import MailUnsent
from portals import routes
from ports import free_port
from postbox import SECRET, Mailbox


def config_with(folder: Path, key: dict[str, Any]) -> Config:
    return from_mapping({"data": str(folder / "var"), "mail": key, "routes": routes(folder)}, folder)


def send(folder: Path, key: dict[str, Any], subject: str = "for you") -> None:
    mail = mail_of(config_with(folder, key))
    assert mail is not None
    smtp.send(mail, EmailMessage(subject, "Grüße\n", to=["sam@lab.example"]))


def finding(folder: Path, key: dict[str, Any]) -> tuple[str, str]:
    """The level and the words of the last one."""
    *_, found = doctor.examine(config_with(folder, key))
    return found.level, f"{found.what}. {found.remedy}"


@pytest.mark.parametrize("how", ["plain", "starttls", "tls"])
def test_a_mail_is_sent(how: str, make_mailbox: Callable[..., Mailbox], tmp_path: Path) -> None:
    box = make_mailbox(how)
    send(tmp_path, box.key)
    (letter,) = box.letters
    assert (letter.sender, letter.to) == ("dropslot@lab.example", ["sam@lab.example"])
    assert letter.message["From"] == "dropslot <dropslot@lab.example>"
    assert letter.text.strip() == "Grüße"
    assert letter.was_encrypted == (how != "plain")
    assert finding(tmp_path, box.key)[0] == "ok"
    assert len(box.letters) == 1  # doctor sends none


def test_a_wrong_password_is_told_without_it(
    make_mailbox: Callable[..., Mailbox], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = make_mailbox("starttls")
    monkeypatch.setenv("MAIL_SECRET", f"not {SECRET}")
    level, words = finding(tmp_path, box.key)
    assert (level, SECRET in words) == ("error", False)
    assert "does not accept the user and password: 535" in words
    assert "Correct the secret MAIL_SECRET" in words


def test_a_missing_password_is_named(
    make_mailbox: Callable[..., Mailbox], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = make_mailbox("starttls")
    monkeypatch.delenv("MAIL_SECRET")
    assert finding(tmp_path, box.key) == (
        "error",
        "the environment has no MAIL_SECRET. set MAIL_SECRET, or MAIL_SECRET_FILE",
    )


def test_a_certificate_of_nobody_is_refused(
    make_mailbox: Callable[..., Mailbox], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = make_mailbox("starttls")
    other = make_certificate(tmp_path / "other", "localhost")
    monkeypatch.setenv("SSL_CERT_FILE", str(other))
    with pytest.raises(MailUnsent, match="certificate that this machine does not trust"):
        send(tmp_path, box.key)
    assert box.letters == []


def test_a_server_without_starttls_gets_nothing_in_the_open(
    make_mailbox: Callable[..., Mailbox], tmp_path: Path
) -> None:
    box = make_mailbox("plain")
    with pytest.raises(MailUnsent, match="STARTTLS"):
        send(tmp_path, box.key | {"starttls": True})
    assert box.letters == []


def test_an_address_that_is_refused_is_told(make_mailbox: Callable[..., Mailbox], tmp_path: Path) -> None:
    box = make_mailbox("plain")
    box.refuses = "550 no such mailbox"
    with pytest.raises(MailUnsent, match="does not take mail for the address: 550 no such mailbox"):
        send(tmp_path, box.key)


def test_a_server_that_is_down_is_told(tmp_path: Path) -> None:
    key = {"server": f"smtp://127.0.0.1:{free_port()}", "from": "a@lab.example"}
    level, words = finding(tmp_path, key)
    assert (level, "refuses connections" in words) == ("error", True)


def test_a_server_that_says_nothing_holds_nobody_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp, "SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        key = {"server": f"smtp://127.0.0.1:{silent.getsockname()[1]}", "from": "a@lab.example"}
        level, words = finding(tmp_path, key)
    assert (level, "does not answer within" in words) == ("error", True)


def test_a_name_that_does_not_exist_is_told(tmp_path: Path) -> None:
    level, words = finding(tmp_path, {"server": "smtps://mail.invalid", "from": "a@lab.example"})
    assert (level, "cannot be looked up" in words) == ("error", True)


def test_without_a_server_nothing_is_said(tmp_path: Path) -> None:
    config = from_mapping({"data": str(tmp_path / "var"), "routes": routes(tmp_path)}, tmp_path)
    assert list(doctor.examine(config)) == []
