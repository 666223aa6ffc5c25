"""Parts of a route in config.yaml that are mappings of their own."""

from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field

from dropslot.config.values import (
    DestinationTemplate,
    Duration,
    FieldName,
    Glob,
    MimeType,
    Pattern,
    Percent,
    Quota,
    Size,
    TablePath,
)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Select(_Part):
    """What every item of an arrival must be; anything else refuses the arrival, whole."""

    patterns: list[Glob] = Field(
        default_factory=list,
        description="Patterns of names, any letter case. An item must match one of them.",
        examples=[["*.pdf"]],
    )
    mime: list[MimeType] = Field(
        default_factory=list,
        description="MIME types, determined from the content. An item must have one of them. `image/*` is every"
        " image.",
        examples=[["application/pdf"]],
    )
    max_item_size: Size | None = Field(
        None, description="The largest size that an item may have.", examples=["20MB"]
    )
    max_size: Size | None = Field(
        None, description="The largest size that an arrival may have as a whole.", examples=["50GiB"]
    )
    max_items: int | None = Field(
        None, ge=1, strict=True, description="How many items an arrival may hold.", examples=[100000]
    )


class Lookup(_Part):
    """A field that is looked up in a table of folders."""

    field: FieldName = Field(description="The field that gets the name of the folder.", examples=["folder"])
    table: TablePath = Field(
        description="The CSV file with the columns `base_path`, `folder`, `folder_tag` and `label`. It is loaded into"
        " the database by `dropslot load_remote_folders`, and at start if it has changed.",
        examples=["remote_folders.csv"],
    )
    label: str = Field(
        min_length=1, description="Which lines of the table count, any letter case.", examples=["BHS"]
    )
    hint: Pattern = Field(
        description="Regular expression that is searched for in the arrival's name. Its group `hint`, or the whole"
        " match if there is no such group, is the `folder_tag` to look up.",
        examples=[r"^066-(?P<hint>\d\d)"],
    )
    base_path: str | None = Field(
        None, description="Only lines with this `base_path` count.", examples=["/viral_load"]
    )


class LateAfter(_Part):
    """After how long somebody should look."""

    waiting: Duration = Field(
        timedelta(minutes=15),
        description="Arrivals that no worker has begun, and drops that cannot be taken from the inbox, though their"
        " sender has finished.",
        examples=["15m"],
    )
    retrying: Duration = Field(
        timedelta(hours=1), description="Arrivals that cannot be delivered yet.", examples=["1h"]
    )
    failed: Duration = Field(
        timedelta(days=1),
        description="Refused arrivals that nobody has retried or dismissed.",
        examples=["1d"],
    )


class Space(_Part):
    """When to warn about full disks."""

    warn: Percent | None = Field(
        None,
        description="Warn when the file system of a destination, of `done` or of `data` is this full. Default: 90 %.",
        examples=["90%"],
    )


class SpaceLimits(_Part):
    """How much a destination may hold, and when to say that it fills up."""

    warn: Percent | None = Field(
        None,
        description="Warn when this much is used. Default: `warn` of the route's `space`, or else 90 %.",
        examples=["85%"],
    )
    full: Percent = Field(
        100.0,
        description="An arrival that would make it fuller than this waits, whole, until there is room. `98%` leaves"
        " some room to others who write there.",
        examples=["98%"],
    )
    of: DestinationTemplate | None = Field(
        None,
        description="The folder whose space is looked at by itself, for each value of its fields: the beginning of"
        " `to`, up to a whole folder. Then dropslot says *study heart is 90 % full*, and counts what each holds."
        " Default: the part of `to` before the first field.",
        examples=["./studies/{study}"],
    )
    quota: Quota | None = Field(
        None,
        description="How much this folder may hold, by dropslot's own count, whatever the disk or the server says."
        " Either one size for all values of the fields, or a mapping with a size for each value (values of several"
        " fields are joined by `/`), and `'*'` for the others.",
        examples=["2TB", {"heart": "2TB", "*": "500GB"}],
    )
