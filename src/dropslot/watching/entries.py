"""An entry of an inbox that is not taken yet: what it waits for, and its last observed state."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from dropslot.watching import quiet


class Judged(NamedTuple):
    """A complete entry, with the lstat by which it was judged; a claim compares `device` and `inode`, and `ctime_ns`
    is the time of the drop. `size_bytes` is the size of a file, or the sum of a folder's files if the rule walked it,
    else 0.
    """

    name: str
    device: int
    inode: int
    is_folder: bool
    size_bytes: int
    uid: int
    ctime_ns: int = 0

    @classmethod
    def of(cls, name: str, status: os.stat_result, size_bytes: int) -> Judged:
        """From the lstat of an entry."""
        is_folder = stat.S_ISDIR(status.st_mode)
        return cls(
            name, status.st_dev, status.st_ino, is_folder, size_bytes, status.st_uid, status.st_ctime_ns
        )


class Stuck(NamedTuple):
    """An entry that is quiet but not whole: it waits until it is whole, or is given up."""

    judged: Judged
    why: str
    since: float  # seconds of the epoch: the last change of it


class Rule(Enum):
    """What an entry waits for; the value is a text for people."""

    NOW = "to be taken"
    QUIET = "until nothing about it changes"
    MARKER = "for its marker file"
    TEMPORARY = "to be renamed: its name is temporary"
    OTHER_KIND = "to be refused: the route does not take its kind"
    IGNORED = "for nothing: the route does not take its kind"


NEVER_LOOKED_AT = (Rule.TEMPORARY, Rule.IGNORED)


@dataclass(slots=True)
class Entry:
    """The state of one entry while it waits."""

    name: str
    rule: Rule
    since: float  # seconds of the epoch
    begun: float  # monotonic
    ctime_ns: int = 0  # of the entry itself, when its grace began
    seen: quiet.Look | None = None
    stuck: str = ""  # why it was not whole when it was last quiet
    handed: tuple[int, int] | None = None  # device and inode, once it was handed out
    settled: quiet.Look | None = None  # what it looked like then
    finished: bool = False  # has been said
    trouble: str = ""
