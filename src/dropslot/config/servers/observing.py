"""The keys of config.yaml by which other programs observe the service: Prometheus, and a collector of traces."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

from dropslot.config.guard import allowed
from dropslot.config.servers.listen_addresses import ListenAddress
from dropslot.config.values import Duration
from dropslot.core.troubles import TroubleKind


def _collector(value: str) -> str:
    parts = urlsplit(value)
    is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
    if not is_address or parts.query or parts.fragment:
        raise ValueError("expected the address of a collector, such as http://127.0.0.1:4318")
    return value.rstrip("/")


class Metrics(BaseModel):
    """Numbers for Prometheus, from a process of their own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    listen: ListenAddress = Field(
        "127.0.0.1:9170",
        validate_default=True,
        description="Address and port. Anyone who reaches it can read the numbers, the names of the routes and the"
        " paths of the folders whose disks are watched; nothing else is there.",
        examples=["127.0.0.1:9170"],
    )


_KINDS = {"type": "string", "enum": [kind.value for kind in TroubleKind], "x-kind": "kind of trouble"}


def _ping(value: str) -> str:
    parts = urlsplit(value)
    is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
    if not is_address or parts.query or parts.fragment or any(char.isspace() for char in value):
        raise ValueError("expected the address of a check, such as https://hc-ping.com/UUID")
    return value.rstrip("/")


class Watched(BaseModel):
    """How the service watches over itself."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ping: Annotated[str, AfterValidator(_ping)] | None = Field(
        None,
        description="The address of a check at healthchecks.io, or at a server that works like it. It is called as long"
        " as all is well; while there is a trouble, the same address with `/fail` behind it. The kinds of troubles are"
        " all that is sent. If no ping comes, that server tells you, even if this machine is gone.",
        examples=["https://hc-ping.com/5f0b1a4e-8a3b-4c55-9a8e-0d8c1b2a3f4e"],
    )
    every: Duration = Field(
        timedelta(minutes=1),
        ge=timedelta(milliseconds=50),
        description="How often it is pinged.",
        examples=["1m"],
    )
    look: Duration = Field(
        timedelta(seconds=15),
        ge=timedelta(milliseconds=50),
        le=timedelta(minutes=15),
        description="How often the service checks itself. A fault that it finds twice in a row is a trouble.",
        examples=["15s"],
    )
    allow_private: list[Annotated[str, AfterValidator(allowed)]] = Field(
        default_factory=list,
        description="Hosts, addresses and networks that `ping` may reach although they are private: a server of your"
        " own, or the proxy on the way.",
        examples=[["hc.lab.example", "10.1.2.0/24"]],
    )
    ignore: list[Annotated[TroubleKind, WithJsonSchema(_KINDS)]] = Field(
        default_factory=list,
        description="Kinds of troubles that are none here, such as `watcher` where only `drain` delivers.",
        examples=[["watcher"]],
    )


class Observed(BaseModel):
    """Keys of the whole installation."""

    health: Watched = Field(
        Watched.model_validate({}), description="When the service looks at itself, and whom it pings."
    )

    metrics: Metrics | None = Field(
        None,
        description="Serve numbers for Prometheus at `http://LISTEN/metrics`, of each process by itself, also on"
        " machines without a portal. The portal has the same at its `/metrics`.",
        examples=[{"listen": "127.0.0.1:9170"}],
    )
    traces: Annotated[str, AfterValidator(_collector)] | None = Field(
        None,
        description="The address of an OpenTelemetry collector that takes OTLP by HTTP. Each attempt at an"
        " arrival becomes a trace whose id is the arrival's, with a span for each step. Needs the extra `traces`.",
        examples=["http://127.0.0.1:4318"],
    )
