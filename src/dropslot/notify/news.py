"""What people may be told of: the keys of `notify` in config.yaml, and the choices on the portal's page."""

from __future__ import annotations

from enum import StrEnum


class News(StrEnum):
    """One kind of news. The value is the key."""

    FAILED = "failed"
    DONE = "done"
    RETRYING = "retrying"
    WAITING = "waiting"
    UNACKNOWLEDGED = "unacknowledged"
    SPACE = "space"
    INSTANCES_CHANGED = "instances_changed"
    TROUBLE = "trouble"


MEANINGS = {
    News.FAILED: "an arrival was refused",
    News.DONE: "an arrival was delivered",
    News.RETRYING: "arrivals cannot be delivered for too long",
    News.WAITING: "arrivals wait too long for a worker, or for their place in the inbox",
    News.UNACKNOWLEDGED: "deliveries are not fetched in time",
    News.SPACE: "a disk, a folder or a study is nearly full, or full",
    News.INSTANCES_CHANGED: "an image came again with other bytes under the same UID",
    News.TROUBLE: "`health` finds anything else: a watcher or another process that is down, a log that cannot be"
    " read, a chain, a stored file or a time stamp that is not as it should be",
}


VALUES = frozenset(news.value for news in News)


def news_of(trouble: str) -> News:
    """Under which key people are told of a trouble of this kind (`core.troubles`)."""
    return News(trouble) if trouble in VALUES - {News.DONE} else News.TROUBLE
