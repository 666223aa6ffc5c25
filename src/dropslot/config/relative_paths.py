"""Makes relative paths of a configuration absolute; texts with fields stay templates. Also says whether one path is
inside another if both may contain fields.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from dropslot.config import sections
from dropslot.config.deliver_entries import Deliver
from dropslot.config.models import Config, Route
from dropslot.core.addressing.addresses import scheme_of
from dropslot.core.templates import Template, literal


def absolute(config: Config) -> Config:
    """The configuration with every path absolute: relative ones are beneath `config.base`."""
    base = config.base
    return config.model_copy(
        update={
            "data": absolute_path(config.data, base),
            "logs": absolute_path(config.logs, base),
            "pid": absolute_path(config.pid, base),
            **sections.absolute(config, base),
            "routes": {key: absolute_route(route, base) for key, route in config.routes.items()},
        }
    )


def absolute_route(route: Route, base: Path) -> Route:
    """The route with every path absolute."""
    texts: dict[str, Any] = {
        name: absolute_text(getattr(route, name), base) for name in ("inbox", "processing", "done", "failed")
    }
    if route.folders:
        texts["folders"] = absolute_text(route.folders, base)
    if route.receipts:
        texts["receipts"] = absolute_text(route.receipts, base)
    texts["deliver"] = [_absolute_deliver(entry, base) for entry in route.deliver]
    texts["lookup"] = [
        each.model_copy(update={"table": str(absolute_path(Path(each.table), base))}) for each in route.lookup
    ]
    texts |= sections.absolute(route, base)
    # model_copy would forget which folders were set and which follow from `folders`.
    return Route.model_construct(route.model_fields_set, **{**dict(route), **texts})


def absolute_path(path: Path, base: Path) -> Path:
    """`path` beneath `base` unless it is absolute; `~` is the service's home."""
    return Path(os.path.normpath(base / _home(str(path))))


def absolute_text(text: str, base: Path) -> str:
    """The same for a text with fields, in which the braces of `base` are doubled."""
    whole = os.path.join(literal(str(base)), _home(text))
    normal = os.path.normpath(whole)
    # POSIX gives two leading slashes a meaning of their own, and normpath keeps them.
    return normal[1:] if normal.startswith("//") else normal


def _home(text: str) -> str:
    if text != "~" and not text.startswith("~/"):
        return text
    return literal(os.path.expanduser("~")) + text[1:] if "{" in text else os.path.expanduser("~") + text[1:]


def _absolute_deliver(deliver: Deliver, base: Path) -> Deliver:
    updates: dict[str, Any] = {"to": absolute_target(deliver.to, base)}
    if deliver.must_exist:
        updates["must_exist"] = absolute_target(deliver.must_exist, base)
    if deliver.space.of:
        of = absolute_target(deliver.space.of.rstrip("/"), base)
        updates["space"] = deliver.space.model_copy(update={"of": of})
    for name in ("key", "known_hosts", "ca", "certificate"):
        if path := getattr(deliver, name):  # what is updated counts as set
            updates[name] = absolute_path(path, base)
    return deliver.model_copy(update=updates)


def absolute_target(text: str | None, base: Path) -> str | None:
    """The same for a destination; the address of a server stays as it is."""
    return text if text is None or scheme_of(text) else absolute_text(text, base)


def is_within(inner: str, outer: str) -> bool:
    """Whether `inner` is `outer` or beneath it whatever the values of their fields are."""
    return _parts(inner)[: len(_parts(outer))] == _parts(outer)


def may_be_within(inner: str, outer: str) -> bool:
    """Whether `inner` may be `outer` or beneath it for some values of their fields."""
    inner_parts, outer_parts = _parts(inner), _parts(outer)
    if len(inner_parts) < len(outer_parts):
        return False
    return all(_may_be_same(*pair) for pair in zip(inner_parts, outer_parts, strict=False))


def overlap(one: str, other: str) -> bool:
    """Whether one of the two may be within the other."""
    return may_be_within(one, other) or may_be_within(other, one)


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part]


def _may_be_same(one: str, other: str) -> bool:
    if one == other:
        return True
    if Template(one).fields and Template(other).fields:
        return True
    if Template(other).fields:
        one, other = other, one
    return Template(one).match(Template(other).fixed) is not None if Template(one).fields else False
