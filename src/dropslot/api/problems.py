"""Errors of the API, as `application/problem+json` (RFC 9457). Each says what to do next."""

from __future__ import annotations

from typing import Any

from django.http import JsonResponse
from pydantic import BaseModel, Field

from dropslot.core.errors import DropslotError

CONTENT_TYPE = "application/problem+json"


def problem(status: int, title: str, next_step: str, **more: Any) -> JsonResponse:
    """An error of the API."""
    content = {"type": "about:blank", "title": title, "status": status, "next_step": next_step, **more}
    return JsonResponse(content, status=status, content_type=CONTENT_TYPE)


class Denied(DropslotError):
    """Who asks is known, and may not do this."""

    code = "denied"


class NotSignedIn(DropslotError):
    """Nobody is signed in, or the token is not valid."""

    code = "not-signed-in"


class NotThere(DropslotError):
    """There is no such thing, or who asks may not see it."""

    code = "not-there"


class TooMany(DropslotError):
    """Too many attempts; `seconds`: when the next one may be made."""

    code = "too-many"

    def __init__(self, seconds: int) -> None:
        super().__init__("Too many wrong tokens came from this address", next_step=f"Wait {seconds} s")
        self.seconds = seconds


class BadFilter(DropslotError):
    """A filter of a listing that cannot be read; `field` is its name."""

    code = "bad-filter"

    def __init__(self, field: str, what: str, next_step: str) -> None:
        super().__init__(what, next_step=next_step)
        self.field = field


class Fault(BaseModel):
    """One field that is not valid."""

    field: str = Field(examples=["limit"])
    what: str = Field(examples=["Input should be less than or equal to 500"])


class Problem(BaseModel):
    """An error (RFC 9457), with what to do next."""

    type: str = Field(examples=["about:blank"])
    title: str = Field(
        description="What happened.", examples=["There is no such arrival, or you may not see it"]
    )
    status: int = Field(examples=[404])
    next_step: str = Field(
        description="What to do now.", examples=["`GET /api/v1/arrivals` lists those that you may see"]
    )
    code: str = Field("", description="Stable: scripts may compare it.", examples=["not-there"])
    detail: str = Field("", description="Where the data is now.", examples=["Nothing was changed"])
    errors: list[Fault] = Field(default_factory=list, description="The fields that are not valid.")
