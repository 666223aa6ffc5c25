"""What apps on top of the arrivals add to the product: processes of the service, findings of `doctor`, columns of
`history`.

Each app declares them in its AppConfig, a DropslotApp; Django's own list of installed apps is the register. This
layer does not know the apps: without them it works the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from django.apps import AppConfig, apps

from dropslot.core.troubles import TroubleKind

if TYPE_CHECKING:
    from dropslot.arrivals.importers import Importer
    from dropslot.arrivals.models import Delivery  # Django loads an app's class before any model
    from dropslot.audit.verification_report import Report
    from dropslot.config import Config, Route
    from dropslot.contents.makers import Maker
    from dropslot.running.stopping import Signal

Level = Literal["ok", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One result of `doctor`. `remedy` says what to do; a command in it can be pasted."""

    level: Level
    about: str
    what: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Late:
    """One thing that `health` finds late, full or failing. `route` is the one that it is about, and `study` the value
    of its first field of paths; empty: no single one. `since`: when it became late, if that is known. `is_local`: found
    by looking at this machine, or known to its sentinel alone, so that others may not see it.

    What is about the same thing is the same trouble, though its words change: `key` says which.
    """

    about: str
    what: str
    remedy: str
    route: str = ""
    kind: TroubleKind = field(kw_only=True)
    study: str = field(default="", kw_only=True)
    since: datetime | None = field(default=None, kw_only=True)
    is_local: bool = field(default=False, kw_only=True)

    @property
    def key(self) -> str:
        """Which trouble it is: a SHA-256 in hexadecimal."""
        parts = (self.kind, self.route, self.study, self.about)
        return sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()

    def as_json(self) -> dict[str, str]:
        """For a row that other machines read."""
        made = {name: getattr(self, name) for name in ("about", "what", "remedy", "route", "study")}
        return made | {"kind": self.kind.value, "since": self.since.isoformat() if self.since else ""}

    @classmethod
    def from_json(cls, made: Mapping[str, str]) -> Late:
        """Raises KeyError and ValueError if another version wrote it."""
        since = datetime.fromisoformat(made["since"]) if made["since"] else None
        words = (made[name] for name in ("about", "what", "remedy", "route"))
        return cls(*words, kind=TroubleKind(made["kind"]), study=made["study"], since=since)


class Process(NamedTuple):
    """One more process of the service. `wanted` says whether a configuration needs it; `prove` raises before the start
    for permanent faults."""

    name: str
    wanted: Callable[[Config], bool]
    prove: Callable[[Config], None]
    body: Callable[[Config, Signal], None]
    is_scheduled: bool = False  # with `workers: celery` the app's schedules do this instead
    everywhere: bool = False  # also beside a portal, workers or beat that are started alone


class Schedule(NamedTuple):
    """Work that is done again and again, `every` so often, by one of Celery's workers; it must end when `stop` is set,
    and may be done twice. `by_beat`: what takes no time, and belongs to one machine."""

    name: str
    every: timedelta
    body: Callable[[Signal], object]
    by_beat: bool = False


class Columns(Protocol):
    """Columns of `history` that an app fills."""

    names: tuple[str, ...]

    def of(self, rows: Sequence[Delivery]) -> Mapping[int, Sequence[Any]]:
        """The values of these columns by the delivery's id, for deliveries that have any; called once for many
        rows."""


class DropslotApp(AppConfig):
    """A Django app on top of the arrivals. Its methods add to the product if the app is installed. A subclass sets
    `default = True`, so that Django takes it and not this class. The methods import what they need themselves, so
    that other commands start sooner.
    """

    default = False
    default_auto_field = "django.db.models.BigAutoField"

    def processes(self) -> Sequence[Process]:
        """More processes of the service."""
        return ()

    def schedules(self, config: Config) -> Iterable[Schedule]:  # noqa: ARG002
        """What Celery's workers do from time to time. Raises BadOption."""
        return ()

    def listen(self, config: Config) -> None:
        """Called once at the start of the service, before its processes, and of a drain: begin to read events, or
        end."""

    def after_drain(self, config: Config) -> None:
        """Called when a drain has delivered what it could: do what a process of the service would do."""

    def examine(self, config: Config) -> Iterable[Finding]:  # noqa: ARG002
        """More findings of `doctor`; changes nothing."""
        return ()

    def late(self, config: Config) -> Iterable[Late]:  # noqa: ARG002
        """What is late, for `health`; quick, since monitoring asks often."""
        return ()

    def verify(self, config: Config) -> Report | None:  # noqa: ARG002
        """What a verification of the trail finds besides its chain; None: the app has nothing there. May take long."""
        return None

    def maker(self, config: Config, route: Route) -> Maker | None:  # noqa: ARG002
        """What makes the items of a route anew, if the app's keys ask for it. Called once, at start. Raises
        BadOption."""
        return None

    def columns(self) -> Columns | None:
        """Columns of `history`."""
        return None

    def importer(self, route: Route) -> Importer | None:  # noqa: ARG002
        """What reads the items of a route's arrivals, if the route wants it. Raises BadOption."""
        return None


def installed() -> Iterator[DropslotApp]:
    """The apps on top of the arrivals that this project has."""
    return (app for app in apps.get_app_configs() if isinstance(app, DropslotApp))


def processes(config: Config) -> list[Process]:
    """The processes that a configuration needs besides the service's own. Raises what their `prove` raises."""
    wanted = [process for app in installed() for process in app.processes() if process.wanted(config)]
    for process in wanted:
        process.prove(config)
    return [process for process in wanted if config.workers == "local" or not process.is_scheduled]


def processes_everywhere(config: Config) -> list[Process]:
    """Those that go with every tree of processes. Raises what their `prove` raises."""
    return [process for process in processes(config) if process.everywhere]


def listen(config: Config) -> None:
    """Let the apps begin to read events."""
    for app in installed():
        app.listen(config)


def after_drain(config: Config) -> None:
    """Let the apps do what their processes do in a service."""
    for app in installed():
        app.after_drain(config)


def schedules(config: Config) -> Iterator[Schedule]:
    """What the apps do from time to time with `workers: celery`. Raises BadOption."""
    for app in installed():
        yield from app.schedules(config)


def findings(config: Config) -> Iterator[Finding]:
    """The apps' findings for `doctor`."""
    for app in installed():
        yield from app.examine(config)


def late(config: Config) -> Iterator[Late]:
    """What the apps find late, for `health`."""
    for app in installed():
        yield from app.late(config)


def verified(config: Config) -> Iterator[Report]:
    """What the apps find when the trail is verified."""
    return (report for app in installed() if (report := app.verify(config)) is not None)


def importer(route: Route) -> Importer | None:
    """The importer of a route, made anew. Raises BadOption."""
    return next((found for app in installed() if (found := app.importer(route)) is not None), None)


def maker(config: Config, route: Route) -> Maker | None:
    """What an app has to make the items of a route anew."""
    return next((made for app in installed() if (made := app.maker(config, route)) is not None), None)


def columns() -> list[Columns]:
    """The columns of `history` that the apps fill."""
    return [added for app in installed() if (added := app.columns()) is not None]
