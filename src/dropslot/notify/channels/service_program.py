"""Run as a program of its own: sends one message by apprise, and prints what came of it.

apprise has a module for each of 130 services. Here no library that one of them uses reaches an address that the guard
refuses, and none follows a redirect; whoever started this ends it when it takes too long. It has none of the service's
secrets but the one address.
"""

from __future__ import annotations

import json
import logging
import re
import resource
import sys
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from dropslot.config.guard import Guard

_MEMORY_BYTES = 2 << 30  # an answer may be endless
_PART = re.compile(r"[^/?&=@:#+,]{6,}")


def main() -> None:
    """Standard input: url, allowed, title, body, level, or url and is_asked_only. Standard output: sent, known, why,
    refused, and several: the address leads to more than one place, which are tried again as a whole."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    answer = _send(json.load(sys.stdin))
    sys.stdout.write(json.dumps(answer))


def _send(asked: Mapping[str, Any]) -> dict[str, Any]:
    import apprise
    import requests

    requests.sessions.DEFAULT_REDIRECT_LIMIT = 0  # of each session that is made
    guard = Guard(asked.get("allowed", ()))
    sys.addaudithook(guard.watch)
    with _captured() as said:
        asset = _asset()
        service = apprise.Apprise.instantiate(asked["url"], asset=asset)
        if service is None:
            return {"sent": False, "known": False, "why": "", "refused": []}
        if len(service) > 1 or asked.get("is_asked_only"):
            return {"sent": False, "known": True, "why": "", "refused": [], "several": len(service) > 1}
        service.overflow_mode = apprise.OverflowMode.TRUNCATE
        sender = apprise.Apprise(asset=asset)
        sender.add(service)
        sent = sender.notify(
            title=asked["title"],
            body=asked["body"],
            notify_type=apprise.NotifyType(asked["level"]),
            body_format=apprise.NotifyFormat.TEXT,
        )
        why = _without_address(said.getvalue(), asked["url"])
    return {"sent": bool(sent), "known": True, "why": why, "refused": guard.refused}


def _captured() -> Any:
    import apprise

    capture: Any = apprise.LogCapture  # has no types
    return capture(level=logging.WARNING, fmt="%(message)s")


def _asset() -> Any:
    import apprise

    return apprise.AppriseAsset(
        app_id="dropslot",
        app_desc="dropslot",
        app_url="",
        image_url_mask="",
        image_url_logo="",
        async_mode=False,
        storage_mode=apprise.PersistentStoreMode.MEMORY,
    )


def _without_address(text: str, url: str) -> str:
    """What apprise said, without what may be a token of the address."""
    rest = url.split("://", 1)[-1]
    parts = {part for form in (rest, unquote(rest)) for part in _PART.findall(form)}
    for part in sorted(parts, key=len, reverse=True):
        text = text.replace(part, "***")
    return " ".join(text.split())[:500]


if __name__ == "__main__":
    main()
