"""Keys of config.yaml: images are imported into the database, and how complete a series must be."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from dropslot.config.sections import Found, Part, RouteRule, broken
from dropslot.config.values import Duration

if TYPE_CHECKING:
    from dropslot.config.models import Route

Verdict = Literal["VERIFIED", "CONSISTENT", "UNKNOWN", "INCOMPLETE"]


class Series(BaseModel):
    """How complete a series must be, and what happens until it is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    require: Verdict = Field(
        "INCOMPLETE",
        description="The least verdict that an arrival's series need to be delivered: `VERIFIED` (the set of its"
        " instances is what the sending archive listed), `CONSISTENT` (its headers say how many there are, and all are"
        " there and whole), `UNKNOWN` (nothing says how many there should be) or `INCOMPLETE` (everything is"
        " delivered, and the verdict is recorded).",
    )
    wait: Duration = Field(
        timedelta(hours=1),
        description="How long an arrival waits for the rest of its series, which may come in other arrivals.",
    )
    then: Literal["refuse", "deliver"] = Field(
        "refuse",
        description="What happens to an arrival that has waited so long: `refuse` moves it to failed, with what is"
        " missing; `deliver` delivers it, with its verdict and an event that says so.",
    )


class Keys(BaseModel):
    """Keys of a route."""

    imports: Literal["dicom"] | None = Field(
        None,
        alias="import",
        description="`dicom`: the patients, studies, series and instances of each arrival are recorded in the database,"
        " with a verdict on the completeness of each series. DICOM tags are then fields of items: `{PatientID}`,"
        " `{StudyInstanceUID}`, `{SeriesInstanceUID}`, `{SOPInstanceUID}`, `{Modality}`, `{StudyDate}` and others."
        " Needs the extra `dicom`.",
        examples=["dicom"],
    )
    series: Series = Field(
        default_factory=lambda: Series.model_validate({}),
        description="With `import`: how complete a series must be to be delivered.",
        examples=[{"require": "CONSISTENT", "wait": "1h", "then": "refuse"}],
    )
    not_dicom: Literal["keep", "deliver", "refuse"] = Field(
        "keep",
        description="With `import`: what happens to a file that is not DICOM. `keep`: it is counted, named in an event"
        " and archived with the arrival, but not delivered; `deliver`: it is delivered beside the rest, if the path has"
        " no tags that it lacks; `refuse`: it refuses the arrival.",
    )


PARTS: tuple[Part, ...] = (
    Part(Series, "routes.KEY.series", "How complete a series must be before it is delivered."),
)


def _only_with_import(route: Route) -> Found:
    if not isinstance(route, Keys) or route.imports is not None:
        return
    for key in sorted(route.model_fields_set & {"series", "not_dicom"}):
        yield broken(
            route, (key,), getattr(route, key), "expected this key only with import: dicom", "import: dicom"
        )


RULES: tuple[tuple[frozenset[str], RouteRule], ...] = (
    (frozenset({"imports", "series", "not_dicom"}), _only_with_import),
)


def is_imported(route: Route) -> bool:
    """Whether the images of a route are imported."""
    return isinstance(route, Keys) and route.imports is not None
