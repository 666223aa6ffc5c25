"""The keys of `deliver` for an object store that speaks S3."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from dropslot.config.values import VariableName
from dropslot.core.addressing.address_parts import HOST, is_loopback, port_of

_ENDPOINT = re.compile(rf"(?P<scheme>https?)://{HOST}/?", re.IGNORECASE)


def endpoint(value: str) -> str:
    """The address of an object store's API in its one spelling."""
    found = _ENDPOINT.fullmatch(value)
    if found is None:
        raise ValueError("expected https://HOST or https://HOST:PORT, without a path or a password")
    port_of(found["port"], 443)
    if found["scheme"].lower() == "http" and not is_loopback(found["host"].strip("[]")):
        raise ValueError("expected https://; without encryption only a store of this machine is spoken to")
    return value.lower().rstrip("/")


Endpoint = Annotated[str, AfterValidator(endpoint)]


class ObjectLock(BaseModel):
    """How long nobody can delete or replace what was delivered."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mode: Literal["governance", "compliance"] = Field(
        description="`governance`: an account with a special right can still delete it; `compliance`: nobody can.",
    )
    days: int = Field(
        ge=1, le=36_500, description="For how many days, from the delivery on.", examples=[3650]
    )


class StoreOptions(BaseModel):
    """What is needed to reach a bucket, and how objects are stored in it."""

    endpoint: Endpoint | None = Field(
        None,
        description="`s3://` only: the address of the object store. Default: Amazon's, for `region`.",
        examples=["https://minio.lab.example:9000"],
    )
    region: str | None = Field(
        None,
        min_length=1,
        description="`s3://` only: the bucket's region. Default: `AWS_REGION`, `AWS_DEFAULT_REGION` or `~/.aws/config`;"
        " otherwise `us-east-1`, which most stores other than Amazon's accept.",
        examples=["eu-central-1"],
    )
    access_key: VariableName | None = Field(
        None,
        description="`s3://` only: the name of an environment variable that holds the id of the access key. Instead of"
        " NAME, `NAME_FILE` may hold the path of a file with it. Without it the usual places of the AWS SDK are asked:"
        " `AWS_ACCESS_KEY_ID`, `~/.aws`, the role of the machine or container.",
        examples=["STORE_KEY_ID"],
    )
    secret_key: VariableName | None = Field(
        None,
        description="`s3://` only: the same for the secret of the access key. Never write a secret itself here.",
        examples=["STORE_SECRET"],
    )
    session_token: VariableName | None = Field(
        None,
        description="`s3://` only: the same for the session token that belongs to a temporary access key.",
        examples=["STORE_TOKEN"],
    )
    profile: str | None = Field(
        None, min_length=1, description="`s3://` only: the profile in `~/.aws` to use.", examples=["dropslot"]
    )
    addressing: Literal["path", "virtual"] | None = Field(
        None,
        description="`s3://` only: where the bucket stands in a request. `path`: in the path; `virtual`: in the name of"
        " the host. Default: `path` with an `endpoint`, `virtual` at Amazon.",
    )
    storage_class: str | None = Field(
        None,
        pattern=r"^[A-Z][A-Z0-9_]*$",
        description="`s3://` only: the storage class of what is delivered. Default: the bucket's.",
        examples=["STANDARD_IA"],
    )
    object_lock: ObjectLock | None = Field(
        None,
        description="`s3://` only: lock what is delivered against deletion. The bucket must have been made with object"
        " lock.",
        examples=[{"mode": "governance", "days": 3650}],
    )
    encryption: Literal["AES256", "aws:kms"] | None = Field(
        None,
        description="`s3://` only: ask the store to encrypt what is delivered, with a key of its own (`AES256`) or of"
        " its key service (`aws:kms`). Default: the bucket's setting.",
    )
    kms_key: str | None = Field(
        None,
        min_length=1,
        description="`s3://` only: with `encryption: aws:kms`, the key of the key service. Default: the bucket's.",
    )
