"""The key `timestamp` of config.yaml. Nothing here needs Django."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from dropslot.config.sections import Part, Section
from dropslot.config.values import Duration

if TYPE_CHECKING:
    from dropslot.config.models import Config


def _url(value: Any) -> str:
    parts = urlsplit(value) if isinstance(value, str) else urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.fragment or "@" in parts.netloc:
        raise ValueError(
            "expected the address of a time-stamping authority, without a password, such as https://tsa.example"
        )
    return str(value)


class Authority(BaseModel):
    """The authority, whom it is trusted by, and how often it is asked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: Annotated[str, BeforeValidator(_url)] = Field(
        description="Its address. Requests have a hash in them, and nothing of what was delivered.",
        examples=["https://tsa.example"],
    )
    certificates: Path | None = Field(
        None,
        description="The root certificates that may stand behind a time stamp, in PEM. If you change the authority,"
        " keep the old root in this file: earlier stamps are verified by it. Default: the authorities that this system"
        " trusts for HTTPS; many time-stamping authorities are not among them.",
        examples=["tsa-root.pem"],
    )
    every: Duration = Field(
        timedelta(days=1),
        ge=timedelta(minutes=1),
        description="How often the head is stamped, if anything has happened since the last time.",
        examples=["1d"],
    )


def _from_address(value: Any) -> Any:
    return {"url": value} if isinstance(value, str) else value


def _show_address(schema: dict[str, Any]) -> None:
    schema["anyOf"] = [{"type": "string"}, *schema["anyOf"]]


class TopKeys(BaseModel):
    """The key of the whole file."""

    timestamp: Annotated[Authority | None, BeforeValidator(_from_address)] = Field(
        None,
        description="An authority that stamps the head of the audit trail with its time (RFC 3161): its address, or a"
        " mapping. Without it there are no time stamps.",
        examples=["https://tsa.example"],
        json_schema_extra=_show_address,
    )


class TimestampSection(Section):
    """The key of time stamps."""

    top_keys = TopKeys
    parts = (Part(Authority, "timestamp", "Time stamps of the audit trail, by an authority elsewhere."),)

    def absolute(self, model: BaseModel, base: Path) -> dict[str, Any]:
        authority = model.timestamp if isinstance(model, TopKeys) else None
        if authority is None or authority.certificates is None:
            return {}
        from dropslot.config.relative_paths import absolute_path

        path = absolute_path(authority.certificates, base)
        return {"timestamp": authority.model_copy(update={"certificates": path})}


SECTION = TimestampSection()


def authority_of(config: Config) -> Authority | None:
    """The authority of a configuration; None: the head is not stamped."""
    return config.timestamp if isinstance(config, TopKeys) else None
