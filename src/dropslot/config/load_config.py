"""Loads config.yaml, or a mapping with the same keys, as a Config. It is validated whole, and all mistakes are
reported together.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from dropslot.config.mistakes.explain import explain, faulty_keys, unknown
from dropslot.config.mistakes.remedies import in_words
from dropslot.config.models import ROUTE_KEY, ROUTE_KEY_IN_WORDS, Config, Route
from dropslot.config.plugins import make_importable
from dropslot.config.relative_paths import absolute
from dropslot.config.rules_between_keys import broken_rules
from dropslot.core.settings import yaml_text
from dropslot.core.settings.config_errors import NO_VALUE, ConfigError, Location, Problem, key_of
from dropslot.core.settings.yaml_text import Document

_Model = TypeVar("_Model", Config, Route)

# Replaces a faulty part, so that the other parts can be validated at the same time.
_PLACEHOLDER = Route.model_validate({"key": "placeholder", "folders": ".", "deliver": [{"to": "."}]})


def load(path: Path) -> Config:
    """The configuration in the file at `path`; its folder is the base of relative paths.

    Raises ConfigError with every mistake and its line, also when the file cannot be read.
    """
    path = Path(os.path.abspath(path))
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ConfigError([_unreadable(error, path)], str(path)) from error
    return parse(text, path.parent, str(path))


def parse(text: str | bytes, base: Path, source: str = "") -> Config:
    """The configuration in a text of YAML; `source` names it in errors. Raises ConfigError with every
    mistake."""
    document = yaml_text.read(text)
    if document.data is None and document.problems:
        raise ConfigError(document.problems, source)
    return _Builder(document, Path(os.path.abspath(base)), source).build()


def from_mapping(mapping: Mapping[str, Any], base: Path) -> Config:
    """The configuration in a mapping with the keys of config.yaml; a route may also be a Route.

    Relative paths are beneath `base`. Raises ConfigError with every mistake.
    """
    return _Builder(Document(data=mapping), Path(os.path.abspath(base)), "").build()


class _Builder:
    def __init__(self, document: Document, base: Path, source: str) -> None:
        self.document, self.base, self.source = document, base, source
        self.problems = list(document.problems)
        self.faulty: dict[str, set[str]] = {}

    def build(self) -> Config:
        make_importable(self.base)
        raw = self.document.data
        if not isinstance(raw, Mapping):
            self.add(Problem("", NO_VALUE, "expected a mapping that has at least the key routes"), ())
            raise self.error()
        top = {key: value for key, value in raw.items() if key != "routes"}
        config: Config = self.header(top).model_copy(update={"routes": self.routes(raw.get("routes"))})
        config = absolute(config)
        for location, problem in broken_rules(config, self.faulty):
            self.add(problem, location)
        if self.problems:
            raise self.error()
        return config

    def header(self, top: Mapping[Any, Any]) -> Config:
        """Everything but the routes; a faulty key has its default."""
        config, faulty = self.validated(
            Config, top, (), {"base": self.base, "routes": {"placeholder": _PLACEHOLDER}}
        )
        self.faulty[""] = faulty
        return config

    def routes(self, raw: Any) -> dict[str, Route]:
        if not isinstance(raw, Mapping) or not raw:
            value = NO_VALUE if isinstance(raw, Mapping) or raw is None else raw
            example = "routes: {study: {folders: ./study, deliver: [{to: ./delivered}]}}"
            self.add(Problem("routes", value, "expected at least one route", example=example), ("routes",))
            return {}
        return {str(key): self.route(str(key), value) for key, value in raw.items()}

    def route(self, key: str, raw: Any) -> Route:
        if isinstance(raw, Route):
            return raw
        location = ("routes", key)
        sound_key = re.fullmatch(ROUTE_KEY, key) is not None
        if not sound_key:
            self.add(Problem(key_of(location), NO_VALUE, f"expected {ROUTE_KEY_IN_WORDS}"), location)
        if not isinstance(raw, Mapping):
            self.add(
                Problem(key_of(location), raw, "expected a mapping, with at least folders and deliver"),
                location,
            )
            self.faulty[key] = set(Route.model_fields)
            return _PLACEHOLDER
        given = {"key": key if sound_key else _PLACEHOLDER.key}
        route, faulty = self.validated(Route, raw, location, given)
        self.faulty[key] = faulty if sound_key else set(Route.model_fields)
        return route

    def validated(
        self, model: type[_Model], raw: Mapping[Any, Any], prefix: Location, given: Mapping[str, Any]
    ) -> tuple[_Model, set[str]]:
        """The model, without those of its keys that are faulty, and the names of these."""
        values = {str(key): value for key, value in raw.items()}
        # `key` and `base` are no keys of config.yaml, though the models have them.
        for key in given.keys() & values.keys():
            location = (*prefix, key)
            self.add(unknown(location, values.pop(key), model), location)
        try:
            return model.model_validate({**values, **given}), set()
        except ValidationError as error:
            for location, problem in explain(error, model, prefix):
                self.add(problem, location)
            faulty = faulty_keys(error)
        sound = {key: value for key, value in values.items() if key not in faulty}
        spare: dict[str, Any] = {"deliver": _PLACEHOLDER.deliver, "folders": "."} if model is Route else {}
        return model.model_validate({**spare, **sound, **given}), faulty

    def add(self, problem: Problem, location: Location) -> None:
        line = problem.line or self.document.line_of(location)
        self.problems.append(Problem(problem.key, problem.value, problem.expected, line, problem.example))

    def error(self) -> ConfigError:
        return ConfigError(sorted(self.problems, key=lambda problem: problem.line or 0), self.source)


def _unreadable(error: OSError, path: Path) -> Problem:
    if isinstance(error, FileNotFoundError):
        return Problem(
            "",
            NO_VALUE,
            "it does not exist. Use `-c PATH`, or go to the installation's folder; `dropslot init DIR` makes one",
        )
    return Problem("", NO_VALUE, f"expected a file that can be read, but: {in_words(error, path)}")
