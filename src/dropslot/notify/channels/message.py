"""What is sent, and why it could not be sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from dropslot.core.errors import DropslotError

Level = Literal["info", "success", "warning", "failure"]


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that a message tells, in sentences. Names of senders may be in it as they are: `written` makes them
    harmless. `link` is the address of its page; `at` a time in UTC as in JSON, `when` the same for people."""

    about: str
    what: str
    remedy: str = ""
    route: str = ""
    study: str = ""
    link: str = ""
    at: str = ""
    when: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """What somebody is told, before a template gives it words. `kind` chooses the template: `failed`, `digest` …;
    `title` is a sentence, as "37 arrivals failed for the same reason". `facts` are those that are listed, `more` how
    many there are besides. `values` is for templates of a kind of their own. It goes through JSON and back:
    `Notice(**…)` with `facts` as mappings."""

    kind: str
    title: str
    facts: Sequence[Fact] = ()
    more: int = 0
    level: Level = "warning"
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent. `id` is the same each time that it is tried (Message-ID): 1 to 64 letters, digits, dashes.
    `subject` is one line, `html` may be empty."""

    id: str
    subject: str
    text: str
    html: str = ""
    level: Level = "warning"


class NotSent(DropslotError):
    """A target did not take a message now; nothing is kept of it. It may be tried again."""

    code = "not-sent"
    retryable = True


class NeverSent(NotSent):
    """The target refuses this message or does not exist: the same again would be refused again."""

    code = "never-sent"
    retryable = False
