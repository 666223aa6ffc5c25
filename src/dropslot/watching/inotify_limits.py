"""The kernel's limits of inotify: what they are, and how to raise them."""

from __future__ import annotations

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
