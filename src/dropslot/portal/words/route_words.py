"""A route of config.yaml in sentences. Names of secrets and key files are not among them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from dropslot.acknowledgments.section import logs_of
from dropslot.config import Deliver, Route
from dropslot.core.concealing import conceal
from dropslot.core.showing.amounts import size
from dropslot.watching.reasons import shown


class Fact(NamedTuple):
    """A question about a route, and the answer; `code` is a pattern or path that belongs to it."""

    label: str
    lines: tuple[tuple[str, str], ...]


def facts(route: Route) -> list[Fact]:
    """All that people ask about a route."""
    found = [
        Fact("Inbox", (("Senders drop into", route.inbox),)),
        Fact("Takes", ((_takes(route), ""),)),
        Fact("Complete", ((_complete(route), ""),)),
        Fact("Name", tuple(_name(route))),
        Fact(
            "Checks", tuple(checks(route)) or (("Nothing is checked besides names and kinds of files.", ""),)
        ),
        Fact("Goes to", tuple(_destination(rule) for rule in route.deliver)),
        Fact("Fetched", tuple(_acknowledged(route))),
    ]
    extra = tuple(_extras(route))
    return [*found, *([Fact("Besides", extra)] if extra else [])]


def _takes(route: Route) -> str:
    if route.takes == "any":
        return "Each folder and each single file is one arrival."
    kind = "whole folders" if route.takes == "directories" else "single files"
    other = "files" if route.takes == "directories" else "folders"
    fate = "stay where they are" if route.leave_source or route.other_kinds == "ignore" else "are refused"
    return f"It takes {kind}; {other} {fate}."


def _complete(route: Route) -> str:
    quiet = f"nothing about it has changed for {shown(route.settle)}"
    return {
        "renamed": f"After a rename to its final name; if it was created under that name, once {quiet}.",
        "named": "As soon as it has a name that is not temporary.",
        "settled": f"Once {quiet}.",
        "marker": f"When the file {route.marker} appears inside it.",
    }[route.complete]


def _name(route: Route) -> Iterator[tuple[str, str]]:
    if route.name_help:
        yield route.name_help, ""
    if route.name:
        yield "The whole name must match", route.name.pattern
    if not route.name:
        yield "Any safe name will do.", ""
    if route.test_names:
        yield "These names are never delivered", str(route.test_names)


def checks(route: Route) -> Iterator[tuple[str, str]]:
    """Each check of a route in words, with its pattern."""
    select = route.select
    if select.patterns:
        yield "Each item's name must match one of", ", ".join(map(str, select.patterns))
    if select.mime:
        yield "Each item's content must be one of", ", ".join(map(str, select.mime))
    if select.max_item_size:
        yield f"No item may be larger than {size(select.max_item_size)}.", ""
    if select.max_size:
        yield f"The whole may not be larger than {size(select.max_size)}.", ""
    if select.max_items:
        yield f"It may hold {select.max_items:,} items at most.", ""
    for entry in route.checks:
        for name, option in entry.items():
            yield _check(name, option)


def _check(name: str, option: Any) -> tuple[str, str]:
    if name == "bag":
        return "It must be a BagIt bag; every file is compared with its manifest.", ""
    if name == "pdf_contains":
        return "Each PDF must contain the text of its own name that matches", str(option)
    return f"Check {name}", "" if option is None else str(option)


def _destination(rule: Deliver) -> tuple[str, str]:
    parts = []
    if rule.must_exist:
        parts.append("an existing folder is needed")
    if rule.group:
        parts.append(f"group {rule.group}")
    if rule.manifest != "hidden":
        parts.append("no manifest" if rule.manifest == "none" else "its manifest beside it")
    kind = f"A destination of kind {rule.scheme}" if rule.scheme else "A folder of this machine"
    known = {"sftp": "A server, by SFTP"}.get(rule.scheme, kind)
    more = f" ({', '.join(parts)})" if parts else ""
    return f"{known}{more}", conceal(rule.to)


def _acknowledged(route: Route) -> Iterator[tuple[str, str]]:
    for entry in logs_of(route):
        who = "anybody" if "*" in entry.users else ", ".join(sorted(entry.users))
        yield f"Read from an access log; these count as recipients: {who}", conceal(entry.log)
    if not logs_of(route):
        yield "No access log is read: only downloads in this portal are known.", ""


def _extras(route: Route) -> Iterator[tuple[str, str]]:
    if route.leave_source:
        yield "Nothing is moved: it is read where it lies, and a later change is a revision.", ""
    for lookup in route.lookup:
        yield f"The field {lookup.field} is looked up in the folder table, label {lookup.label}", lookup.table
    if route.made_by:
        yield "What is delivered is made anew from what was sent", next(iter(route.made_by))
    if route.after:
        yield "After each delivery this function is called", str(route.after)
