"""What the portal says about names and sizes before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dropslot.access.section import refuses_repeats
from dropslot.access.seen import Access
from dropslot.api.tus.beforehand import entry_rules, upload_target
from dropslot.api.tus.beforehand.entry_rules import Entry, Item
from dropslot.api.tus.problems import Problem
from dropslot.config.route_folders import FolderSet
from dropslot.core.names import escape

_MOST_NAMES = 20_000
_TOLD_REASONS = 100
_STEP = "Send {names} as a list of {{name, size_bytes}} or {{name, folder: true, items: [[path, size], …]}}"


def judge(access: Access, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """For each name what it would be refused for, and when it was sent before. Raises Problem."""
    names = wanted.get("names")
    if not isinstance(names, list) or len(names) > _MOST_NAMES:
        raise Problem(400, "`names` is not such a list", _STEP.format(names="`names`"))
    folders = upload_target.target(access, {k: v for k, v in wanted.items() if isinstance(v, str)})
    entries = [_entry(one) for one in names]
    shown = [entry.name for entry in entries]
    before, repeated = upload_target.earlier(access, folders, shown), upload_target.was_sent(folders, shown)
    return {
        "route": folders.route.key,
        "repeat": "refuse" if refuses_repeats(folders.route) else "version",
        "names": [_judged(access, folders, entry, before, repeated) for entry in entries],
    }


def _judged(
    access: Access,
    folders: FolderSet,
    entry: Entry,
    before: Mapping[str, Sequence[upload_target.Earlier]],
    repeated: set[str],
) -> dict[str, Any]:
    reasons = entry_rules.faults(access.config, folders.route, entry)
    if entry.name in repeated:
        reasons.append(upload_target.fault_of_repeat(entry.name))
    litter = folders.route.litter
    return {
        "name": entry.name,
        "refused": reasons[:_TOLD_REASONS],
        "reasons": len(reasons),
        "next_step": entry_rules.next_step(folders.route, entry.name, is_folder=entry.is_folder)
        if reasons
        else "",
        "sent_before": [
            {"arrival": one.id, "state": one.state, "at": one.received_at.strftime("%Y-%m-%dT%H:%M:%SZ")}
            for one in before.get(escape(entry.name), ())
        ],
        "in_inbox": not reasons and upload_target.waits(folders, entry.name),
        "ignored": [item.path for item in entry.items if entry.is_folder and litter.is_named(item.path)],
    }


def _entry(said: Any) -> Entry:
    if isinstance(said, dict) and isinstance(said.get("name"), str):
        if said.get("folder") is True:
            return Entry(said["name"], True, [_item(item) for item in said.get("items") or []])
        if type(said.get("size_bytes")) is int:
            return Entry(said["name"], False, [Item(said["name"], said["size_bytes"])])
    raise Problem(400, "An entry of `names` is not of the right form", _STEP.format(names="`names`"))


def _item(said: Any) -> Item:
    if isinstance(said, list) and len(said) == 2 and isinstance(said[0], str) and type(said[1]) is int:
        return Item(said[0], said[1])
    raise Problem(400, "An item of a folder is not of the right form", _STEP.format(names="`names`"))
