"""The key `acknowledge` of a route: the access logs that show whether deliveries were fetched."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from dropslot.acknowledgments.formats.log_format import LogFormat
from dropslot.config.sections import Connection, Part, RouteRule, Section
from dropslot.config.values import DestinationTemplate, Duration, VariableName, template
from dropslot.core.addressing import addresses
from dropslot.core.concealing import has_password
from dropslot.core.templates import Template

if TYPE_CHECKING:
    from dropslot.config import Config, Deliver, Route
from typing import TYPE_CHECKING

from dropslot.config.plugins import fault_of_dotted
from dropslot.config.sections import Found, broken
from dropslot.core.settings.config_errors import NO_VALUE

if TYPE_CHECKING:
    from dropslot.config import Route


STORED = frozenset({"stored_name", "stored_as"})
_DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+", re.ASCII)
Preset = Literal["none", "apache", "owncloud", "nextcloud", "webdav"]


def is_dotted(format_: str) -> bool:
    """Whether a format is a log line reader of one's own."""
    return _DOTTED.fullmatch(format_) is not None


def _log(value: str) -> str:
    if "\0" in value or not value.strip():
        raise ValueError("expected the path of a log, or sftp://USER@HOST/PATH")
    if "://" not in value and not has_password(value):
        return value
    if addresses.scheme_of(value) != "sftp":
        raise ValueError("expected a path or an address that begins with sftp://")
    address = addresses.parse(value)
    if address.path in ("/", "~"):
        raise ValueError("expected sftp://USER@HOST/PATH, with the path of a log")
    return address.url


def _format(value: str) -> str:
    if not is_dotted(value):
        LogFormat(value)
    return value


def _match(value: str) -> str:
    template(value)
    if not value.startswith("/"):
        raise ValueError("expected the path (and query) of an address, beginning with /")
    if len(Template(value).fields & STORED) != 1:
        raise ValueError("expected one of the fields {stored_name} and {stored_as}")
    return value


def _users(value: Any) -> Any:
    """`clinic: folder` as `clinic: [folder]`."""
    if not isinstance(value, Mapping):
        return value
    return {user: [folders] if isinstance(folders, str) else folders for user, folders in value.items()}


_TEXT = {"type": "string"}
_USERS = WithJsonSchema(
    {
        "type": "object",
        "minProperties": 1,
        "additionalProperties": {"anyOf": [_TEXT, {"type": "array", "items": _TEXT, "minItems": 1}]},
    }
)
LogPlace = Annotated[
    str, AfterValidator(_log), WithJsonSchema({"type": "string", "x-kind": "path or sftp address"})
]
Format = Annotated[
    str, AfterValidator(_format), WithJsonSchema({"type": "string", "x-kind": "format of lines"})
]
MatchText = Annotated[
    str, AfterValidator(_match), WithJsonSchema({"type": "string", "x-kind": "text with fields"})
]
Users = Annotated[
    dict[str, Annotated[list[str], Field(min_length=1)]], BeforeValidator(_users), Field(min_length=1), _USERS
]


class Acknowledge(BaseModel):
    """One access log of the server that recipients fetch from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    log: LogPlace = Field(
        description="The log: a path, or `sftp://USER@HOST[:PORT]/PATH` (`/~/PATH` is below the account's home)."
        " Rotated logs (`.1`, `-20260131`, `.gz`) are found beside it.",
        examples=["/var/log/apache2/access.log"],
    )
    format: Format = Field(
        "combined",
        description="The format of its lines: `combined`, `common`, `combinedio`, `debian`, `vhost_combined`,"
        " `nginx`, `dropslot` or `dropslot_nginx` (the last two say most, see Acknowledgments), the text"
        " of a LogFormat or log_format, or the dotted path of a log line reader of your own.",
        examples=["dropslot", '%h %l %u %t "%r" %>s %b "%{User-Agent}i" %X "%{Content-Encoding}o"'],
    )
    match: MatchText = Field(
        description="The address of a delivery: the whole path and query, decoded. It must have every field of the"
        " destination, and `{stored_as}` (the path within the destination) or `{stored_name}` (the same,"
        " for files directly in it).",
        examples=["/results/{folder}/{stored_name}"],
    )
    preset: Preset = Field(
        "none",
        description="How the server's addresses name files. `none`: path and query are as `match` says. `apache`: a"
        " folder of files, whatever the query is. `owncloud`, `nextcloud`: `download.php?dir=…&files=…`, also with"
        " several files, and their WebDAV; `webdav`: WebDAV. With these, `match` is the path as the recipient sees it.",
    )
    users: Users = Field(
        description="Who may acknowledge: each user in the log, with the folder or folders that belong to them. `'*'`"
        " stands for any user, or any folder. A fetch by anybody else is an event `accessed`.",
        examples=[{"clinic12": "digawana"}],
    )
    users_field: str = Field(
        "folder",
        description="The field whose value `users` names.",
        examples=["study"],
    )
    destination: DestinationTemplate | None = Field(
        None,
        description="The `to` of the destination that this server serves; needed where the route has several.",
        examples=["./results/{folder}"],
    )
    every: Duration = Field(
        timedelta(seconds=30),
        ge=timedelta(milliseconds=50),
        description="How often the log is read by the service and by `start_log_reader --follow`.",
        examples=["1m"],
    )
    late_after: Duration | None = Field(
        None,
        ge=timedelta(seconds=1),
        description="After how long a delivery that nobody has fetched is late: `health` says so, and people who asked"
        " for it are told. Without it none is late.",
        examples=["14d"],
    )
    key: Path | None = Field(
        None,
        description="The private key for a log on another machine, without a passphrase. Default: what the route's"
        " destination at that server has, else the agent and the keys in `~/.ssh`.",
        examples=["~/.ssh/id_ed25519"],
    )
    known_hosts: Path | None = Field(
        None,
        description="The file of host keys that are trusted, for a log on another machine. Default: as for `key`, else"
        " `~/.ssh/known_hosts`.",
        examples=["./known_hosts"],
    )
    password: VariableName | None = Field(
        None,
        description="The name of the environment variable that holds the password for a log on another machine; or of"
        " `NAME_FILE`, which names a file. Never the password itself.",
        examples=["EDC_PASSWORD"],
    )

    @property
    def server(self) -> str:
        """Account and server of a log that is on another machine, else empty."""
        return addresses.server_of(self.log)


class RouteKeys(BaseModel):
    """What the app adds to a route."""

    acknowledge: list[Acknowledge] = Field(
        default_factory=list,
        description="Access logs of the servers that recipients fetch from: who fetched which delivery, and when.",
    )


def logs_of(route: Route) -> list[Acknowledge]:
    """The logs of one route."""
    return route.acknowledge if isinstance(route, RouteKeys) else []


def entries(config: Config) -> Iterator[tuple[Route, Acknowledge]]:
    """Every log that is to be read, with its route."""
    return ((route, entry) for route in config.routes.values() for entry in logs_of(route))


def keys_of_log(route: Route, entry: Acknowledge) -> Acknowledge | Deliver:
    """The keys for logging in to a log's server: its own; if it has none, those of the route's destination at the
    same server."""
    if entry.key or entry.known_hosts or entry.password:
        return entry
    same = (rule for rule in route.deliver if _server(rule.to) == _server(entry.log))
    return next(same, entry)


def _server(address: str) -> tuple[str, str]:
    return addresses.scheme_of(address), addresses.server_of(address)


class AcknowledgeSection(Section):
    """Logs: their keys, paths, rules and servers."""

    route_keys = RouteKeys
    parts = (
        Part(
            Acknowledge,
            "routes.KEY.acknowledge[]",
            "One access log that tells whether deliveries were fetched; `acknowledge` is a list of these.",
        ),
    )

    def absolute(self, model: BaseModel, base: Path) -> dict[str, Any]:
        if not isinstance(model, RouteKeys):
            return {}
        return {"acknowledge": [_absolute(entry, base) for entry in model.acknowledge]}

    def rules(self) -> Iterable[tuple[frozenset[str], RouteRule]]:
        return RULES

    def connections(self, route: Route) -> Iterable[Connection]:
        for entry in logs_of(route):
            yield Connection("access log", entry.log, keys_of_log(route, entry))


def _absolute(entry: Acknowledge, base: Path) -> Acknowledge:
    from dropslot.config.relative_paths import absolute_path, absolute_target

    updates: dict[str, Any] = {"destination": absolute_target(entry.destination, base)}
    if not entry.server:
        updates["log"] = str(absolute_path(Path(entry.log), base))
    for name in ("key", "known_hosts"):
        if path := getattr(entry, name):
            updates[name] = absolute_path(path, base)
    return entry.model_copy(update=updates)


SECTION = AcknowledgeSection()


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
    """One address must mean one delivery, so it must have every field of the destination's path."""
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
