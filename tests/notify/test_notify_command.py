"""`dropslot notify --test`, and what `doctor` says of the places that are told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dropslot.config import Config, from_mapping
from dropslot.notify import trying
from portals import routes
from postbox import Mailbox
from product import Product
from webhooks import Webhooks


@pytest.mark.sqlite_only
def test_a_test_message_goes_to_each_place(
    product: Product, make_mailbox: Callable[..., Mailbox], webhooks: Webhooks
) -> None:
    box = make_mailbox()
    targets = ["mailto:ops@lab.example", "${HOOK}"]
    product.configure(
        mail=box.key, notify={"trouble": targets, "failed": targets, "allow_private": ["127.0.0.1"]}
    )
    done = product.run("notify", "--test", HOOK=webhooks.address("/ok"))
    assert done.stdout.splitlines() == ["mailto:ops@lab.example: sent", "${HOOK}: sent"]
    (letter,) = box.letters
    assert letter.message["Subject"] == "dropslot: This is a test: messages arrive here"
    assert webhooks.taken[0]["title"] == letter.message["Subject"]
    done = product.run("notify", "--test", "${HOOK}", HOOK=webhooks.address("/500"), status=1)
    assert done.stdout.startswith("${HOOK}: did not take the message: Failed to send JSON POST")
    assert product.run("notify", status=2).stderr.startswith("dropslot: notify needs --test")


def _config(folder: Path, **notify: Any) -> Config:
    return from_mapping({"data": str(folder / "var"), "notify": notify, "routes": routes(folder)}, folder)


def test_doctor_names_what_cannot_be_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "failed.txt").write_text("{% for %}")
    (tmp_path / "faild.txt").write_text("{% include 'greeting.txt' %}")
    (tmp_path / "greeting.txt").write_text("Hello,")
    monkeypatch.setenv("UNKNOWN", "nosuch://a/b")
    config = _config(
        tmp_path,
        templates=str(tmp_path),
        failed=["mailto:ops@lab.example"],
        trouble=["json://${NO_SUCH_HOST}/", "${UNKNOWN}"],
        space=["json://127.0.0.1/"],
        waiting=["jsons://127.0.0.2:8443/path"],
        allow_private=["127.0.0.1"],
    )
    assert [(found.level, found.about, found.what) for found in trying.examine(config)] == [
        (
            "error",
            "notify.templates",
            f"The template {tmp_path}/failed.txt has a mistake: 'for' statements should have at"
            " least four words: for",
        ),
        (
            "warning",
            "notify.templates",
            "faild.txt is never used: no message has this name, and no template includes it",
        ),
        ("error", "notify.failed", "mailto:ops@lab.example: there is no mail server"),
        (
            "error",
            "notify.waiting",
            "jsons://127.0.0.2:8443/… leads to 127.0.0.2, which is this machine or a private network",
        ),
        ("ok", "notify.space", "messages go to json://127.0.0.1/…; `dropslot notify --test` sends one"),
        ("error", "notify.trouble", "the environment has no NO_SUCH_HOST"),
        ("error", "notify.trouble", "${UNKNOWN} is not an address that apprise understands"),
    ]
