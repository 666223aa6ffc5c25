"""What the calls of the API take: filters of listings, and bodies."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from django.http import HttpRequest
from ninja import Schema
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from dropslot.api.problems import BadFilter
from dropslot.arrivals.listings.cursor_pages import AT_MOST
from dropslot.arrivals.listings.queries import Filter
from dropslot.core import asked
from dropslot.core.asked import searchable
from dropslot.core.names import escape
from dropslot.core.states import State
from dropslot.dicom.importing.config_keys import Verdict
from dropslot.dicom.listings import image_filters as images

LONGEST = 1000  # characters of a text to search or of a reason


_DAY = r"^([0-9]{4}-[0-9]{2}-[0-9]{2})?$"
_NEXT = "The `next` of the page before."
_ULID = "01KBE8QZ3M5V9T2R7XWC4N6PHA"


class Paged(Schema):
    """Which page of a listing."""

    cursor: str = Field("", description=_NEXT, pattern="^[0-9A-Za-z]{0,26}$", examples=[_ULID])
    limit: int = Field(50, ge=1, le=AT_MOST, description="How many at most.", examples=[50])


class Wanted(Paged):
    """The filters that every listing has."""

    search: str = Field(
        "",
        description="Text in a name, a path, a sender or an id.",
        max_length=LONGEST,
        examples=["visit1"],
    )
    route: str = Field("", description="Only of this route, by its key.", max_length=100, examples=["study"])
    since: str = Field(
        "",
        description=f"That time or later: {asked.TIMES}. Times without a zone are UTC. It is the time of receipt;"
        " of events and acknowledgments their own.",
        max_length=40,
        examples=["7d"],
    )
    until: str = Field(
        "", description="Before that time, written like `since`.", max_length=40, examples=["1d"]
    )
    sender: str = Field("", description="Only what this account sent.", max_length=150, examples=["sam"])
    arrival: str = Field("", description="Only of this arrival, by its id.", max_length=26, examples=[_ULID])


class WantedArrivals(Wanted):
    """Filters of arrivals."""

    state: State | None = Field(None, description="Only in this state.", examples=["failed"])


class WantedDeliveries(Wanted):
    """Filters of deliveries."""

    cursor: str = Field("", description=_NEXT, pattern="^[0-9]{0,18}$", examples=["4711"])
    sha256: str = Field(
        "",
        description="Only with this SHA-256, whole, in hexadecimal.",
        pattern=r"^([0-9A-Fa-f]{64})?$",
        examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
    )
    destination: str = Field(
        "",
        description="Only at this destination, or below it.",
        max_length=LONGEST,
        examples=["/srv/studies/heart"],
    )


class WantedEvents(WantedArrivals):
    """Filters of events. `state` and `route` are those of the event's arrival."""

    cursor: str = Field("", description=_NEXT, pattern="^[0-9]{0,18}$", examples=["1042"])
    kind: str = Field("", description="Only of this kind.", max_length=40, examples=["delivered"])


class WantedImages(Paged):
    """Filters of patients, studies, series and instances."""

    cursor: str = Field("", description=_NEXT, pattern="^[0-9]{0,18}$", examples=["4711"])
    search: str = Field(
        "",
        description="Text in a patient's id or name, an accession number, a description or a UID.",
        max_length=LONGEST,
        examples=["Doe"],
    )
    route: str = Field("", description="Only of this route, by its key.", max_length=100, examples=["dicom"])
    patient: str = Field("", description="Part of a patient's id or name.", max_length=200, examples=["P-17"])
    accession: str = Field("", description="AccessionNumber, whole.", max_length=200, examples=["A4711"])
    modality: str = Field("", description="Modality.", max_length=20, examples=["CT"])
    verdict: Verdict | None = Field(
        None, description="Only series with this verdict.", examples=["CONSISTENT"]
    )
    uid: str = Field(
        "", description="UID of a study, series or instance.", max_length=200, examples=["1.2.826.0.1"]
    )
    dated_from: str = Field("", description="Studies since this day.", pattern=_DAY, examples=["2026-03-01"])
    dated_until: str = Field("", description="Studies until this day.", pattern=_DAY, examples=["2026-03-31"])
    since: str = Field("", description="Series received since that time.", max_length=40, examples=["7d"])
    study: int | None = Field(
        None, description="Only of this study, by its number.", ge=1, le=2**62, examples=[17]
    )
    series: int | None = Field(
        None, description="Only of this series, by its number.", ge=1, le=2**62, examples=[17]
    )
    arrival: str = Field("", description="Only of this arrival, by its id.", max_length=26, examples=[_ULID])


def images_of(request: HttpRequest, wanted: WantedImages) -> images.Wanted:
    """The filter of a listing of images. Raises BadFilter, as `filter_of`."""
    require_known(request, wanted)
    given = {name: getattr(wanted, name).replace("\0", "") for name in _OF_IMAGES}
    return images.Wanted(
        **given,
        dated_from=wanted.dated_from.replace("-", ""),
        dated_until=wanted.dated_until.replace("-", ""),
        verdict=wanted.verdict or "",
        since=_moment("since", wanted.since),
        of_study=wanted.study,
        of_series=wanted.series,
        of_arrival=wanted.arrival.replace("\0", ""),
    )


_OF_IMAGES = ("search", "route", "patient", "accession", "modality", "uid")


class WantedSent(Wanted):
    """Filters of the files that the account sent."""

    cursor: str = Field(
        "", description=_NEXT, pattern=r"^([0-9A-Z]{26}\.[0-9]{1,9})?$", examples=[f"{_ULID}.0"]
    )
    state: Literal["waiting", "processing", "delivered", "unchanged", "refused"] | None = Field(
        None, description="Only in this state."
    )
    sha256: str = Field(
        "", description="Only with this SHA-256, whole.", pattern=r"^([0-9A-Fa-f]{64})?$", examples=[""]
    )


Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST)]


class WantedReceipt(Schema):
    """Whose receipt is wanted."""

    name: str = Field(
        description="The name under which the arrival was sent.",
        min_length=1,
        max_length=255,
        examples=["heart-1"],
    )


class _Body(BaseModel):
    """What a call is sent. Not a Schema of ninja: that takes the attributes of any value, so a text would be a body in
    which nothing is said."""

    model_config = ConfigDict(extra="forbid")


class WithReason(_Body):
    """Why something is done; it is recorded in the audit trail."""

    reason: Reason = Field(examples=["Sent twice by mistake"])


class Reidentify(WithReason):
    """De-identified values whose originals are wanted."""

    values: list[Annotated[str, StringConstraints(min_length=1, max_length=200)]] = Field(
        min_length=1, max_length=100, examples=[["P3XU6O755GYPL7BM"]]
    )


class Retry(_Body):
    """How an arrival runs again."""

    name: str = Field(
        "",
        description="Run it under this name; default: the one that it has.",
        max_length=255,
        examples=["heart-pc17-visit2"],
    )


def filter_of(request: HttpRequest, wanted: Wanted) -> Filter:
    """The filter of a listing. Raises BadFilter for a time that cannot be read, and for a parameter that there is
    not: a mistyped one must not show everything."""
    require_known(request, wanted)
    given = {name: searchable(str(getattr(wanted, name, None) or "")) for name in _TEXTS}
    times = {name: _moment(name, getattr(wanted, name)) for name in ("since", "until")}
    return Filter(**given, **times)  # type: ignore[arg-type]


_TEXTS = ("search", "state", "route", "sender", "sha256", "arrival", "destination", "kind")


def _moment(name: str, text: str) -> datetime | None:
    try:
        return asked.moment(text)
    except ValueError as error:
        what = f"{escape(text)!r} is not a time"
        raise BadFilter(name, what, f"Write {asked.TIMES}") from error


def require_known(request: HttpRequest, wanted: Schema) -> None:
    """Raise BadFilter for a parameter that this operation does not have."""
    known = type(wanted).model_fields
    for name in request.GET:
        if name not in known:
            raise BadFilter(
                escape(name)[:100], "There is no such parameter", f"Use one of {', '.join(sorted(known))}"
            )
