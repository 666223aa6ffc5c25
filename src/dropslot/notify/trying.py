"""What is wrong with templates and targets, for `doctor`; and a test message, for `notify --test`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ulid import ULID

from dropslot.arrivals.registry import Finding
from dropslot.config import Config
from dropslot.core.errors import DropslotError
from dropslot.core.names import escape
from dropslot.mail.section import mail_of
from dropslot.notify.channels import by_service
from dropslot.notify.channels.message import Fact, Notice
from dropslot.notify.channels.send_message import send
from dropslot.notify.channels.target import Target
from dropslot.notify.channels.written import prove_templates, unused, written
from dropslot.notify.section import SENDER, STUDY, all_targets, notify_of

_TEST = Notice(
    "test",
    "This is a test: messages arrive here",
    [
        Fact(
            "dropslot notify --test",
            "Somebody wanted to know whether messages arrive. Nothing else has happened.",
        )
    ],
    level="info",
)


def examine(config: Config) -> Iterator[Finding]:
    """Each target and template of config.yaml; nothing is sent to anybody."""
    try:
        prove_templates(notify_of(config).templates)
    except DropslotError as error:
        yield Finding("error", "notify.templates", error.what, error.next_step)
    yield from map(_unused, unused(notify_of(config).templates))
    for target, where in places(config).items():
        yield _finding(config, target, ", ".join(where))


def _unused(file: Path) -> Finding:
    what = f"{escape(file.name)} is never used: no message has this name, and no template includes it"
    return Finding("warning", "notify.templates", what, "docs/notifications.md lists the names")


def places(config: Config) -> dict[Target, list[str]]:
    """Every target that config.yaml names, and the keys that name it; not `sender` and `study`."""
    found: dict[Target, list[str]] = {}
    for where, text in all_targets(config):
        if text not in (SENDER, STUDY):
            found.setdefault(Target(text), []).append(where)
    return found


def _finding(config: Config, target: Target, where: str) -> Finding:
    try:
        if missing := target.missing_secrets():
            names = ", ".join(missing)
            return Finding(
                "error", where, f"the environment has no {names}", f"set {names}, or the same with _FILE"
            )
        if not target.mail:
            by_service.prove(target, notify_of(config).allow_private)
        elif mail_of(config) is None:
            return Finding("error", where, f"{target}: there is no mail server", "set the key mail")
    except DropslotError as error:
        return Finding("error", where, error.what, error.next_step)
    return Finding("ok", where, f"messages go to {target}; `dropslot notify --test` sends one")


def tested(config: Config, targets: Iterable[Target], allowed: Sequence[str]) -> Iterator[tuple[Target, str]]:
    """Send a test message to each; the target, and why it was not sent, or nothing."""
    for target in targets:
        message = written(notify_of(config).templates, _TEST, str(ULID()))
        try:
            send(config, target, message, allowed=allowed)
        except DropslotError as error:
            yield target, str(error)
        else:
            yield target, ""
