"""Messages by mail: real servers, one of them Debian's exim, hostile names, and servers that do not take a mail."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from certificates import make_certificate
from dropslot.config import Config, from_mapping
from dropslot.notify.channels import by_mail
from dropslot.notify.channels.message import Fact, Message, NeverSent, Notice, NotSent
from dropslot.notify.channels.send_message import send
from dropslot.notify.channels.target import Target
from dropslot.notify.channels.written import written
from exim import Exim
from portals import routes
from ports import free_port
from postbox import Mailbox
from waiting import wait_until

SAM = Target("mailto:sam@lab.example")
PLAIN = Message("01ABC", "1 arrival failed", "text", "<p>text</p>")
HOSTILE = 'scan\r\nBcc: eve@evil.example\r\n\r\n<script>alert(1)</script>"\u202egpj.exe\x1b[2J\udcff'


def config_with(folder: Path, key: dict[str, Any] | None) -> Config:
    mail = {"mail": key} if key else {}
    return from_mapping({"data": str(folder / "var"), **mail, "routes": routes(folder)}, folder)


def test_hostile_names_stay_in_their_place(make_mailbox: Callable[..., Mailbox], tmp_path: Path) -> None:
    box = make_mailbox()
    fact = Fact(HOSTILE, f"{HOSTILE} was refused.", HOSTILE, HOSTILE, HOSTILE, "https://drop.lab.example/a/1")
    message = written(None, Notice("failed", f"{HOSTILE} failed", [fact]), "01ABC")
    send(config_with(tmp_path, box.key), SAM, message)
    (letter,) = box.letters
    mail = letter.message
    assert (letter.to, mail["To"], mail["Bcc"]) == (["sam@lab.example"], "sam@lab.example", None)
    assert mail["Message-ID"] == "<01ABC@lab.example>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Subject"].startswith(r"dropslot: scan\x0d\x0aBcc: eve@evil.example")
    text, html = (str(mail.get_body((kind,)).get_content()) for kind in ("plain", "html"))  # type: ignore[union-attr]
    assert r"\u202egpj.exe\x1b[2J\xff was refused." in text
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert all(line.isprintable() for part in (text, html) for line in part.splitlines())
    assert 'href="https://drop.lab.example/a/1"' in html


def test_a_refused_address_is_not_tried_again_and_a_busy_one_is(
    make_mailbox: Callable[..., Mailbox], tmp_path: Path
) -> None:
    box = make_mailbox()
    config = config_with(tmp_path, box.key)
    box.refuses = "550 5.1.1 no such user"
    with pytest.raises(NeverSent, match=r"does not take mail for the address: 550 5\.1\.1 no such user"):
        send(config, SAM, PLAIN)
    box.refuses = "450 4.2.1 greylisted"
    with pytest.raises(NotSent, match="greylisted") as found:
        send(config, SAM, PLAIN)
    assert found.value.retryable
    box.refuses = ""
    send(config, SAM, PLAIN)
    assert len(box.letters) == 1


def test_a_server_that_is_away_slow_or_without_trust_is_tried_again(
    make_mailbox: Callable[..., Mailbox], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = {"server": f"smtp://127.0.0.1:{free_port()}", "from": "dropslot@lab.example"}
    box = make_mailbox("starttls")
    monkeypatch.setenv("SSL_CERT_FILE", str(make_certificate(tmp_path / "other", "localhost")))
    monkeypatch.setattr(by_mail, "SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        slow = {**away, "server": f"smtp://127.0.0.1:{silent.getsockname()[1]}"}
        for key, words in (
            (away, "refuses connections"),
            (box.key, "certificate that this machine does not trust"),
            (slow, "does not answer within"),
        ):
            with pytest.raises(NotSent, match=words) as found:
                send(config_with(tmp_path, key), SAM, PLAIN)
            assert found.value.retryable, key
    assert box.letters == []


def test_without_a_mail_server_no_mail_is_tried(tmp_path: Path) -> None:
    with pytest.raises(NeverSent, match="no mail server"):
        send(config_with(tmp_path, None), SAM, PLAIN)


def test_a_mail_goes_all_the_way_through_exim(exim: Exim, tmp_path: Path) -> None:
    key = {"server": f"smtp://127.0.0.1:{exim.port}", "from": "dropslot <dropslot@lab.example>"}
    config = config_with(tmp_path, key)
    send(config, SAM, written(None, Notice("failed", "1 Ankunft wurde abgelehnt: größer"), "01ABC"))
    with pytest.raises(NeverSent, match="550 no such user"):
        send(config, Target("mailto:olga@lab.example"), PLAIN)
    (mail,) = wait_until(lambda: exim.mails, what="the delivered mail")
    assert mail["Subject"] == "dropslot: 1 Ankunft wurde abgelehnt: größer"
    assert mail["Message-ID"] == "<01ABC@lab.example>"
    assert mail.get_content_type() == "multipart/alternative"
