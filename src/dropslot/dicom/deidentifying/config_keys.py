"""Keys of config.yaml: what is removed from files before they are delivered."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from dropslot.config.plugins import fault_of_dotted
from dropslot.config.sections import Found, Part, RouteRule, broken
from dropslot.core.templates import Template

if TYPE_CHECKING:
    from dropslot.config.models import Route

Option = Literal[
    "retain-uids",
    "retain-device",
    "retain-institution",
    "retain-patient-characteristics",
    "retain-safe-private",
    "clean-descriptors",
    "clean-structured-content",
    "clean-graphics",
]
Risk = Literal["US", "SC", "OT", "burned-in", "encapsulated", "filter"]


class Deidentify(BaseModel):
    """How the files of a route are de-identified."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    profile: Literal["basic"] = Field(
        description="`basic`: the Basic Application Level Confidentiality Profile of DICOM PS3.15, Annex E.",
    )
    options: tuple[Option, ...] = Field(
        (),
        description="Options of the profile. `retain-…` keeps what the profile would remove: UIDs, the identity of the"
        " device or the institution, characteristics of the patient (age, sex, size, weight), and the private elements"
        " that the standard lists as safe. `clean-…` keeps descriptions, structured content (reports) or graphics,"
        " without words that identify somebody. See [De-identification](dicom-deidentify.md).",
        examples=[["retain-patient-characteristics", "clean-descriptors"]],
    )
    dates: Literal["remove", "shift", "keep"] = Field(
        "remove",
        description="`remove`: dates and times are emptied or replaced by a dummy. `shift`: all dates of a patient move"
        " into the past by the same number of days, which differs between patients: intervals stay, and times of the"
        " day. `keep`: they stay.",
    )
    accept: tuple[Risk, ...] = Field(
        (),
        description="Kinds of files that are delivered although their pixels or documents may show who the patient is."
        " Without this, one such file refuses its arrival: `US` (ultrasound), `SC` (secondary capture), `OT` (modality"
        " OT), `burned-in` (BurnedInAnnotation is YES), `encapsulated` (PDF, CDA, STL inside DICOM),"
        " `filter` (a %filter of the recipe matches).",
        examples=[["US"]],
    )
    safe_fields: tuple[str, ...] = Field(
        (),
        description="Groups of `name` that say nothing about the patient. Only these may be in a `to`: the name that a"
        " sender gives an arrival may hold the patient's.",
        examples=[["study"]],
    )
    recipe: Path | None = Field(
        None,
        description="A recipe in the format of pydicom's `deid`. The actions of its %header change the profile;"
        " an image that one of its %filter labels matches refuses its arrival.",
        examples=["./deid.dicom"],
    )
    pseudonyms: str | None = Field(
        None,
        description="The dotted path of a class of your own that gives pseudonyms for patients and accession numbers."
        " Default: dropslot makes them from a secret key. See [Extending](extending.md#a-pseudonym-service).",
        examples=["mylab.pseudonyms.Register"],
    )


class Keys(BaseModel):
    """Keys of a route."""

    deidentify: Deidentify | None = Field(
        None,
        description="With `import: dicom`: what is delivered is de-identified. The folder done keeps what was sent.",
        examples=[{"profile": "basic", "dates": "shift"}],
    )


def deidentify_of(route: Route) -> Deidentify | None:
    """How a route de-identifies; None: it does not."""
    return route.deidentify if isinstance(route, Keys) else None


PARTS: tuple[Part, ...] = (
    Part(Deidentify, "routes.KEY.deidentify", "What is removed from files before they are delivered."),
)


def _goes_together(route: Route) -> Found:
    wanted = deidentify_of(route)
    if wanted is None:
        return
    if getattr(route, "imports", None) is None:
        expected = "expected this key only with import: dicom"
        yield broken(route, ("deidentify",), wanted.profile, expected, "import: dicom")
    if route.made_by:
        expected = "expected either deidentify or made_by: the items can be made anew only once"
        yield broken(route, ("deidentify",), wanted.profile, expected)
    if wanted.pseudonyms is not None:
        fault = "expected the dotted path of a class, module and name"
        if "." not in wanted.pseudonyms or (fault := fault_of_dotted(wanted.pseudonyms) or ""):
            yield broken(route, ("deidentify", "pseudonyms"), wanted.pseudonyms, fault)


def _names_stay_inside(route: Route) -> Found:
    """A sender's own words must not become a path of what is delivered without the patient's name."""
    wanted = deidentify_of(route)
    if wanted is None:
        return
    groups = set(route.name.groupindex if route.name else ())
    for index, field in enumerate(wanted.safe_fields):
        if field not in groups:
            expected = f"expected groups of `name` (this route has {', '.join(sorted(groups)) or 'none'})"
            yield broken(route, ("deidentify", "safe_fields", index), field, expected)
    for index, deliver in enumerate(route.deliver):
        for field in sorted(Template(deliver.to).fields & groups - set(wanted.safe_fields)):
            expected = (
                f"expected no field that the arrival's name gives, such as {field}: the route de-identifies, and"
                " the arrival may be named after the patient. Use fields of the files, which are replaced, such as"
                " {PatientID}; or, if this field never says who the patient is, name it in deidentify"
            )
            yield broken(
                route,
                ("deliver", index, "to"),
                deliver.to,
                expected,
                f"deidentify: {{safe_fields: [{field}]}}",
            )


RULES: tuple[tuple[frozenset[str], RouteRule], ...] = (
    (frozenset({"name", "deidentify", "deliver"}), _names_stay_inside),
    (frozenset({"imports", "deidentify", "made_by"}), _goes_together),
)
