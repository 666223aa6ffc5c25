"""The kinds of values that config.yaml has: durations, sizes, modes, patterns, paths with fields."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, PlainSerializer, WithJsonSchema

from dropslot.core.addressing import addresses
from dropslot.core.addressing.dicom_addresses import is_title
from dropslot.core.concealing import has_password
from dropslot.core.settings.byte_sizes import size
from dropslot.core.templates import Template

_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?\s*(?:ms|s|m|h|d)\s*)+", re.ASCII)
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)", re.ASCII)
_LONGEST_SECONDS = 10 * 366 * 86400
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)\s*%?", re.ASCII)
_MODE = re.compile(r"(?:0o|0)?([0-7]{3,4})", re.ASCII)
_DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+", re.ASCII)
_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_MIME = re.compile(r"[\w.+-]+/(?:[\w.+-]+|\*)", re.ASCII)
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*", re.ASCII)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def duration(value: Any) -> timedelta:
    """Seconds as a number, or a text such as `500ms`, `5s`, `2m`, `1h30m`, `30d`; never negative."""
    if isinstance(value, timedelta):
        seconds = value.total_seconds()
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        seconds = float(value)
    elif isinstance(value, str) and _DURATION.fullmatch(value.strip()):
        seconds = sum(float(number) * _SECONDS[unit] for number, unit in _DURATION_PART.findall(value))
    else:
        raise ValueError("expected a duration: seconds, or a number with ms, s, m, h or d")
    if not math.isfinite(seconds) or not 0 <= seconds <= _LONGEST_SECONDS:
        raise ValueError("expected a duration between 0 and ten years")
    return timedelta(seconds=seconds)


def percent(value: Any) -> float:
    """`90%`, `90` or `'90'` as 90.0."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        number = float(value)
    elif isinstance(value, str) and (found := _PERCENT.fullmatch(value.strip())):
        number = float(found[1])
    else:
        raise ValueError("expected a percentage")
    if not 0 < number <= 100:
        raise ValueError("expected a percentage above 0 and up to 100")
    return number


def quota(value: Any) -> int | dict[str, int]:
    """One size, or a mapping of sizes."""
    if isinstance(value, Mapping) and value:
        return {str(key): size(each) for key, each in value.items()}
    return size(value)


def _mode(value: Any) -> int:
    """The octal digits as people write them for chmod: 640, '640', '0640' and '0o640' all mean 0o640.

    A number is read by its digits in Python too, so that the same mapping means the same everywhere.
    """
    found = None
    if isinstance(value, (int, str)) and not isinstance(value, bool):
        found = _MODE.fullmatch(str(value).strip())
    if not found:
        raise ValueError("expected a mode of three or four octal digits, as chmod takes it")
    mode = int(found[1], 8)
    owner, group, others = mode >> 6 & 7, mode >> 3 & 7, mode & 7
    # This also catches 0o640 given as a number in Python: it arrives here as 416.
    if group & ~owner or others & ~group or not owner & 4:
        raise ValueError(
            "expected a mode that lets the owner read, and gives no right to the group that the owner lacks, and none"
            " to others that the group lacks; in Python write '640', not 0o640"
        )
    return mode


def file_mode(value: Any) -> int:
    """A mode of delivered files: no set-id or sticky bit."""
    mode = _mode(value)
    if mode > 0o777:
        raise ValueError("expected a mode without set-user, set-group or sticky bit for files")
    return mode


def folder_mode(value: Any) -> int:
    """A mode of delivered folders: the service must be able to write there again."""
    mode = _mode(value)
    if mode & 0o700 != 0o700 or mode & 0o4000:
        raise ValueError(
            "expected a mode that begins with 7 (or 27, 17, 37): the service writes there itself"
        )
    return mode


def pattern(value: Any) -> re.Pattern[str]:
    """A regular expression; the error names the position of the fault."""
    if isinstance(value, re.Pattern):
        return value
    if not isinstance(value, str):
        raise ValueError("expected a regular expression as a text")  # noqa: TRY004 - pydantic collects ValueError
    try:
        return re.compile(value)
    except re.error as error:
        place = f" at position {error.pos + 1}" if error.pos is not None else ""
        raise ValueError(f"expected a regular expression, but {error.msg}{place}") from None
    except (OverflowError, RecursionError):
        raise ValueError("expected a regular expression, but this one is too large") from None


def template(value: str) -> str:
    """A text with fields, well formed."""
    if "\0" in value:
        raise ValueError("expected a text without NUL")
    Template(value)
    return value


def path_template(value: str) -> str:
    """A path, perhaps with fields; there is no `..` after a field."""
    if not value.strip():
        raise ValueError("expected a path")
    if _SCHEME.match(value):
        raise ValueError("expected a path of this machine, without a scheme")
    if has_password(value):
        raise ValueError("expected a path of this machine, or sftp://USER@HOST/PATH without a password")
    template(value)
    climbing = value.split("{", 1)[1:]
    if climbing and ".." in climbing[0].split("/"):
        raise ValueError("expected a path without '..' after a field")
    return value


def archive_path(value: Any) -> Any:
    """A path; what is said besides it was taken out before (`keeping.section`), unless it was malformed."""
    if isinstance(value, Mapping) or (isinstance(value, str) and value.strip().startswith("keep ")):
        raise ValueError("expected a path, keep 90d, keep forever, or {folder: PATH, keep: 90d}")
    return value


def field_name(value: str) -> str:
    """What a field may be called."""
    if not _FIELD.fullmatch(value):
        raise ValueError("expected the name of a field: a word of letters, digits and _")
    return value


def table_path(value: str) -> str:
    """The path of a table, without fields."""
    if not value.strip() or "\0" in value:
        raise ValueError("expected the path of a CSV file")
    return value


def destination_template(value: str) -> str:
    """A path, or the address of a folder at a server, perhaps with fields in the path."""
    if not addresses.scheme_of(value):
        return path_template(value)
    url = addresses.spelled(value)  # first: an error about a field could show a part of a password
    template(value)
    return url


def variable(value: str) -> str:
    """The name of an environment variable that holds a secret."""
    if not _VARIABLE.fullmatch(value):
        raise ValueError(
            "expected the name of an environment variable in capitals, never the password itself"
        )
    return value


def title(value: str) -> str:
    """An AE title of DICOM."""
    if not is_title(value):
        raise ValueError(
            "expected an AE title: up to 16 characters of ASCII, no backslash, no space at its ends"
        )
    return value


def dotted(value: str) -> str:
    """The dotted path of something in Python, such as `mylab.tasks.convert`."""
    if not _DOTTED.fullmatch(value):
        raise ValueError("expected a dotted path, module and name")
    return value


CELERY_TASK = "celery:"


def after(value: str) -> str:
    """The dotted path of a function, or `celery:` and the name of a task."""
    dotted(value.removeprefix(CELERY_TASK))
    return value


def mime(value: str) -> str:
    """A MIME type, or all of one kind as in `image/*`."""
    if not _MIME.fullmatch(value):
        raise ValueError("expected a MIME type")
    return value.lower()


def file_name(value: str) -> str:
    """One name, no path."""
    if value in {"", ".", ".."} or "/" in value or "\0" in value:
        raise ValueError("expected the name of a file, without a folder")
    return value


def glob(value: str) -> str:
    """A pattern of names as a shell has it."""
    if not value or "\0" in value or "/" in value:
        raise ValueError("expected a pattern of names such as *.pdf, without a folder")
    return value


def name_pattern(value: str) -> str:
    """A pattern of names, or `!` and a pattern of names to leave out."""
    glob(value.removeprefix("!"))
    return value


def time_zone(value: str) -> str:
    """A time zone of the IANA database."""
    try:
        ZoneInfo(value)
    except (ValueError, OSError, KeyError):
        raise ValueError("expected a time zone of the IANA database") from None
    return value


def _schema(kind: str, examples: list[Any], *types: str) -> WithJsonSchema:
    """How editors (and, by `x-kind`, the reference) see a value that is a text or a number."""
    accepted = [{"type": name} for name in ("string", *types)]
    return WithJsonSchema({"anyOf": accepted, "examples": examples, "x-kind": kind})


def _check_entry(value: Any) -> Any:
    """A check without an option may be written as its name alone."""
    return {value: None} if isinstance(value, str) else value


def _text(kind: str, **more: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "x-kind": kind, **more})


Duration = Annotated[timedelta, BeforeValidator(duration), _schema("duration", ["5s", "2m", "1h"], "number")]
Size = Annotated[int, BeforeValidator(size), _schema("size", ["20MB", "1GiB"], "integer")]
Quota = Annotated[
    int | dict[str, int],
    BeforeValidator(quota),
    WithJsonSchema(
        {"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "object"}], "x-kind": "size, or mapping"}
    ),
]
Percent = Annotated[float, BeforeValidator(percent), _schema("percentage", ["90%"], "number")]
FileMode = Annotated[int, BeforeValidator(file_mode), _schema("mode", [640], "integer")]
FolderMode = Annotated[int, BeforeValidator(folder_mode), _schema("mode", [2750], "integer")]
Pattern = Annotated[
    re.Pattern[str],
    BeforeValidator(pattern),
    PlainSerializer(lambda compiled: compiled.pattern),
    _text("regular expression", format="regex"),
]
TextTemplate = Annotated[str, AfterValidator(template), _text("text with fields")]
PathTemplate = Annotated[str, AfterValidator(path_template), _text("path with fields")]
ArchivePath = Annotated[
    str,
    BeforeValidator(archive_path),
    AfterValidator(path_template),
    WithJsonSchema(
        {
            "anyOf": [{"type": "string"}, {"type": "object"}],
            "x-kind": "path with fields, or `keep` and a duration",
        }
    ),
]
FieldName = Annotated[str, AfterValidator(field_name), _text("field name")]
TablePath = Annotated[str, AfterValidator(table_path), _text("path")]
DestinationTemplate = Annotated[
    str, AfterValidator(destination_template), _text("path with fields, or sftp://…")
]
VariableName = Annotated[str, AfterValidator(variable), _text("name of an environment variable")]
Title = Annotated[str, AfterValidator(title), _text("AE title")]
DottedPath = Annotated[str, AfterValidator(dotted), _text("dotted path")]
AfterPath = Annotated[str, AfterValidator(after), _text("dotted path, or celery: and one")]
MimeType = Annotated[str, AfterValidator(mime), _text("MIME type")]
FileName = Annotated[str, AfterValidator(file_name), _text("file name")]
Glob = Annotated[str, AfterValidator(glob), _text("pattern")]
NamePattern = Annotated[str, AfterValidator(name_pattern), _text("pattern, or ! and a pattern")]
TimeZone = Annotated[str, AfterValidator(time_zone), _text("time zone")]
CheckEntry = Annotated[dict[str, Any], BeforeValidator(_check_entry), Field(min_length=1, max_length=1)]

EventName = Literal[
    "in_access",
    "in_attrib",
    "in_close_nowrite",
    "in_close_write",
    "in_create",
    "in_delete",
    "in_delete_self",
    "in_modify",
    "in_move_self",
    "in_moved_from",
    "in_moved_to",
    "in_open",
    "in_q_overflow",
    "in_unmount",
]


def _poll(value: Any) -> Any:
    if value == "auto" or isinstance(value, bool):
        return value
    raise ValueError("expected one of auto, true, false")


def one_or_more(value: Any) -> Any:
    """One mapping may stand for a list of one."""
    return [value] if isinstance(value, Mapping | BaseModel) else value


def show_one_or_more(schema: dict[str, Any]) -> None:
    """The same in the schema."""
    several = {"type": schema.pop("type"), "items": schema.pop("items")}
    schema["anyOf"] = [several["items"], several]


Poll = Annotated[
    Literal["auto"] | bool, BeforeValidator(_poll), WithJsonSchema({"enum": ["auto", True, False]})
]
