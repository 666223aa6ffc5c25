"""The message when an inbox cannot be watched, with the remedy. The kernel's limits of inotify."""

from __future__ import annotations

import errno
import os

from dropslot.core.names import escape

# inotify is not available, though the folder itself is well.
LIMITS = frozenset({errno.ENOSPC, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSYS})


def of_inbox(path: str, error: OSError) -> str:
    """Why an inbox can neither be watched nor polled."""
    shown = escape(path)
    if error.errno == errno.ENOENT:
        what = f"Inbox {shown} is gone: it was deleted or moved, or its disk is not mounted. Make it, or mount the disk"
    elif error.errno == errno.ENOTDIR:
        what = f"Inbox {shown} is not a folder. Move away what is there and make the folder"
    elif error.errno in (errno.EACCES, errno.EPERM):
        who = f"uid {os.geteuid()}"
        what = (
            f"Inbox {shown} cannot be read by dropslot ({who}), which needs read and search permission to watch it. "
            f"Make {who} its owner (chown), or give {who} r-x on it and x on the folders above"
        )
    else:
        what = f"Inbox {shown} cannot be read: {error.strerror}. Look at its disk or server"
    return f"{what}; it is then watched within a second. The other inboxes are still watched."


def of_limit(path: str, error: OSError) -> str:
    """Why inotify could not be had for an inbox that is well."""
    until = f"{escape(path)} is polled each second until there is room."
    if error.errno == errno.ENOSPC:
        return f"The limit of inotify watches is reached: {_raise('max_user_watches')} {until}"
    if error.errno == errno.EMFILE:
        more = "(or this process's own limit of open files: ulimit -n, LimitNOFILE=)"
        return f"The limit of inotify instances is reached: {_raise('max_user_instances')} {more} {until}"
    return f"inotify is not available: {error.strerror}. {until}"


def of_shared(path: str, kind: str) -> str:
    """Why an inbox is polled by choice."""
    if kind.startswith("poll:"):
        return f"{escape(path)} is polled each second, as its route says ({kind})."
    return f"{escape(path)} is on {kind}, where changes by other machines raise no events: it is polled each second."


def of_overflow() -> str:
    """That the kernel's queue of events was too short."""
    return f"The queue of inotify events was full: {_raise('max_queued_events')}"


def _raise(name: str) -> str:
    return f"fs.inotify.{name} is {value_of(name)}. {advice(name)}"


# What a busy server of ours should have; each watch costs about 1 KB of kernel memory, and only while it is in use.
ENOUGH = {"max_user_watches": 524_288, "max_user_instances": 1024, "max_queued_events": 131_072}


def value_of(name: str) -> int | None:
    """The limit fs.inotify.`name` (a key of ENOUGH); None where it cannot be read."""
    try:
        with open(f"/proc/sys/fs/inotify/{name}") as file:
            return int(file.read())
    except (OSError, ValueError):
        return None


def advice(name: str) -> str:
    """How to raise fs.inotify.`name`: a command, and where to keep it."""
    better = max(ENOUGH[name], 2 * (value_of(name) or 0))
    return f"Raise it: sysctl -w fs.inotify.{name}={better} (and in /etc/sysctl.d/)."
