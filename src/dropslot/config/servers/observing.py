"""The keys of config.yaml by which other programs observe the service: Prometheus, and a collector of traces."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from dropslot.config.servers.listening import ListenAddress


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


class Observed(BaseModel):
    """Keys of the whole installation."""

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
