"""The keys `fixity` and `done` of config.yaml, as far as they are about keeping. Nothing here needs Django."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import SkipJsonSchema

from dropslot.config.limits import SpeedLimit
from dropslot.config.sections import Part, Section
from dropslot.config.values import Duration, duration

if TYPE_CHECKING:
    from dropslot.config import Config, Route

FOREVER = timedelta.max
_KEEP = re.compile(r"keep\s+(\S.*)")
_EXPECTED = "expected how long originals stay in done, as keep 90d or keep forever"


def kept_time(value: Any) -> timedelta:
    """`keep 90d`, `90d`, `keep forever` or `forever`. Raises ValueError."""
    if isinstance(value, timedelta):
        return value
    found = _KEEP.fullmatch(value.strip()) if isinstance(value, str) else None
    text = found[1] if found else value
    if text == "forever":
        return FOREVER
    try:
        kept = duration(text)
    except ValueError:
        raise ValueError(_EXPECTED) from None
    if not kept:
        raise ValueError(f"{_EXPECTED}; an arrival cannot leave done at once")
    return kept


def _fixity(value: Any) -> Any:
    """A duration alone is `every`."""
    return value if isinstance(value, Mapping | BaseModel) else {"every": value}


def _show_fixity(schema: dict[str, Any]) -> None:
    schema["anyOf"].insert(0, {"type": ["string", "number"]})
    schema["x-kind"] = "duration, or mapping, see below"


class Fixity(BaseModel):
    """How stored files are read and compared with what was delivered."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    every: Duration = Field(
        ge=timedelta(minutes=1),
        description="Within this time every stored file is read once and compared with its SHA-256. The reading is"
        " spread over the time, and goes on where it was when the service is started again.",
        examples=["30d"],
    )
    rate: SpeedLimit | None = Field(
        None,
        description="The most that is read in a second, by this and, before it removes anything, by `done: keep …`;"
        " constant, or by time of day. Default: no limit; it is read when nothing else wants the disk or the"
        " processor.",
        examples=["50MB/s"],
    )
    mend: bool = Field(
        False,
        description="Put damaged or missing files back: from done, or from another destination that has the same"
        " bytes. The damaged file is set aside into `.dropslot/damaged` of its folder, never overwritten. Default:"
        " `false`: it is only reported, and `dropslot mend` does it.",
    )


class TopKeys(BaseModel):
    """The keys of the whole file."""

    fixity: Annotated[Fixity, BeforeValidator(_fixity)] | None = Field(
        None,
        description="How often every stored file is read and compared with its SHA-256, as `verify --fixity` does; or a"
        " mapping that also has a rate. The result is an event; a damaged file is an event, and `health` reports it."
        " Without it nothing is read by itself.",
        examples=["30d"],
        json_schema_extra=_show_fixity,
    )
    done: (
        Annotated[
            timedelta,
            BeforeValidator(kept_time),
            PlainSerializer(str, return_type=str),
            WithJsonSchema({"type": "string", "x-kind": "`keep` and a duration"}),
        ]
        | None
    ) = Field(
        None,
        description="How long originals stay in done, for routes that do not say it themselves. After that time they"
        " are removed, but only what was read back just before at every destination; never under a legal hold. Default:"
        " they stay.",
        examples=["keep 90d"],
    )


class RouteKeys(BaseModel):
    """What the key `done` of a route says besides its folder."""

    keep_done: SkipJsonSchema[timedelta | None] = Field(None, exclude=True, description="From `done`.")

    @model_validator(mode="before")
    @classmethod
    def _split(cls, values: Any) -> Any:
        """`done: keep 90d` has no folder, `{folder, keep}` has both. What is malformed is left to the field."""
        if not isinstance(values, Mapping) or "done" not in values:
            return values
        try:
            folder, keep = _folder_and_time(values["done"])
        except (ValueError, ValidationError):
            return values
        rest = {key: value for key, value in values.items() if key != "done"}
        rest |= {} if folder is None else {"done": folder}
        return rest if keep is None else rest | {"keep_done": keep}


def _folder_and_time(value: Any) -> tuple[Any, timedelta | None]:
    if isinstance(value, Mapping):
        if not value or value.keys() - {"folder", "keep"}:
            raise ValueError(_EXPECTED)
        return value.get("folder"), kept_time(value["keep"]) if "keep" in value else None
    if isinstance(value, str) and _KEEP.fullmatch(value.strip()):
        return None, kept_time(value)
    return value, None


class KeepingSection(Section):
    """The keys of keeping."""

    top_keys = TopKeys
    route_keys = RouteKeys
    parts = (Part(Fixity, "fixity", "Reading every stored file from time to time; or only a duration."),)


SECTION = KeepingSection()


def fixity_of(config: Config) -> Fixity | None:
    """How stored files are read by themselves; None: they are not."""
    return config.fixity if isinstance(config, TopKeys) else None


def keeps_for(config: Config, route: Route) -> timedelta | None:
    """How long the originals of a route stay in done; None: for ever."""
    own = route.keep_done if isinstance(route, RouteKeys) else None
    kept = own or (config.done if isinstance(config, TopKeys) else None)
    return None if kept == FOREVER else kept


def removes_by_itself(config: Config) -> bool:
    """Whether any original is removed after a time."""
    return any(keeps_for(config, route) for route in config.routes.values())
