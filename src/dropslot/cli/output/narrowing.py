"""The options that narrow a listing: their valid values, and the message when nothing matches."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from dropslot.cli.output.exit_status import UsageError
from dropslot.core import asked
from dropslot.core.asked import searchable
from dropslot.core.names import escape

if TYPE_CHECKING:
    from dropslot.arrivals.listings.queries import Filter
    from dropslot.config import Config

Search = Annotated[
    str, typer.Option("--search", "-s", metavar="TEXT", help="Text in a name, a path, a sender or an id.")
]
RouteKey = Annotated[str, typer.Option("--route", "-r", metavar="ROUTE", help="Only this route.")]
Since = Annotated[
    str,
    typer.Option(
        "--since",
        metavar="TIME",
        help="Received since: 2026-03-01, 2026-03-01T08:00 (UTC), or 90m, 36h, 7d ago.",
    ),
]
ArrivalState = Annotated[
    str,
    typer.Option("--state", metavar="STATE", help="waiting, ready, processing, retrying, done or failed."),
]


def narrowed(
    config: Config, search: str, state: str, route: str, since: str, newest: int | None = None
) -> Filter:
    """The filter that the options mean. Raises UsageError for a value that there is not."""
    from dropslot.arrivals.listings.queries import Filter

    return Filter(searchable(search), known_state(state), known_route(config, route), moment(since), newest)


def known_state(text: str) -> str:
    """The state, if it is known or empty. Raises UsageError."""
    from dropslot.core.states import State

    return one_of("--state", text, State)


def known_route(config: Config, key: str, option: str = "--route") -> str:
    """A route of config.yaml, or one that it had and arrivals came through; or nothing. Raises UsageError."""
    from dropslot.arrivals.listings import queries

    if not key or key in config.routes:
        return key
    return one_of(option, key, {*config.routes, *queries.routes_of_arrivals()})


def known_kind(kind: str) -> str:
    """The kind of event, if it is known or empty. Raises UsageError."""
    from dropslot.audit import event_search
    from dropslot.audit.kinds import Kind

    kinds = {each.value for each in Kind}
    return kind if kind in kinds else one_of("--kind", kind, kinds | event_search.kinds())


def one_of(option: str, value: str, known: Iterable[str]) -> str:
    """The value, when it is known or empty. Raises UsageError, which names all that are."""
    there = sorted(known) if isinstance(known, (set, frozenset)) else list(known)
    if value and value not in there:
        raise UsageError(f"{option} {escape(value)!r} is unknown", next_step=f"Use one of {', '.join(there)}")
    return value


def moment(text: str) -> datetime | None:
    """The time that `--since` means, in UTC. Raises UsageError."""
    try:
        return asked.moment(text)
    except ValueError:
        raise UsageError(
            f"--since {escape(text)!r} is not a time", next_step=f"Write {asked.TIMES}"
        ) from None


def no_match(empty: str, hint: str = "", **options: str | bool | None) -> str:
    """The message for a listing without rows: `empty` if no option narrowed it, otherwise the options that nothing
    matches."""
    given = [_written(name, value) for name, value in options.items() if value not in ("", None, False)]
    if not given:
        return empty
    since = options.get("since")
    at = moment(since) if isinstance(since, str) else None
    future = " That time is in the future." if at and at > datetime.now(UTC) else ""
    return f"No match for {' '.join(given)}.{future}{' ' + hint if hint else ''}"


def _written(name: str, value: str | bool | None) -> str:
    flag = f"--{name.replace('_', '-')}"
    return flag if value is True else f"{flag} {escape(str(value))}"
