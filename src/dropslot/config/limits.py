"""The highest rate at which a destination is written, as a key of config.yaml."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from dropslot.core.settings.limits import Limit, limit, written

SpeedLimit = Annotated[
    Limit,
    BeforeValidator(limit),
    PlainSerializer(written),
    WithJsonSchema(
        {"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "object"}], "x-kind": "rate"}
    ),
]
