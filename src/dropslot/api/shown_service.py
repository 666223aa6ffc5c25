"""What the API says of the service itself: its watcher, and what is late. The rules of `response_schemas` hold here."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from dropslot.api.response_schemas import Id, Time
from dropslot.core.troubles import TroubleKind


class WatchedRoute(BaseModel):
    """A route and its inbox."""

    route: str
    inbox: str | None = Field(description="Null for those who do not see all routes.")


class WatchedInbox(BaseModel):
    """Which watcher acts on an inbox, on whatever machine it runs."""

    route: str
    inbox: str
    acts: str | None = Field(description="Null: nobody now.", examples=["drop1 (pid 812)"])
    since: Time | None
    stand_by: list[str] = Field(description="Those that take over within 15 seconds.")


class Watcher(BaseModel):
    """The watcher, with the keys of `watcher_status --json`."""

    running: bool
    pid: int | None = Field(description="Null for those who do not see all routes.")
    since: Time | None
    pid_file: str | None = Field(description="Null for those who do not see all routes.")
    routes: list[WatchedRoute]
    inboxes: list[WatchedInbox] | None = Field(description="Null for those who do not see all routes.")


class Late(BaseModel):
    """One thing that is late or wrong."""

    kind: TroubleKind
    about: str = Field(examples=["watcher"])
    what: str = Field(examples=["it is not running"])
    remedy: str = Field(examples=["dropslot start_watcher"])
    route: str = Field(description="Empty: about no single one.")
    late_seconds: int | None = Field(description="By how much it is late; null: not known.")


class Waiting(BaseModel):
    """Arrivals in one state."""

    count: int
    oldest_seconds: int | None = Field(description="How long ago the oldest was dropped; null: none.")


class Oldest(BaseModel):
    """The arrival that has waited longest."""

    arrival: Id
    route: str
    state: str = Field(examples=["ready"])
    seconds: int


class Process(BaseModel):
    """One process of the service."""

    name: str = Field(examples=["worker-1"])
    pid: int | None = Field(description="Null: it ended unexpectedly.")
    quiet_seconds: float = Field(description="Since it gave a sign of life.")
    busy: bool


class Machine(BaseModel):
    """One tree of processes, on whatever machine."""

    tree: str = Field(
        description="`service`, `portal`, `worker`, `beat` or `sentinel`.", examples=["service"]
    )
    host: str
    pid: int = Field(description="Of the process that watches over it.")
    alive: bool = Field(description="Whether it shows signs of life.")
    since: Time
    processes: list[Process] = Field(description="Of its machine.")


class Space(BaseModel):
    """How full one file system is."""

    folder: str = Field(description="One of the folders on it that dropslot writes.")
    percent_full: int
    free_bytes: int


class Health(BaseModel):
    """Whether all is in time. Without a role that sees a whole route there is only `status`."""

    status: Literal["ok", "late"]
    late: list[Late] | None = Field(None, description="What is late; null for those who may not know.")
    watcher: bool | None = Field(None, description="Whether it runs.")
    database: bool | None = Field(None, description="Whether it answers.")
    ready: Waiting | None = Field(None, description="Claimed arrivals that no worker has begun.")
    retrying: Waiting | None = Field(None, description="Arrivals that wait for their next attempt.")
    failed: int | None = Field(None, description="Failed arrivals that nobody has retried or dismissed.")
    oldest: Oldest | None = Field(
        None,
        description="The arrival that has waited longest; null: none, or not for those who do not see all routes.",
    )
    inboxes: list[WatchedInbox] | None = Field(None, description="Empty for those who do not see all routes.")
    machines: list[Machine] | None = Field(None, description="Empty for those who do not see all routes.")
    space: list[Space] | None = None
