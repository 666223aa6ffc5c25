"""The JSON Schema of config.yaml, for editors that complete and check it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel

from dropslot.config.mistakes.explain import keys_of
from dropslot.config.models import Config, Route
from dropslot.config.sections import SECTIONS


def json_schema(options: Mapping[str, type[BaseModel]] = MappingProxyType({})) -> dict[str, Any]:
    """The schema (JSON Schema 2020-12) of what `load` accepts, descriptions and examples included; `options` are those
    of kinds of destinations that dropslot does not bring, by their schemes."""
    schema = Config.model_json_schema(mode="validation")
    definitions = schema["$defs"]
    _leave_out(schema, "base")
    _leave_out(definitions["Route"], "key")
    _move_last(schema, [section.top_keys for section in SECTIONS])
    _move_last(definitions["Route"], [section.route_keys for section in SECTIONS])
    for model in (schema, *definitions.values()):
        for name, entry in model.get("properties", {}).items():
            _write_default(entry, _default_of(model["title"], name))
    for scheme, model in options.items():
        _add_options(definitions, scheme, model)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "dropslot: config.yaml",
    }


def _add_options(definitions: dict[str, Any], scheme: str, model: type[BaseModel]) -> None:
    """Where `to` has this scheme, `options` are these."""
    own = model.model_json_schema(ref_template=f"#/$defs/{scheme}.{{model}}")
    definitions |= {f"{scheme}.{name}": inner for name, inner in own.pop("$defs", {}).items()}
    is_there = {"properties": {"to": {"pattern": f"^{re.escape(scheme)}://"}}}
    rules = definitions["Deliver"].setdefault("allOf", [])
    rules.append({"if": is_there, "then": {"properties": {"options": own}}})


def _leave_out(model: dict[str, Any], name: str) -> None:
    del model["properties"][name]
    model["required"] = [required for required in model["required"] if required != name]


def _move_last(model: dict[str, Any], of_apps: Iterable[type[BaseModel] | None]) -> None:
    """The keys of apps come after the others."""
    fields = [field for keys in of_apps if keys for field in keys.model_fields.items()]
    for name in [field.alias or name for name, field in fields if not field.exclude]:
        model["properties"][name] = model["properties"].pop(name)


def _default_of(model: str, name: str) -> Any:
    owners: dict[str, type[BaseModel]] = {"Config": Config, "Route": Route}
    owners |= {part.model.__name__: part.model for section in SECTIONS for part in section.parts}
    return keys_of(owners[model])[name].default if model in owners else None


def _write_default(entry: dict[str, Any], default: Any) -> None:
    """Defaults as people write them, not as pydantic does: 5s rather than PT5S."""
    if isinstance(default, timedelta):
        entry["default"] = duration_in_words(default)
    elif entry.get("default") in (None, "") or "$ref" in entry:
        entry.pop("default", None)


def duration_in_words(duration: timedelta) -> str:
    """A duration as config.yaml has it: 90 s as `90s`, two hours as `2h`."""
    seconds = duration.total_seconds()
    for unit, length in (("h", 3600), ("m", 60)):
        if seconds and seconds % length == 0:
            return f"{seconds / length:.0f}{unit}"
    return f"{seconds:.3f}".rstrip("0").rstrip(".") + "s"
