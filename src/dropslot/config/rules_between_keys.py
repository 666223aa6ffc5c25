"""Rules between keys. Each names the keys that it reads, and is skipped if one of them is faulty already."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from itertools import combinations, pairwise

from dropslot.config import relative_paths
from dropslot.config.deliver_entries import PLACES, Deliver
from dropslot.config.models import CHECK_NAMES, DELIVER_PROCESSOR, Config, Route
from dropslot.config.plugins import fault_of_dotted
from dropslot.config.sections import SECTIONS, Found, RouteRule, broken, fields_of_apps
from dropslot.config.servers import brokers
from dropslot.core.addressing.addresses import scheme_of, server_of
from dropslot.core.settings.config_errors import NO_VALUE, Location, Problem, key_of
from dropslot.core.templates import GIVEN, Template, literal

FOLDERS = ("inbox", "processing", "done", "failed")

_RULES: list[tuple[frozenset[str], RouteRule]] = []


def _rule(*keys: str) -> Callable[[RouteRule], RouteRule]:
    def register(rule: RouteRule) -> RouteRule:
        _RULES.append((frozenset(keys), rule))
        return rule

    return register


def broken_rules(config: Config, faulty: Mapping[str, set[str]]) -> Found:
    """Every broken rule with its place. `faulty`: keys to leave out, by route; those of the whole file
    under ""."""
    rules = _RULES + [rule for section in SECTIONS for rule in section.rules()]
    for key, route in config.routes.items():
        for needs, rule in rules:
            if not needs & faulty.get(key, set()):
                yield from rule(route)
    sound = [
        route for key, route in config.routes.items() if not {"folders", *FOLDERS} & faulty.get(key, set())
    ]
    yield from _shared_folders(sound)
    yield from _kinds_importable(config)
    yield from _broker_given(config, faulty)
    yield from _schemes_known(config, faulty)
    if "data" not in faulty.get("", set()):
        yield from _data_in_folders(config, sound)


def _written_as(route: Route, name: str) -> str:
    """The key that is in the file: `folders`, if the folder was not set by itself."""
    return name if name in route.model_fields_set else "folders"


@_rule("folders")
def _folders_given(route: Route) -> Found:
    if not route.folders and not set(FOLDERS) <= route.model_fields_set:
        expected = "expected the folder of inbox, processing, done and failed (or each of the four by itself)"
        yield broken(route, ("folders",), NO_VALUE, expected, f"folders: ./{route.key}")


@_rule("folders", *FOLDERS)
def _folders_apart(route: Route) -> Found:
    if not route.folders and not set(FOLDERS) <= route.model_fields_set:
        return
    for one, other in combinations(FOLDERS, 2):
        if relative_paths.overlap(getattr(route, one), getattr(route, other)):
            expected = f"expected a folder outside of {one} ({getattr(route, one)})"
            example = f"{other}: ./{route.key}/{other}"
            yield broken(route, (_written_as(route, other),), getattr(route, other), expected, example)


@_rule("folders", *FOLDERS)
def _folders_share_fields(route: Route) -> Found:
    fields = Template(route.inbox).fields
    for name in FOLDERS[1:]:
        if Template(getattr(route, name)).fields != fields:
            wanted = ", ".join(sorted(fields)) or "none"
            expected = f"expected the same fields as in inbox ({wanted}): each set of folders is separate"
            yield broken(route, (_written_as(route, name),), getattr(route, name), expected)


@_rule("folders", "receipts", *FOLDERS)
def _receipts_by_sender(route: Route) -> Found:
    if route.receipts is None:
        return
    if Template(route.receipts).fields != {"sender"}:
        expected = (
            "expected a folder with the field sender, and no other: each sender has a folder of its own"
        )
        yield broken(route, ("receipts",), route.receipts, expected, "receipts: /srv/drop/receipts/{sender}")
    for name in FOLDERS:
        if route.folders and relative_paths.overlap(getattr(route, name), route.receipts):
            expected = f"expected a folder outside of {name} ({getattr(route, name)})"
            yield broken(route, ("receipts",), route.receipts, expected, "receipts: ./receipts/{sender}")


@_rule("folders", "inbox")
def _fields_apart(route: Route) -> Found:
    pieces = Template(route.inbox).pieces
    for before, after in pairwise(pieces):
        if before.field and after.field and not after.literal:
            expected = f"expected some text between the fields {before.field} and {after.field}"
            key = _written_as(route, "inbox")
            yield broken(route, (key,), getattr(route, key), expected)


@_rule("name", "folders", "inbox", "lookup")
def _fields_given_once(route: Route) -> Found:
    name = route.name.pattern if route.name else NO_VALUE
    by_folder = Template(route.inbox).fields
    by_name = set(route.name.groupindex if route.name else ())
    for field in sorted(by_folder & by_name):
        yield broken(
            route, ("name",), name, f"expected each field once; {field} comes from the folder already"
        )
    for field in sorted(by_folder & GIVEN):
        key = _written_as(route, "inbox")
        yield broken(route, (key,), getattr(route, key), _another_name(field))
    for field in sorted(by_name & GIVEN):
        yield broken(route, ("name",), name, _another_name(field))
    for index, lookup in enumerate(route.lookup):
        if lookup.field in GIVEN:
            yield broken(route, ("lookup", index, "field"), lookup.field, _another_name(lookup.field))
        elif lookup.field in by_folder | by_name:
            expected = f"expected each field once; {lookup.field} comes from the folder or the name already"
            yield broken(route, ("lookup", index, "field"), lookup.field, expected)


def _another_name(field: str) -> str:
    return f"expected another name than {field}: every arrival has that field already"


@_rule("deliver")
def _space_of_the_target(route: Route) -> Found:
    for index, deliver in enumerate(route.deliver):
        of, quota = deliver.space.of, deliver.space.quota
        if of is not None and not relative_paths.is_within(deliver.to, of):
            expected = f"expected the beginning of `to` ({deliver.to}), up to a whole folder"
            yield broken(route, ("deliver", index, "space", "of"), of, expected)
        elif of is not None and not relative_paths.is_within(of, literal(Template(deliver.to).fixed)):
            expected = "expected `to` at least up to its first field"
            yield broken(route, ("deliver", index, "space", "of"), of, expected)
        elif isinstance(quota, dict) and not (of and Template(of).fields):
            expected = "expected one size, since `of` has no field"
            yield broken(route, ("deliver", index, "space", "quota"), quota, expected, "quota: 2TB")


@_rule("name", "folders", "inbox", "lookup", "fields", "deliver")
def _fields_known(route: Route) -> Found:
    if route.fields:
        return  # what they give is known, and checked, only when they are created
    own = Template(route.inbox).fields | set(route.name.groupindex if route.name else ())
    known = own | {lookup.field for lookup in route.lookup} | GIVEN | fields_of_apps(route)
    for index, deliver in enumerate(route.deliver):
        for key, text in deliver.texts:
            for field in sorted(Template(text).fields - known):
                expected = (
                    f"expected only fields that folders, name or lookup give, or {', '.join(sorted(GIVEN))}"
                    f" (this route has {', '.join(sorted(known - GIVEN)) or 'none of its own'}), not {field}"
                )
                example = f"name: '(?P<{field}>[^-]+)-.*'"
                yield broken(route, ("deliver", index, key), text, expected, example)


@_rule("complete", "marker", "takes")
def _marker_goes_with_complete(route: Route) -> Found:
    if route.complete == "marker" and route.marker is None:
        yield broken(
            route,
            ("marker",),
            NO_VALUE,
            "expected the name of a file, since complete is marker",
            "marker: READY",
        )
    if route.complete != "marker" and route.marker is not None:
        expected = f"expected no marker, since complete is {route.complete}"
        yield broken(route, ("marker",), route.marker, expected, "complete: marker")
    if route.complete == "marker" and route.takes == "files":
        expected = "expected directories, since complete is marker: a marker is a file inside"
        yield broken(route, ("takes",), route.takes, expected, "takes: directories")


@_rule("folders", *FOLDERS, "deliver")
def _destinations_outside(route: Route) -> Found:
    for index, deliver in enumerate(route.deliver):
        for name in FOLDERS if deliver.folder_here else ():
            if expected := _fault_of_destination(deliver, name, getattr(route, name)):
                yield broken(route, ("deliver", index, "to"), deliver.to, expected, "to: ./delivered")


def _fault_of_destination(deliver: Deliver, name: str, folder: str) -> str | None:
    if relative_paths.is_within(deliver.to, folder):
        return f"expected a folder outside of the route's own {name} ({folder})"
    if relative_paths.may_be_within(deliver.to, folder):
        return (
            f"expected a folder that is outside of the route's own {name} ({folder}) whatever its fields are"
        )
    if relative_paths.is_within(folder, deliver.to):
        return f"expected a folder that does not hold the route's own {name} ({folder})"
    return None


@_rule("deliver")
def _destinations_differ(route: Route) -> Found:
    seen: set[str] = set()
    for index, deliver in enumerate(route.deliver):
        if deliver.to in seen:
            yield broken(route, ("deliver", index, "to"), deliver.to, "expected each destination once")
        seen.add(deliver.to)


@_rule("deliver")
def _keys_fit_the_destination(route: Route) -> Found:
    for index, deliver in enumerate(route.deliver):
        for key, expected, example in deliver.misplaced:
            value = NO_VALUE if key in ("password", "options") else getattr(deliver, key)
            yield broken(route, ("deliver", index, key), value, expected, example)
        if deliver.must_exist and _server(deliver.to) != _server(deliver.must_exist):
            expected = (
                "expected a folder at the server of `to`" if deliver.scheme else "expected a folder here"
            )
            example = f"must_exist: {deliver.to}"
            yield broken(route, ("deliver", index, "must_exist"), deliver.must_exist, expected, example)


def _server(address: str) -> tuple[str, str]:
    return scheme_of(address), server_of(address)


def _schemes_known(config: Config, faulty: Mapping[str, set[str]]) -> Found:
    known = {*PLACES, *config.destinations}
    if "destinations" in faulty.get("", set()):
        return
    words = " or ".join(f"{scheme}://" for scheme in sorted(known) if scheme)
    for key, route in config.routes.items():
        for index, deliver in enumerate(route.deliver if "deliver" not in faulty.get(key, set()) else ()):
            if deliver.scheme not in known:
                expected = f"expected a path, or an address that begins with {words}"
                example = f"destinations: {{{deliver.scheme}: mylab.kinds.Mine}}"
                yield broken(route, ("deliver", index, "to"), deliver.to, expected, example)


def _broker_given(config: Config, faulty: Mapping[str, set[str]]) -> Found:
    if {"workers", "worker_count", "broker"} & faulty.get("", set()):
        return
    senders = [key for key, route in config.routes.items() if route.after_task]
    wanted = (
        "workers is celery"
        if config.workers == "celery"
        else f"after of route {''.join(senders[:1])} is a task"
    )
    needs = config.workers == "celery" or bool(senders)
    if needs and not config.broker:
        expected = f"expected the address of a broker, since {wanted}"
        yield ("broker",), Problem("broker", NO_VALUE, expected, example="broker: redis://localhost:6379/0")
    elif needs and not brokers.has_celery():
        yield ("broker",), Problem("broker", config.broker, brokers.NEEDS_PACKAGE)
    if config.workers == "local" and config.worker_count == 0:
        yield ("worker_count",), Problem("worker_count", 0, "expected 1 or more, since workers is local")


def _kinds_importable(config: Config) -> Found:
    for scheme, dotted in config.destinations.items():
        location = ("destinations", scheme)
        expected = f"expected another scheme; {scheme}:// is dropslot's own" if scheme in PLACES else ""
        if expected := expected or fault_of_dotted(dotted) or "":
            yield location, Problem(key_of(location), dotted, expected)


@_rule("processors", "checks", "fields", "made_by", "after")
def _dotted_paths_importable(route: Route) -> Found:
    named: list[tuple[Location, str]] = [(("processors", i), path) for i, path in enumerate(route.processors)]
    named += [(("checks", i), name) for i, entry in enumerate(route.checks) for name in entry if "." in name]
    named += [(("fields", i), name) for i, entry in enumerate(route.fields) for name in entry if "." in name]
    named += [(("made_by",), name) for name in route.made_by or {} if "." in name]
    named += [(("after",), route.after_function)] if route.after_function else []
    for steps, dotted in named:
        # The default processor exists; a route that names none has made no mistake.
        if dotted != DELIVER_PROCESSOR and (expected := fault_of_dotted(dotted)):
            yield broken(route, steps, dotted, expected)


@_rule("checks")
def _checks_known(route: Route) -> Found:
    for index, entry in enumerate(route.checks):
        for name in entry:
            if "." not in name and name not in CHECK_NAMES:
                near = get_close_matches(name, CHECK_NAMES, n=1)
                hint = f"; did you mean {near[0]}?" if near else ""
                expected = f"expected a dotted path, or one of {', '.join(sorted(CHECK_NAMES))}{hint}"
                yield broken(route, ("checks", index), name, expected)


@_rule("fields", "made_by")
def _classes_dotted(route: Route) -> Found:
    expected = "expected the dotted path of a class, module and name"
    for index, entry in enumerate(route.fields):
        for name in entry:
            if "." not in name:
                yield broken(
                    route, ("fields", index), name, expected, "fields: [{mylab.fields.Ward: wards.txt}]"
                )
    for name in route.made_by or {}:
        if "." not in name:
            yield broken(route, ("made_by",), name, expected, "made_by: {mylab.dicom.Deidentified: basic}")


def _shared_folders(routes: list[Route]) -> Found:
    for one, other in combinations(routes, 2):
        for mine in FOLDERS:
            for theirs in FOLDERS:
                # Archives may be shared; nothing else may, since each folder's entries belong to one route.
                if mine == theirs and mine in {"done", "failed"}:
                    continue
                if relative_paths.overlap(getattr(one, theirs), getattr(other, mine)):
                    expected = f"expected a folder of its own; route {one.key} has its {theirs} there"
                    yield broken(other, (_written_as(other, mine),), getattr(other, mine), expected)


def _data_in_folders(config: Config, routes: list[Route]) -> Found:
    for route in routes:
        for name in FOLDERS:
            if relative_paths.may_be_within(literal(str(config.data)), getattr(route, name)):
                expected = f"expected a folder outside of the {name} of route {route.key}"
                yield ("data",), Problem("data", str(config.data), expected, example="data: ./var")
