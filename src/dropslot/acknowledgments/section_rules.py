"""Rules between the key `acknowledge` of a route and its others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dropslot.acknowledgments.section import STORED, Acknowledge, is_dotted, logs_of
from dropslot.config.mistakes.problems import NO_VALUE
from dropslot.config.plugins import fault_of_dotted
from dropslot.config.rules import broken
from dropslot.config.sections import Found, RouteRule
from dropslot.core.templates import Template

if TYPE_CHECKING:
    from dropslot.config import Route


def _logs_serve_a_destination(route: Route) -> Found:
    known = [deliver.to for deliver in route.deliver]
    for index, entry in enumerate(logs_of(route)):
        to = entry.destination
        if to is None and len(known) > 1:
            expected = f"expected the destination that this log's server serves, one of {', '.join(known)}"
            yield broken(route, ("acknowledge", index, "destination"), NO_VALUE, expected)
        elif to is not None and to not in known:
            expected = f"expected the `to` of one of this route's destinations: {', '.join(known)}"
            yield broken(route, ("acknowledge", index, "destination"), to, expected)
        else:
            yield from _match_is_exact(route, index, entry, to or known[0])


def _match_is_exact(route: Route, index: int, entry: Acknowledge, to: str) -> Found:
    """One address must mean one delivery; so it has all that the destination's path has."""
    has, wanted = Template(entry.match).fields, Template(to).fields
    known = Template(route.inbox).fields | set(route.name.groupindex if route.name else ()) | wanted
    location = ("acknowledge", index, "match")
    if missing := sorted(_with_formats(to) - _with_formats(entry.match)):
        expected = f"expected every field of the destination; {', '.join(missing)} of {to} is missing"
        yield broken(route, location, entry.match, expected, "match: '/results/{folder}/{stored_name}'")
    for field in sorted(has - known - STORED):
        yield broken(
            route,
            location,
            entry.match,
            f"expected only fields of this route, but {field} is not one of them",
        )
    if entry.users_field not in has | known:
        expected = f"expected one of this route's fields: {', '.join(sorted((has | known) - STORED)) or 'it has none'}"
        if any(folders != ["*"] for folders in entry.users.values()):
            yield broken(route, ("acknowledge", index, "users_field"), entry.users_field, expected)


def _with_formats(text: str) -> set[str]:
    """The fields of a text; `{date:%Y}` and `{date:%m}` are two."""
    pieces = (piece for piece in Template(text).pieces if piece.field)
    return {f"{piece.field}:{piece.spec}" if piece.spec else piece.field for piece in pieces}


def _each_log_once(route: Route) -> Found:
    seen: set[str] = set()
    for index, entry in enumerate(logs_of(route)):
        if entry.log in seen:
            yield broken(route, ("acknowledge", index, "log"), entry.log, "expected each log once")
        seen.add(entry.log)
        if is_dotted(entry.format) and (expected := fault_of_dotted(entry.format)):
            yield broken(route, ("acknowledge", index, "format"), entry.format, expected)
        for key in ("key", "known_hosts", "password"):
            if getattr(entry, key) and not entry.server:
                expected = "expected this only for a log on another machine (sftp://…)"
                value = NO_VALUE if key == "password" else getattr(entry, key)
                yield broken(route, ("acknowledge", index, key), value, expected)


RULES: tuple[tuple[frozenset[str], RouteRule], ...] = (
    (frozenset({"acknowledge", "deliver"}), _logs_serve_a_destination),
    (frozenset({"acknowledge"}), _each_log_once),
)
