"""What each listing has: its columns, the fields of its filter, and where its rows come from."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from dropslot.access.roles import AUDITS, OPERATES, SEES_ROUTE, Role
from dropslot.access.seen import Access
from dropslot.acknowledgments import unfetched as not_fetched
from dropslot.acknowledgments.history_columns import Unacknowledged
from dropslot.acknowledgments.listings import acknowledgments_page, readings_page
from dropslot.acknowledgments.matching.delivery_finder import served
from dropslot.arrivals.listings import cursor_pages
from dropslot.arrivals.listings.queries import delivery_rows
from dropslot.arrivals.models import Delivery
from dropslot.dicom.listings import queries as images
from dropslot.portal.pages.listing_pages.columns import Column, Row
from dropslot.portal.pages.listing_pages.filtering import Asked
from dropslot.portal.words.event_words import in_words

Rows = tuple[Sequence[Row], str | None]
EVERYBODY = frozenset(Role)
_OWN_ARRIVALS = frozenset({*SEES_ROUTE, Role.SENDER, Role.STUDY_RUNNER})


@dataclass(frozen=True)
class Listing:
    """One listing; `name` is its page's. `rows` takes a cursor and a number of rows; keys of `extra` are for links and
    not exported."""

    name: str
    title: str
    roles: Collection[Role]
    fields: tuple[str, ...]
    columns: tuple[Column, ...]
    empty: str
    rows: Callable[[Asked, str, int], Rows]
    extra: frozenset[str] = frozenset()
    hint: str = "Part of a name, beginning of an id or SHA-256"

    def allows(self, access: Access) -> bool:
        """Whether the account has a role for this page."""
        return access.has(self.roles)

    def columns_for(self, access: Access) -> tuple[Column, ...]:
        """The columns of its page: a destination's address is for who sees the whole of a route."""
        if access.has(SEES_ROUTE):
            return self.columns
        return tuple(column for column in self.columns if column.key != "destination")

    def exported(self, row: Row) -> Row:
        """The row as the command lists it."""
        return {key: value for key, value in row.items() if key not in self.extra}


def _arrivals(asked: Asked, cursor: str, limit: int) -> Rows:
    return cursor_pages.arrivals(asked.access.arrivals(), asked.filter, cursor, limit)


def _history(asked: Asked, cursor: str, limit: int) -> Rows:
    return _with_ids(
        asked.access, *cursor_pages.deliveries(asked.access.deliveries(), asked.filter, cursor, limit)
    )


def _unfetched(asked: Asked, cursor: str, limit: int) -> Rows:
    only = Unacknowledged(served(asked.access.config))
    found = not_fetched.deliveries(asked.access.deliveries(), only, asked.filter, cursor, limit)
    return _with_ids(asked.access, *found)


def _with_ids(access: Access, found: Iterable[Delivery], following: str | None) -> Rows:
    rows = list(found)
    shown = zip(rows, delivery_rows(iter(rows)), strict=True)
    return [{**access.listed(each), "delivery": row.pk} for row, each in shown], following


def _pending(asked: Asked, cursor: str, limit: int) -> Rows:
    return cursor_pages.pending(asked.access.config, asked.access.waiting, asked.filter, cursor, limit)


def _acknowledgments(asked: Asked, cursor: str, limit: int) -> Rows:
    found = acknowledgments_page(asked.access.acknowledgments(), asked.filter, cursor, limit)
    return _with_state(found, lambda row: "undone" if row["undone_at"] else "counts")


def _log_readers(asked: Asked, cursor: str, limit: int) -> Rows:
    found = readings_page(asked.access.log_readings(), asked.filter, cursor, limit)
    return _with_state(found, lambda row: "failed" if row["error"] else "read")


def _with_state(found: cursor_pages.Page, state: Callable[[Row], str]) -> Rows:
    return [{**row, "state": state(row)} for row in found.items], found.next


def _trail(asked: Asked, cursor: str, limit: int) -> Rows:
    found = cursor_pages.events(asked.access.events(), asked.filter, cursor, limit)
    ids = {row["arrival"] for row in found.items if row["arrival"]}
    names = dict(asked.access.arrivals().filter(pk__in=ids).order_by().values_list("id", "name"))
    return [_said(row, names.get(row["arrival"], "")) for row in found.items], found.next


def _said(row: Row, name: str) -> Row:
    """An event as it is listed, with the same in words."""
    return {**row, "name": name, "said": {"words": in_words(row["kind"], row["data"]), "data": row["data"]}}


_STORED = (
    Column("delivered_at", "Delivered", "time"),
    Column("outcome", "Outcome", "state"),
    Column("stored_as", "File", "name", ("proof", "delivery")),
    Column("name", "Arrival", "name"),
    Column("destination", "Destination", "name"),
    Column("version", "Version", "number"),
    Column("size_bytes", "Size", "size"),
    Column("sender", "Sender", "name"),
    Column("sha256", "SHA-256", "hash"),
)

ARRIVALS = Listing(
    "arrivals",
    "Arrivals",
    _OWN_ARRIVALS,
    ("search", "route", "state", "since", "until", "sender", "field"),
    (
        Column("received_at", "Received", "time"),
        Column("state", "State", "arrival"),
        Column("name", "Name", "name", ("arrival", "id")),
        Column("route", "Route"),
        Column("sender", "Sender", "name"),
        Column("items", "Items", "number"),
        Column("size_bytes", "Size", "size"),
        Column("reason", "Reason", "reasons"),
    ),
    "Nothing has arrived yet. What is dropped into an inbox, or uploaded here, is listed on this page.",
    _arrivals,
)
HISTORY = Listing(
    "history",
    "History",
    EVERYBODY,
    ("search", "route", "since", "until", "sender", "field"),
    (*_STORED, Column("acknowledged_at", "Fetched", "time"), Column("acknowledged_by", "Fetched by", "name")),
    "Nothing was delivered yet. Each delivered file is listed here, with its SHA-256 and who fetched it.",
    _history,
    frozenset({"delivery"}),
)
PENDING = Listing(
    "pending",
    "Pending",
    _OWN_ARRIVALS,
    ("search", "route", "state", "since"),
    (
        Column("since", "Since", "time"),
        Column("where", "Where"),
        Column("state", "State", "arrival"),
        Column("name", "Name", "name", ("arrival", "id")),
        Column("route", "Route"),
        Column("reason", "Why it waits", "reasons"),
        Column("next_attempt_at", "Next attempt", "time"),
    ),
    "Nothing waits: all that was dropped is delivered or refused.",
    _pending,
)
UNFETCHED = Listing(
    "unfetched",
    "Sent, not fetched",
    EVERYBODY,
    ("search", "route", "since", "until", "sender", "field"),
    _STORED,
    "Nothing waits to be fetched. Only routes are listed here for which it is known what is fetched.",
    _unfetched,
    frozenset({"delivery"}),
)
ACKNOWLEDGMENTS = Listing(
    "acknowledgments",
    "Acknowledgments",
    EVERYBODY,
    ("search", "route", "since", "until", "sender"),
    (
        Column("at", "Fetched", "time"),
        Column("state", "State", "state"),
        Column("user", "By", "name"),
        Column("address", "From", "name"),
        Column("stored_as", "File", "name"),
        Column("route", "Route"),
        Column("evidence", "Evidence"),
        Column("undone_because", "Undone because", "name"),
        Column("undone_by", "Undone by", "name"),
    ),
    "Nobody has fetched anything yet, or no route's config.yaml has `acknowledge`, the log that shows it.",
    _acknowledgments,
    frozenset({"state"}),
)
LOG_READERS = Listing(
    "log_readers",
    "Log readers",
    OPERATES | AUDITS,
    ("search", "route", "reading", "since", "until"),
    (
        Column("started_at", "Started", "time"),
        Column("state", "State", "state"),
        Column("route", "Route"),
        Column("log", "Log", "name"),
        Column("lines", "Lines", "number"),
        Column("matches", "For deliveries", "number"),
        Column("acknowledged", "Acknowledged", "number"),
        Column("unreadable", "Unreadable", "number"),
        Column("error", "Error", "reasons"),
    ),
    "No log was read yet. `acknowledge` of a route in config.yaml names the log that shows what was fetched.",
    _log_readers,
    frozenset({"state"}),
)
TRAIL = Listing(
    "trail",
    "Trail",
    OPERATES | AUDITS,
    ("search", "route", "kind", "since", "until"),
    (
        Column("seq", "No.", "number"),
        Column("at", "Time", "time"),
        Column("said", "What happened", "event"),
        Column("name", "Arrival", "name", ("arrival", "arrival")),
        Column("kind", "Kind"),
    ),
    "The trail is empty. Each change of an arrival and each visit of this portal becomes an event here.",
    _trail,
    frozenset({"name", "said"}),
)
_OF_IMAGES = ("search", "route", "patient", "accession", "modality", "dated_from", "dated_until", "uid")
_IMAGE_HINT = "Part of a patient's name or id, accession number, description or UID"
_NO_IMAGES = "There are no images that you may see yet. They come with studies on routes that import DICOM."

PATIENT_COLUMNS = (
    Column("patient_id", "Patient ID", "name", ("patient", "id")),
    Column("name", "Name", "name", ("patient", "id")),
    Column("birth_date", "Born", "date"),
    Column("sex", "Sex"),
    Column("studies", "Studies", "number"),
    Column("route", "Route"),
)
STUDY_COLUMNS = (
    Column("date", "Date", "date"),
    Column("description", "Description", "name", ("study", "id")),
    Column("study_uid", "UID", "uid", ("study", "id")),
    Column("accession_number", "Accession", "name"),
    Column("modalities", "Modalities", "name"),
    Column("series", "Series", "number"),
    Column("received_at", "Received", "time"),
)
SERIES_COLUMNS = (
    Column("verdict", "Verdict", "verdict"),
    Column("modality", "Modality", "name"),
    Column("description", "Description", "name", ("one_series", "id")),
    Column("series_uid", "UID", "uid", ("one_series", "id")),
    Column("instances", "Images", "number"),
    Column("size_bytes", "Size", "size"),
    Column("received_at", "Received", "time"),
)
_OF_PATIENT = (Column("patient_id", "Patient ID", "name"), Column("patient_name", "Name", "name"))
PATIENTS = Listing(
    "patients",
    "Patients",
    EVERYBODY,
    _OF_IMAGES,
    PATIENT_COLUMNS,
    _NO_IMAGES,
    lambda asked, cursor, limit: images.patients(
        asked.access.patients(), asked.access.studies(), asked.images, cursor, limit
    ),
    hint=_IMAGE_HINT,
)
STUDIES = Listing(
    "studies",
    "Studies",
    EVERYBODY,
    _OF_IMAGES,
    (*_OF_PATIENT, *STUDY_COLUMNS, Column("route", "Route")),
    _NO_IMAGES,
    lambda asked, cursor, limit: images.studies(
        asked.access.studies(), asked.access.series(), asked.images, cursor, limit
    ),
    hint=_IMAGE_HINT,
)
SERIES = Listing(
    "series",
    "Series",
    EVERYBODY,
    (*_OF_IMAGES, "verdict", "since"),
    (*_OF_PATIENT, *SERIES_COLUMNS, Column("route", "Route")),
    _NO_IMAGES,
    lambda asked, cursor, limit: images.series(asked.access.series(), asked.images, cursor, limit),
    hint=_IMAGE_HINT,
)
_EACH = (
    *(ARRIVALS, HISTORY, PENDING, UNFETCHED, ACKNOWLEDGMENTS, LOG_READERS, TRAIL),
    *(PATIENTS, STUDIES, SERIES),
)
ALL = {each.name: each for each in _EACH}
