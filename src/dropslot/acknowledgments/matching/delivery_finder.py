"""From lines to the deliveries that they asked for: many at once, each by its whole stored path."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from django.db.models import QuerySet

from dropslot.acknowledgments.lines import FormatReader, LogLineReader, Request
from dropslot.acknowledgments.matching import requested, stored_paths
from dropslot.acknowledgments.matching.judging import may_count
from dropslot.acknowledgments.matching.stored_paths import Match
from dropslot.acknowledgments.section import Acknowledge, entries
from dropslot.arrivals.models import Delivery
from dropslot.config import Config, Route
from dropslot.core.states import Outcome
from dropslot.core.templates import Template

_AT_ONCE = 400  # names in one query; SQLite takes no more than some thousands


@dataclass(frozen=True, slots=True)
class Wanted:
    """One file that a line asked for, or perhaps one folder: the values that the address gave, and how many files the
    response held."""

    values: Mapping[str, str]
    among: int = 1
    is_folder: bool = False


@dataclass(frozen=True, slots=True)
class Packed:
    """A whole folder in one response: its deliveries up to then, and the values from the address."""

    rows: QuerySet[Delivery]
    wanted: Wanted
    fits: Callable[[Delivery], bool]


@dataclass(frozen=True, slots=True)
class Hit:
    """A line that may count, with the deliveries that it asked for and their values."""

    line: bytes
    request: Request
    deliveries: Sequence[tuple[Delivery, Wanted]]
    packed: Sequence[Packed] = ()


class Finder:
    """Knows one `acknowledge` entry of one route."""

    def __init__(self, route: Route, entry: Acknowledge, reader: LogLineReader) -> None:
        self._route, self._preset, self._reader = route, entry.preset, reader
        self.match = Match(entry.match)
        self._to = Template(destination_of(route, entry))
        # Fields that the place does not contain are compared with the arrival's own fields.
        self._compared = self.match.fields - self._to.fields - stored_paths.OWN_FIELDS

    def read(self, line: bytes) -> tuple[bool, Request | None]:
        """Whether the line has the format; and its request, if that may count."""
        try:
            request = self._reader.read(line)
        except (ValueError, OverflowError, KeyError):
            return False, None
        return request is not None, request if request and may_count(request) else None

    @property
    def tells_body(self) -> bool:
        """Whether lines say how much of a file was sent, without headers; a custom reader is assumed to say it."""
        return not isinstance(self._reader, FormatReader) or self._reader.format.tells_body

    def wanted(self, request: Request) -> list[Wanted]:
        """The files that the request asked for, according to `match`, and possible folders."""
        asked = requested.asked(request.target)
        files = list(requested.files(self._preset, asked)) if asked else []
        found = [
            Wanted(values, file.among) for file in files if (values := self.match.values(file)) is not None
        ]
        folders = (self.match.values_of_folder(file) for file in files if file.packable)
        return found + [Wanted(values, is_folder=True) for values in folders if values is not None]

    def has_deliveries(self) -> bool:
        """Whether anything was delivered, so that older lines can matter."""
        return Delivery.objects.filter(arrival__route=self._route.key).exists()

    def hits(self, requests: Sequence[tuple[bytes, Request, Sequence[Wanted]]]) -> list[Hit]:
        """The lines that asked for something that was delivered."""
        known = self._deliveries(
            {self._key(one) for *_, wanted in requests for one in wanted if not one.is_folder}
        )
        found = []
        for line, request, wanted in requests:
            pairs = [
                (known[key], one) for one in wanted if not one.is_folder and (key := self._key(one)) in known
            ]
            pairs = [(delivery, one) for delivery, one in pairs if not self._contradicted(delivery, one)]
            folders = [self._packed(one, request) for one in wanted if one.is_folder]
            packed = [folder for folder in folders if folder and folder.rows.exists()]
            if pairs or packed:
                found.append(Hit(line, request, pairs, packed))
        return found

    def _packed(self, wanted: Wanted, request: Request) -> Packed | None:
        place, within = stored_paths.place(self._to, wanted.values), wanted.values[stored_paths.WHOLE_PATH]
        if not (_is_text(place) and _is_text(within)):
            return None
        rows = Delivery.objects.filter(
            arrival__route=self._route.key,
            outcome=Outcome.DELIVERED,
            place__url=place,
            arrival__finished_at__lte=request.at.replace(microsecond=999_999),  # logs have whole seconds
        ).select_related("arrival", "place")
        beneath = f"{within}/" if within else ""
        if beneath:
            rows = rows.filter(stored_as__startswith=beneath)

        def fits(delivery: Delivery) -> bool:
            # SQLite's LIKE ignores the case of letters.
            return delivery.stored_as.startswith(beneath) and not self._contradicted(delivery, wanted)

        return Packed(rows, wanted, fits)

    def _key(self, wanted: Wanted) -> tuple[str, str]:
        return stored_paths.place(self._to, wanted.values), stored_paths.stored_as(wanted.values)

    def _contradicted(self, delivery: Delivery, wanted: Wanted) -> bool:
        return stored_paths.contradicts(wanted.values, delivery.arrival.fields, self._compared)

    def _deliveries(self, keys: set[tuple[str, str]]) -> dict[tuple[str, str], Delivery]:
        """By place and stored path. Rows exist before anything is published, so no fetch comes before its row."""
        found: dict[tuple[str, str], Delivery] = {}
        # No database holds a lone surrogate or a NUL, and no delivery has one in its name.
        sound = sorted(key for key in keys if all(_is_text(part) for part in key))
        for start in range(0, len(sound), _AT_ONCE):
            some = sound[start : start + _AT_ONCE]
            rows = Delivery.objects.filter(
                arrival__route=self._route.key,
                outcome=Outcome.DELIVERED,
                place__url__in={url for url, _ in some},
                stored_as__in={name for _, name in some},
            ).select_related("arrival", "place")
            found |= {(row.place.url, row.stored_as): row for row in rows}
        return found


def _is_text(text: str) -> bool:
    return "\0" not in text and (text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text))


def destination_of(route: Route, entry: Acknowledge) -> str:
    """`to` of the destination whose server writes the log."""
    return entry.destination or route.deliver[0].to


def served(config: Config) -> dict[str, list[Template]]:
    """The destinations whose servers' logs are read, by route; for others, fetches are unknown."""
    found: dict[str, list[Template]] = {}
    for route, entry in entries(config):
        found.setdefault(route.key, []).append(Template(destination_of(route, entry)))
    return found
