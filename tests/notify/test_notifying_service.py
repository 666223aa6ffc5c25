"""The service with a mail server that is slow, away or back again: deliveries do not wait, people are told."""

from __future__ import annotations

import os
import re
import signal
import socket
from collections.abc import Callable
from typing import Any

import pytest

from postbox import Mailbox
from product import Product
from waiting import wait_until

OPS = "mailto:ops@lab.example"
AT_ONCE = {"gather": 0, "every": 0, "failed": [OPS], "done": [OPS]}
STUDY: dict[str, Any] = {
    "folders": "./study",
    "takes": "files",
    "name": r"(?P<study>\w+)-\d+",
    "deliver": [{"to": "./studies"}],
}
MANY = 20


def bodies(box: Mailbox) -> str:
    found = (letter.message.get_body(("plain",)) for letter in box.letters)
    return "\n".join(str(body.get_content()) for body in found if body)


def events(product: Product, kind: str) -> list[dict[str, Any]]:
    return [event for event in product.listing("events") if event["kind"] == kind]


def told_of(product: Product, news: str) -> int:
    """Of how much people were told, or may have been told."""
    found = [*events(product, "notified"), *events(product, "not-notified")]
    return sum(event["data"]["news"].get(news, 0) for event in found)


@pytest.mark.crash
@pytest.mark.sqlite_only
def test_a_mail_server_that_never_answers_delays_no_delivery_and_a_kill_sends_nothing_twice(
    sqlite_product: Product, make_mailbox: Callable[..., Mailbox]
) -> None:
    box = make_mailbox()
    with socket.create_server(("127.0.0.1", 0), backlog=100) as silent:
        mail = {**box.key, "server": f"smtp://127.0.0.1:{silent.getsockname()[1]}"}
        sqlite_product.configure({"study": STUDY}, mail=mail, notify=AT_ONCE)
        service = sqlite_product.start("run")
        sqlite_product.drop("wrong", b"x")
        sqlite_product.wait_for_state("wrong", "failed")
        connection, _ = silent.accept()  # the message about it is being sent now, and hangs
        for number in range(MANY):
            sqlite_product.drop(f"heart-{number}", b"%d" % number)
        wait_until(lambda: len(sqlite_product.delivered()) == MANY, what="the deliveries")
        os.killpg(service.pid, signal.SIGKILL)
        service.wait()
        connection.close()
    sqlite_product.configure({"study": STUDY}, mail=box.key, notify=AT_ONCE)
    sqlite_product.start("run")
    wait_until(lambda: "not known whether it arrived" in bodies(box), what="a word about the first message")
    wait_until(lambda: told_of(sqlite_product, "done") == MANY, what="a word about the deliveries")
    assert told_of(sqlite_product, "failed") == 1
    assert "1 arrival of route study failed" in bodies(box).split("not known whether it arrived")[1]
    counts = re.findall(r"(\d+) arrivals? of route study delivered", bodies(box))  # told, or named as unsure
    assert sum(map(int, counts)) == MANY
    assert "wrong:" not in bodies(box)
    found = sqlite_product.run("doctor", status=None).stdout
    assert "it is not sent again" not in found
    assert "whether it arrived is not known" in found


def test_a_drain_tells_people_too(product: Product, make_mailbox: Callable[..., Mailbox]) -> None:
    box = make_mailbox()
    product.configure({"study": STUDY}, mail=box.key, notify={**AT_ONCE, "done": ["sender"]})
    product.drop("wrong", b"x")
    product.drop("heart-1", b"1")
    product.drain(status=None)
    [letter] = box.letters
    assert letter.to == ["ops@lab.example"]
    [event] = events(product, "notified")
    assert event["data"]["news"] == {"failed": 1}


def test_what_cannot_be_told_as_config_yaml_says_is_refused_at_the_start(sqlite_product: Product) -> None:
    sqlite_product.configure({"study": STUDY}, notify={"failed": [OPS]})
    ended = sqlite_product.run("run", status=None, timeout_seconds=60)
    assert ended.status != 0
    assert (
        "notify.failed: mailto:ops@lab.example is told by mail, and config.yaml has no mail server"
        in ended.stderr
    )
    assert "Add `mail: {server:" in ended.stderr


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ({"failed": ["ops@lab.example"]}, "expected mailto:NAME@HOST"),
        ({"failed": ["slack://a:secret@T/x"]}, "expected no password"),
        ({"digest": {"daily": ["sender"]}}, "expected another target than `sender`"),
        ({"quiet": "22-7"}, "expected two times of the day"),
        ({"sender_address": "ops@lab.example"}, "expected an address with {owner}"),
        ({"allow_private": ["http://x"]}, "expected a host"),
    ],
)
def test_a_mistake_in_config_yaml_is_named(
    sqlite_product: Product, key: dict[str, Any], expected: str
) -> None:
    sqlite_product.configure({"study": STUDY}, notify=key)
    ended = sqlite_product.run("drain", status=2)
    assert expected in " ".join(ended.stderr.split())
    assert "secret" not in ended.stderr.replace("no secret", "")
