"""Where log entries go: plain lines for people, JSON lines for machines.

    log.warning("What happened, in words.", action="stable_name", route=…, path=…)

Without `action` the sentence is one word and the action. Entries with `plain=True` say everything in their sentence;
for others, people also see the keys. In the JSON file an entry up to level info has no names of files (they may be
patients'), unless `log_names` is set: the keys in NAMES are left out, and so is a plain sentence beside them.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import structlog

from dropslot.config.mistakes.remedies import in_words
from dropslot.config.secrets import make_private
from dropslot.core.concealing import conceal, conceal_value
from dropslot.core.names import escape
from dropslot.running.logfile import LogFile

if TYPE_CHECKING:
    from dropslot.config import Config

# Keys that hold names which senders gave.
NAMES = frozenset({"path", "paths", "name", "names", "item", "items", "stored_as", "archived_as", "pathname"})

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
_WARNING = _LEVELS["warning"]

Entry = MutableMapping[str, Any]
Write = Callable[[str], object]


class Sinks:
    """Writes each entry to every sink that wants it; the last processor of structlog."""

    def __init__(self, *, out: Write, err: Write, json: Write | None, both: bool, names: bool) -> None:
        self._out = out
        self._err = err
        self._json = json
        self._both = both  # warnings go to out as well
        self._names = names

    def __call__(self, _logger: object, _method: str, entry: Entry) -> NoReturn:
        grave = _LEVELS.get(entry["level"], 0) >= _WARNING
        text = for_people(entry)
        if grave:
            self._err(f"{entry['timestamp']} {text}")
        if not grave or self._both:
            self._out(text)
        if self._json is not None:
            self._json(for_machines(entry, names=self._names))
        raise structlog.DropEvent


def for_people(entry: Entry) -> str:
    """One line, and the traceback when there is one."""
    level = entry["level"]
    text = str(entry["event"]) if level == "info" else f"{level.upper()}: {entry['event']}"
    if not entry.get("plain"):
        hidden = ("event", "level", "timestamp", "action", "exception")
        text += "".join(f" {key}={value!r}" for key, value in entry.items() if key not in hidden)
    return _one_line(text) + (f"\n{entry['exception']}" if "exception" in entry else "")


def for_machines(entry: Entry, *, names: bool) -> str:
    """One JSON object; without names of files up to level info."""
    shown = {"time": entry["timestamp"], "level": entry["level"], "action": entry["event"], **entry}
    shown = {key: value for key, value in shown.items() if key not in ("timestamp", "plain")}
    if not names and _LEVELS.get(entry["level"], 0) < _WARNING and NAMES & shown.keys():
        shown = {key: value for key, value in shown.items() if key not in NAMES}
        if entry.get("plain"):
            del shown["event"]
    return json.dumps(shown, default=str)


def without_secrets(_logger: object, _method: str, entry: Entry) -> Entry:
    """The entry without passwords: errors of libraries, and their tracebacks, may contain some."""
    for key, value in entry.items():
        if isinstance(value, str):
            entry[key] = conceal(value)
        elif not isinstance(value, int | float | None):
            entry[key] = (
                conceal_value(value) if isinstance(value, dict | list | tuple) else conceal(repr(value))
            )
    return entry


def _one_line(text: str) -> str:
    """Unescaped text must not break the line or the terminal."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else escape(char) for char in text)


_OF_BROKERS = frozenset({"amqp", "celery", "kombu"})


class _FromLibraries(logging.Handler):
    """Log entries of Django and other libraries, as our own entries."""

    def emit(self, record: logging.LogRecord) -> None:
        message, trace = record.getMessage(), record.exc_info
        if trace and record.name.partition(".")[0] in _OF_BROKERS:
            # They show where in their code a connection broke; what broke is enough.
            message, trace = f"{message.rstrip('.')}: {trace[1]}", None
        structlog.get_logger().log(
            record.levelno, message, action="library", logger=record.name, exc_info=trace
        )


class Logs:
    """The log files in use."""

    def __init__(self, files: list[LogFile]) -> None:
        self._files = files

    def reopen(self) -> None:
        for file in self._files:
            file.reopen()


def configure(
    config: Config,
    *,
    foreground: bool,
    out: LogFile | None = None,
    err: LogFile | None = None,
    terminal: str = "stdout",
) -> Logs:
    """Set structlog and logging up: on the terminal, or into `out` and `err`; and into LOGS/dropslot.jsonl.

    In the foreground a line goes to one of stdout and stderr (`terminal="stderr"` for commands whose output others
    read); in the background `out` has all of them. If the JSON file cannot be written, that is reported, and logging
    works without it.
    """
    machines, fault = _open_json(config)
    sinks = Sinks(
        out=out.write if out else _printer(terminal),
        err=err.write if err else _printer("stderr"),
        json=machines.write if machines else None,
        both=not foreground,
        names=config.log_names,
    )
    _set_up(sinks, config.log_level)
    if fault:
        line = f"{config.logs}/dropslot.jsonl cannot be written, so there is no JSON log: {fault}."
        structlog.get_logger().warning(line, action="json_log_missing", plain=True)
    return Logs([file for file in (out, err, machines) if file is not None])


def _set_up(sinks: Sinks, level: str) -> None:
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            without_secrets,
            sinks,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers = [_FromLibraries()]  # others' handlers stay open, for `restored`
    root.setLevel(logging.WARNING)


@contextmanager
def restored() -> Iterator[None]:
    """After the block logging is as it was before: for commands that are called inside another program."""
    root = logging.getLogger()
    handlers, level, ours = root.handlers, root.level, structlog.get_config()
    try:
        yield
    finally:
        root.handlers = handlers
        root.setLevel(level)
        structlog.configure(**ours)


def _open_json(config: Config) -> tuple[LogFile | None, str]:
    """The file, or why there is none."""
    try:
        make_private(config.logs, config.data)
        return LogFile(config.logs / "dropslot.jsonl"), ""
    except OSError as error:
        return None, in_words(error, config.logs / "dropslot.jsonl")


def _printer(stream: str) -> Write:
    lost = 0

    def write(text: str) -> None:
        nonlocal lost
        note = f"{lost} lines were lost: they could not be written here (disk full?)\n" if lost else ""
        # Looked up each time: tests and test runners replace the streams.
        file = getattr(sys, stream)
        try:
            # In one write, also if the stream does not buffer.
            file.write(f"{note}{text.encode(errors='backslashreplace').decode()}\n")
            file.flush()
        except OSError:
            lost += 1  # a closed terminal, or a full disk, must not end a delivery
        else:
            lost = 0

    return write
