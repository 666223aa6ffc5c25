"""What apps bring to config.yaml: keys of the whole file or of a route, rules, and where they connect to.

The apps are those of `core.apps`; nothing else here, in the models or in the reference names any of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from pydantic import BaseModel

from dropslot.core.apps import APPS
from dropslot.core.settings.config_errors import Location, Problem, key_of

if TYPE_CHECKING:
    from dropslot.config.models import Config, Route

Found = Iterator[tuple[Location, Problem]]
RouteRule = Callable[["Route"], Found]


class Part(NamedTuple):
    """A model with a table of its own in the configuration reference; `where` is its place, as `routes.KEY.lookup`."""

    model: type[BaseModel]
    where: str
    meaning: str


class Connection(NamedTuple):
    """A place that a route reads from besides its inbox: a path or the address of a server, and what to log in with."""

    what: str
    place: str
    keys: Any


class Section:
    """What one app brings; a subclass overrides what it has. Its module has one of these, called SECTION.

    Each field of `top_keys` is a key of the whole file, each one of `route_keys` a key of a route. Code that reads them
    asks `isinstance(route, TheRouteKeys)` first, which also tells mypy what they are.
    """

    top_keys: ClassVar[type[BaseModel] | None] = None
    route_keys: ClassVar[type[BaseModel] | None] = None
    parts: ClassVar[Sequence[Part]] = ()

    def absolute(self, model: BaseModel, base: Path) -> dict[str, Any]:  # noqa: ARG002
        """The app's keys in a route, or in the whole file, that hold paths, with the paths made absolute."""
        return {}

    def rules(self) -> Iterable[tuple[frozenset[str], RouteRule]]:
        """Rules between keys of a route, each with the keys that it reads."""
        return ()

    def connections(self, route: Route) -> Iterable[Connection]:  # noqa: ARG002
        """The places that it reads from for a route."""
        return ()

    def fields(self, route: Route) -> frozenset[str]:  # noqa: ARG002
        """The fields that it gives of each item of a route."""
        return frozenset()

    def addresses(self, config: Config) -> Iterable[tuple[str, str]]:  # noqa: ARG002
        """What it serves, and the address that people type."""
        return ()


def broken(
    route: Route, steps: Location, value: object, expected: str, example: str = ""
) -> tuple[Location, Problem]:
    """A broken rule at a place within a route, for rules."""
    location = ("routes", route.key, *steps)
    return location, Problem(key_of(location), value, expected, example=example)


SECTIONS: tuple[Section, ...] = tuple(import_module(app.section).SECTION for app in APPS if app.section)


def keys_of_apps(level: str) -> type[BaseModel]:
    """A model with the keys that all apps have at one level, `top_keys` or `route_keys`."""
    models = [model for section in SECTIONS if (model := getattr(section, level))]
    return type("KeysOfApps", (*models, BaseModel), {"__module__": __name__})


def absolute(model: BaseModel, base: Path) -> dict[str, Any]:
    """The keys of apps in which paths are made absolute."""
    return {key: value for section in SECTIONS for key, value in section.absolute(model, base).items()}


def connections(route: Route) -> list[Connection]:
    """The places that apps read from for a route."""
    return [found for section in SECTIONS for found in section.connections(route)]


def fields_of_apps(route: Route) -> set[str]:
    """The fields that apps give of each item of a route."""
    return {field for section in SECTIONS for field in section.fields(route)}


def addresses(config: Config) -> list[tuple[str, str]]:
    """What apps serve, and the addresses that people type."""
    return [found for section in SECTIONS for found in section.addresses(config)]
