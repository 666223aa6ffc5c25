"""The kinds of troubles: what `health` finds late, full or failing, and what people are told of."""

from __future__ import annotations

from enum import StrEnum


class TroubleKind(StrEnum):
    """What is in trouble. The value is what events store, and what people may choose to be told of."""

    WAITING = "waiting"  # arrivals that no worker has begun, or that cannot be taken
    RETRYING = "retrying"
    FAILED = "failed"  # refused, and nobody decided
    UNACKNOWLEDGED = "unacknowledged"  # delivered, and not fetched in time
    SPACE = "space"
    WATCHER = "watcher"
    PROCESS = "process"  # one that ended, or shows no sign of life
    INBOX = "inbox"  # that nobody acts on, or that belongs to another installation
    DATABASE = "database"
    LOG_READER = "log-reader"
    CHAIN = "chain"
    FIXITY = "fixity"
    RETENTION = "retention"  # originals that should have left done and are kept
    TIMESTAMP = "timestamp"
    CLOCK = "clock"  # of a machine, that jumped
    PING = "ping"  # the dead-man ping does not arrive
    NOTIFY = "notify"  # messages that cannot be sent
    OTHER = "other"
