"""Where messages may go, and what of it may be shown."""

from __future__ import annotations

import subprocess
import sys

import pytest

from dropslot.config.guard import Guard, allowed
from dropslot.notify.channels.target import own_target_of, target_of
from dropslot.notify.section import Notify


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("mailto:ops@lab.example", "mailto:ops@lab.example"),
        ("${SLACK_URL}", "${SLACK_URL}"),
        ("slack://T0KENA/T0KENB/T0KENC", "slack://…"),
        ("slack://${SLACK}/#lab", "slack://${SLACK}/…"),
        ("jsons://hooks.lab.example/T0KEN?+X=T0KEN", "jsons://hooks.lab.example/…"),
        ("jsons://T0KEN@hooks.lab.example:8443/a", "jsons://hooks.lab.example:8443/…"),
    ],
)
def test_a_target_is_shown_without_its_tokens(text: str, shown: str) -> None:
    assert str(target_of(text)) == shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ops@lab.example",
        "mailto:ops",
        "mailto:a@b.example,c@d.example",
        "mailto:a@b.example\nBcc: c@d.example",
        "mailto:a@b.example?bcc=c@d.example",
        "mailto:ü@b.example",
        "mailto://user:pass@mail.example",
        "jsons://user:password@hooks.lab.example/",
        "slack://a b",
    ],
)
def test_what_is_no_target_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        target_of(text)


@pytest.mark.parametrize(
    "text",
    [
        "${DROPSLOT_SECRET}",
        "slack://${X}/a",
        "json://a.example/",
        "syslog://",
        "jsons://a.example/?template=/etc/passwd",
        "mailto:somebody@else.example",
    ],
)
def test_a_person_cannot_read_files_or_secrets_or_write_mails_to_others_by_an_own_target(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        own_target_of(text)


@pytest.mark.parametrize(
    ("address", "is_admitted"),
    [
        ("93.184.215.14", True),
        ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", True),
        ("127.0.0.1", False),
        ("0.0.0.0", False),
        ("10.1.2.3", False),
        ("100.64.1.1", False),
        ("169.254.169.254", False),
        ("192.168.1.1", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:10.1.2.3", False),
        ("64:ff9b::10.1.2.3", False),
        ("2002:0a01:0203::", False),
        ("/run/docker.sock", False),
        ("10.9.0.7", True),
        ("::ffff:10.9.0.7", True),
    ],
)
def test_the_guard_admits_the_internet_and_what_is_allowed(address: str, is_admitted: bool) -> None:
    assert Guard([allowed("10.9.0.0/24")]).admits(address) == is_admitted


def test_the_guard_refuses_the_public_address_of_this_machine_unless_it_is_allowed() -> None:
    """In a network of its own, through the hook that each connection passes."""
    script = """
import sys
from socket import socket
from dropslot.config.guard import Guard
for allowed in ([], ["93.184.215.14"]):
    guard = Guard(allowed)
    print(guard.admits("93.184.215.14"), guard.admits("93.184.215.15"))
sys.addaudithook(Guard().watch)
try:
    socket().connect(("93.184.215.14", 9))
except PermissionError as error:
    print(error)
"""
    network = 'ip link set lo up && ip address add 93.184.215.14/32 dev lo && exec "$0" -c "$1"'
    command = ["unshare", "--map-root-user", "--net", "sh", "-c", network, sys.executable, script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert done.stdout.splitlines() == [
        "False True",
        "True True",
        "no connection to 93.184.215.14 is allowed",
    ], done.stderr


@pytest.mark.parametrize(
    ("key", "target"),
    [
        ("retrying", "study"),
        ("waiting", "sender"),
        ("trouble", "study"),
        ("space", "sender"),
        ("unacknowledged", "sender"),
    ],
)
def test_who_is_never_concerned_by_such_news_cannot_be_told_of_it(key: str, target: str) -> None:
    Notify.model_validate({"failed": ["sender", "study"], "space": ["study"], "unacknowledged": ["study"]})
    with pytest.raises(ValueError, match=f"expected another target than `{target}`"):
        Notify.model_validate({key: [target]})


@pytest.mark.parametrize(
    "text", ["http://chat.lab.example", "10.1.2.0/99", "10.1.2", "a b", "", "-x.example"]
)
def test_what_names_no_host_or_network_cannot_be_allowed(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        allowed(text)
