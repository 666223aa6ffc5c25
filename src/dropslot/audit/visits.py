"""What the events record of what people and programs did in the portal; the rules of `event_payloads` hold here."""

from __future__ import annotations

from typing import NotRequired, TypedDict


class Visit(TypedDict):
    """Who did something in the portal, from where, and when; `by` is an account, empty before the sign-in."""

    by: str
    address: str
    at: str
    token: NotRequired[str]  # the id of the token, if a program did it


class SignedIn(Visit):
    how: str


class SignInRefused(Visit):
    name: str
    why: str


class AccessRefused(Visit):
    what: str


class RightsChanged(Visit):
    of: str
    what: str


class Uploaded(Visit):
    route: str
    name: str
    files: int
    size_bytes: int


class Opened(Visit):
    """A payload that was looked at or downloaded. `part`: only these bytes of it (`0-99/1000`) or this page;
    `files`: how many of the arrival were in one zip, of which this is one."""

    destination: str
    stored_as: str
    version: int
    sha256: str
    part: NotRequired[str]
    files: NotRequired[int]


class Exported(Visit):
    what: str
    rows: int


class Verified(Visit):
    """The result of a verification that somebody started: how much was checked, and the number of faults."""

    what: str
    outcome: str
    events: int
    files: int
    faults: int
    head: str
    unread: NotRequired[int]  # files whose destination did not answer
