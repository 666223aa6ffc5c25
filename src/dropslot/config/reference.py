"""The configuration reference as Markdown, made from the models: `python -m dropslot.config.reference`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

from dropslot.config.schema import json_schema
from dropslot.config.sections import SECTIONS

_SECTIONS = (
    ("", "The whole file", "Keys at the top level of `config.yaml`."),
    ("Route", "routes.KEY", "One route, under its key: letters, digits, `_` and `-`."),
    ("Deliver", "routes.KEY.deliver[]", "One destination; `deliver` is a list of these."),
    ("SpaceLimits", "routes.KEY.deliver[].space", "How much a destination may hold, and when to say so."),
    ("Select", "routes.KEY.select", "What every item must be; anything else refuses the arrival, whole."),
    ("Lookup", "routes.KEY.lookup", "A field that is looked up in a table of folders; or a list of these."),
    ("Space", "routes.KEY.space", "Warnings about full disks."),
    ("LateAfter", "routes.KEY.late_after", "After how long arrivals of the route are late."),
    ("Watched", "health", "How the service watches over itself."),
    ("Metrics", "metrics", "Numbers for Prometheus, from a process of their own."),
    *((part.model.__name__, part.where, part.meaning) for section in SECTIONS for part in section.parts),
)
_VALUES = """\
## How values are written

| kind | written as |
|---|---|
| path | Relative paths start at the folder of `config.yaml`; `~` is the home of the service's account. |
| path with fields | `{field}` stands for a value that the name or the folder gives; `{{` and `}}` are braces. |
| duration | Seconds, or a number with `ms`, `s`, `m`, `h` or `d`: `5s`, `1h30m`. |
| size | Bytes, or a number with `kB`, `MB`, `GB`, `TB` (thousands) or `KiB`, `MiB`, `GiB`, `TiB` (1,024s). |
| mode | The octal digits of `chmod`: `640`, `'0640'` and `'0o640'` mean the same. |
| dotted path | Module and name in Python; modules in the folder `plugins` beside `config.yaml` are found. |
| secret | Never in this file: in the environment, as `X`, or in a file that `X_FILE` names. |

Unknown and duplicate keys are refused, and all mistakes are reported in one go, each with its line.
"""


def markdown() -> str:
    """Every key with its type, default and meaning; a table for each part of the file."""
    schema = json_schema()
    parts = ["# Configuration reference\n", _VALUES]
    for name, title, meaning in _SECTIONS:
        model = schema["$defs"][name] if name else schema
        heading = f"`{title}`" if name else title
        parts.append("\n".join([f"## {heading}\n", f"{meaning}\n", *_table(model)]) + "\n")
    return "\n".join(parts)


def _table(model: dict[str, Any]) -> Iterator[str]:
    yield "| key | type | default | meaning |"
    yield "|---|---|---|---|"
    for key, entry in model["properties"].items():
        default = "needed" if key in model.get("required", []) else _default(entry)
        yield f"| `{key}` | {_kind(entry)} | {default} | {_cell(_meaning(entry))} |"


def _default(entry: dict[str, Any]) -> str:
    # Where it follows from another key, the description says so.
    return f"`{_written(entry['default'])}`" if entry.get("default") not in (None, [], {}) else "–"


def _meaning(entry: dict[str, Any]) -> str:
    examples = entry.get("examples", [])
    example = f" Example: `{_written(examples[0])}`" if examples else ""
    return f"{entry['description']}{example}"


def _kind(entry: dict[str, Any]) -> str:
    if kind := entry.get("x-kind"):
        return str(kind)
    if choices := entry.get("enum"):
        return ", ".join(f"`{_written(choice)}`" for choice in choices)
    if "anyOf" in entry:
        return next(_kind(part) for part in entry["anyOf"] if part.get("type") != "null")
    if "$ref" in entry:
        return "mapping, see below"
    return _plain_kind(entry)


def _plain_kind(entry: dict[str, Any]) -> str:
    if "const" in entry:
        return f"`{entry['const']}`"
    kind = entry.get("type")
    if entry.get("format") == "path":
        return "path"
    if kind == "array":
        return (
            f"list of {_kind(entry['items'])}"
            if "$ref" not in entry["items"]
            else "list of mappings, see below"
        )
    words = {"string": "text", "integer": "whole number", "boolean": "`true`, `false`", "object": "mapping"}
    return words.get(str(kind), "any")


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    sys.stdout.write(markdown())
