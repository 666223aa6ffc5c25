"""The kinds of events, so that a listing can tell a kind that has not happened yet from a mistyped one."""

from __future__ import annotations

KINDS = frozenset(
    {
        "accessed",
        "acknowledged",
        "adopted",
        "altered",
        "after-asked",
        "claimed",
        "delivered",
        "dismissed",
        "epoch-adopted",
        "folders-loaded",
        "given-back",
        "left-behind",
        "purged",
        "rebuild",
        "rebuilt",
        "refused",
        "renamed",
        "retry-asked",
        "retrying",
        "started",
        "taken-over",
        "unacknowledged",
        "upload-audited",
        "waiting",
        "withdrawn",
        "written-since",
    }
)
