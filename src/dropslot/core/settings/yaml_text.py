"""A YAML text as plain data, with the line of every value; strict where YAML itself is lenient."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from dropslot.core.settings.config_errors import NO_VALUE, Location, Problem, key_of

# Plain words are read as in YAML 1.2's core schema, without its octals: `no` and `1:30` are texts, and the mode 0640
# keeps its digits.
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})", re.ASCII)
_FLOAT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)?\.[0-9]+|[-+]?(?:0|[1-9][0-9]*)\.", re.ASCII)
_PLAIN_TAGS = frozenset(
    f"tag:yaml.org,2002:{name}"
    for name in ("str", "int", "float", "bool", "null", "map", "seq", "timestamp", "merge", "value")
)
_TEXT_TAG = "tag:yaml.org,2002:str"
_QUOTED = re.compile(r"(?<=alias|. tag|andle) '.+'")
_MOST_VALUES = 50_000
_DEEPEST = 50


@dataclass(slots=True)
class Document:
    """`data` as read (None when it could not be read at all), the lines of its values, and what is wrong
    with it."""

    data: Any = None
    lines: dict[Location, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def line_of(self, location: Location) -> int | None:
        """The line of a value, or of the nearest thing around it that is written down."""
        for length in range(len(location), -1, -1):
            if line := self.lines.get(location[:length]):
                return line
        return None


def read(text: str | bytes) -> Document:
    """Read one YAML document. Never raises for what is in it: faults are `problems`, with their lines."""
    document = Document()
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        document.problems.append(_problem_of(error))
        return document
    except RecursionError:
        document.problems.append(Problem("", NO_VALUE, f"expected no more than {_DEEPEST} levels"))
        return document
    if node is not None:
        document.data = _Reader(document).value(node, ())
    return document


class _Reader:
    def __init__(self, document: Document) -> None:
        self.document = document
        self.count = 0

    def value(self, node: yaml.Node, location: Location) -> Any:
        self.count += 1
        self.document.lines.setdefault(location, node.start_mark.line + 1)
        # A few aliases of aliases can stand for more values than there is memory for, or for themselves.
        if self.count > _MOST_VALUES or len(location) > _DEEPEST:
            return self.fault(
                node, location, f"expected no more than {_MOST_VALUES} values and {_DEEPEST} levels"
            )
        if node.tag not in _PLAIN_TAGS:
            return self.fault(node, location, "expected plain YAML: what begins with ! needs quotes")
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, location)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(entry, (*location, index)) for index, entry in enumerate(node.value)]
        return _scalar(node) if isinstance(node, yaml.ScalarNode) else None

    def mapping(self, node: yaml.MappingNode, location: Location) -> Mapping[str, Any]:
        found: dict[str, Any] = {}
        first_lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self.fault(key_node, location, "expected a word as key")
                continue
            key, line = key_node.value, key_node.start_mark.line + 1
            if key in found:
                expected = f"expected each key once; it is already in line {first_lines[key]}"
                self.fault(key_node, (*location, key), expected)
                continue
            self.document.lines[*location, key] = first_lines[key] = line
            found[key] = self.value(value_node, (*location, key))
        return found

    def fault(self, node: yaml.Node, location: Location, expected: str) -> None:
        line = node.start_mark.line + 1
        problem = Problem(key_of(location), NO_VALUE, expected, line)
        if not self.document.problems or self.document.problems[-1].expected != expected:
            self.document.problems.append(problem)


def _scalar(node: yaml.ScalarNode) -> Any:
    text: str = node.value
    if node.style is not None or node.tag == _TEXT_TAG:
        return text
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


def _problem_of(error: yaml.YAMLError) -> Problem:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        mark = error.problem_mark
        # PyYAML quotes what it found, which may be a part of a password.
        parts = (_QUOTED.sub("", part) for part in (error.context, error.problem) if part)
        what = " ".join(parts)
        return Problem("", NO_VALUE, f"expected YAML, but column {mark.column + 1}: {what}", mark.line + 1)
    reason = getattr(error, "reason", None) or str(error).splitlines()[0]
    return Problem("", NO_VALUE, f"expected YAML in UTF-8, but: {reason}")
