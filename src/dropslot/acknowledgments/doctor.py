"""What is wrong with the logs that are to be read, and how to fix it: for `doctor`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from dropslot.acknowledgments.lines import Request
from dropslot.acknowledgments.log_reader import Reader
from dropslot.acknowledgments.logs import blocks, log_sources, recognizing, rotation
from dropslot.acknowledgments.logs.log_sources import Source
from dropslot.acknowledgments.logs.open_logs import source_of
from dropslot.acknowledgments.matching import judging
from dropslot.acknowledgments.matching.delivery_finder import destination_of
from dropslot.acknowledgments.section import Acknowledge, entries
from dropslot.arrivals.registry import Finding
from dropslot.config import Config, Route
from dropslot.core.errors import DropslotError
from dropslot.core.names import escape
from dropslot.core.patterns import forms
from dropslot.core.templates import Template
from dropslot.destinations import for_rule
from dropslot.lookup.load_tables import table_name
from dropslot.lookup.models import Folder

_ANY = "*"
_LOOKED_AT = 1000  # lines
_TELL_MORE = (
    "let the server write the format `dropslot` (nginx: `dropslot_nginx`) of the page Acknowledgments, which has %b, %X"
    ' and "%{Content-Encoding}o", and set `format` to it'
)
_NO_COMPRESSION = "do not let it compress results: `SetEnv no-gzip 1` in Apache, `gzip off;` in nginx"
_FORMATS = "set `format` to the server's LogFormat for this log; `grep -ri logformat /etc/apache2` finds it"


def examine(config: Config) -> Iterator[Finding]:
    """Look at every log, and at the folders that its users may acknowledge; changes nothing."""
    for route, entry in entries(config):
        about = f"route {route.key}, log {escape(entry.log)}"
        try:
            yield from _log(route, entry, about)
            yield from _folders(config, route, entry, about)
        except DropslotError as error:
            yield Finding("error", about, error.what, error.next_step)


def _log(route: Route, entry: Acknowledge, about: str) -> Iterator[Finding]:
    reader = Reader(route, entry)
    source = source_of(route, entry)
    try:
        rotated = rotation.rotated(source.name, source.names())
        recent = recognizing.recent_lines(source, _LOOKED_AT)
        _open(source)
    except FileNotFoundError as error:
        raise log_sources.vanished(entry.log) from error
    lines = recent[-recognizing.RECENT :]
    beside = f"; rotated ones beside it: {len(rotated)}"
    readable = sum(reader.finder.read(line)[0] for line in lines)
    last = f"its last {len(lines)} lines are" if len(lines) != 1 else "its last line is"
    expected = f"of the format {escape(entry.format)}"
    if not lines:
        yield Finding("ok", about, f"it can be read and has no lines yet{beside}")
    elif readable == len(lines):
        yield Finding("ok", about, f"{last} {expected}{beside}")
    elif readable:
        odd = f"{len(lines) - readable} of its last {len(lines)} lines are not {expected}"
        yield Finding("warning", about, f"{odd}; the last of them is: {_odd(reader, lines)}", _FORMATS)
    else:
        what = f"{last} not {expected}; the last one is: {_odd(reader, lines)}"
        yield Finding("error", about, what, _FORMATS)
    yield from _counting(reader, recent, about)


def _counting(reader: Reader, lines: Sequence[bytes], about: str) -> Iterator[Finding]:
    """What the format does not say, and how many of the last fetches can never count because of that."""
    if not reader.finder.tells_body:
        what = (
            "its format has %O alone, which counts the headers as well: a fetch that broke off within its last bytes"
            " looks whole, and one by ranges never counts"
        )
        yield Finding("warning", about, what, _TELL_MORE)
    asked = _asked_for(reader, lines)
    if never := [line for line, request, size in asked if judging.never_counts(request, size)]:
        what = (
            f"{len(never)} of its last {len(lines)} lines asked for a delivery but can never count: fewer bytes went"
            " out than the file has, and the line does not say whether the server compressed them (Content-Encoding)"
            " and sent them all; the last one is: "
        )
        yield Finding("warning", about, what + _shown(never[-1]), f"{_TELL_MORE}; or {_NO_COMPRESSION}")
    if over := [line for line, request, size in asked if judging.counts_headers(request, size)]:
        what = (
            f"{len(over)} of its last {len(lines)} lines say that more bytes went out than the file has: the server"
            " counts the headers (%O), as the LogFormat `combined` of Debian's apache2.conf does; the last one is: "
        )
        yield Finding("warning", about, what + _shown(over[-1]), f"set `format: debian`; or {_TELL_MORE}")


def _asked_for(reader: Reader, lines: Sequence[bytes]) -> list[tuple[bytes, Request, int]]:
    """The lines that asked for exactly one delivery, with its size."""
    requests = ((line, reader.finder.read(line)[1]) for line in lines if len(line) <= blocks.LONGEST_LINE)
    asked = [(line, request, reader.finder.wanted(request)) for line, request in requests if request]
    return [
        (hit.line, hit.request, delivery.size_bytes)
        for hit in reader.finder.hits([each for each in asked if each[2]])
        for delivery, wanted in hit.deliveries
        if wanted.among == 1
    ]


def _open(source: Source) -> None:
    """Whether the log itself is there: the lines may have come from a rotated file."""
    with source.open(source.name):
        pass


def _odd(reader: Reader, lines: Sequence[bytes]) -> str:
    return _shown(next(line for line in reversed(lines) if not reader.finder.read(line)[0]))


def _shown(line: bytes) -> str:
    return escape(line[:200].decode("utf-8", "surrogateescape"))


def _folders(config: Config, route: Route, entry: Acknowledge, about: str) -> Iterator[Finding]:
    """Checks the folders in `users`: with a mistyped one, its user's fetches would never count."""
    named = sorted({folder for folders in entry.users.values() for folder in folders} - {_ANY})
    unknown = [folder for folder in named if not _is_in_a_table(config, route, entry, folder)]
    paths = {folder: path for folder in unknown if (path := _path_of(route, entry, folder))}
    there = _are_there(route, entry, list(paths.values()))
    for (folder, path), exists in zip(paths.items(), there, strict=True):
        if not exists:
            users = ", ".join(escape(user) for user, given in entry.users.items() if folder in given)
            yield Finding(
                "warning",
                about,
                f"`users` lets {users} acknowledge for {escape(folder)}, and there is no {escape(path)}",
                "correct `users` if it is mistyped; otherwise the first delivery makes the folder",
            )


def _is_in_a_table(config: Config, route: Route, entry: Acknowledge, folder: str) -> bool:
    tables = [
        table_name(config, Path(each.table)) for each in route.lookup if each.field == entry.users_field
    ]
    return bool(tables) and Folder.objects.filter(table__name__in=tables, folder__in=forms(folder)).exists()


def _path_of(route: Route, entry: Acknowledge, folder: str) -> str | None:
    """The path of this folder at the destination; None if other fields come before, or if the destination does not
    have the field."""
    parts: list[str] = []
    for part in destination_of(route, entry).split("/"):
        parts.append(part)
        if entry.users_field in Template(part).fields:
            path = Template("/".join(parts))
            return path.fill({entry.users_field: folder}) if path.fields == {entry.users_field} else None
    return None


def _are_there(route: Route, entry: Acknowledge, paths: Sequence[str]) -> list[bool]:
    to = destination_of(route, entry)
    return for_rule(next(rule for rule in route.deliver if rule.to == to)).are_folders(paths)
