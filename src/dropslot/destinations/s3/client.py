"""The AWS SDK, set up for one bucket: credentials, addresses, certificates, tries."""

from __future__ import annotations

import os
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from dropslot.core.errors import BadOption
from dropslot.destinations.s3.access import Access

AT_ONCE = 16  # requests under way
TRIES = 6
_QUESTIONS_TRIES = 3  # of requests without bytes
CONNECT_SECONDS, ANSWER_SECONDS = 10, 60


class Connected(NamedTuple):
    """The SDK's client, and what requests of our own need. `url` leads to the bucket's keys."""

    client: Any
    url: str
    credentials: Any
    verify: str | bool


def connect(access: Access) -> Connected:
    """Make a client; nothing is sent yet. Raises BadOption, also for a profile that is not there."""
    try:
        session = botocore.session.Session(profile=access.profile)
        if credentials := access.credentials():
            session.set_credentials(*credentials)
        # The SDK of this language does not read AWS_REGION, which other programs do.
        region = access.region or os.environ.get("AWS_REGION") or session.get_config_variable("region")
        region = region or access.usual_region
        verify = str(access.ca) if access.ca else session.get_config_variable("ca_bundle") or True
        client = session.create_client(
            "s3", region, endpoint_url=access.endpoint, verify=verify, config=_config(access)
        )
        some = client.generate_presigned_url("put_object", {"Bucket": access.bucket, "Key": "x"})
        return Connected(client, _before_key(some), session.get_credentials(), verify)
    except BotoCoreError as error:
        what = f"deliver to s3://{access.bucket}: {error}"
        raise BadOption(
            what, next_step="Correct it in config.yaml, or in the places of the AWS SDK"
        ) from error


def _before_key(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path.removesuffix('x')}"


def _config(access: Access) -> Config:
    addressing = access.addressing or ("path" if access.endpoint else "virtual")
    return Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=ANSWER_SECONDS,
        max_pool_connections=AT_ONCE,
        retries={"mode": "standard", "total_max_attempts": _QUESTIONS_TRIES},
        tcp_keepalive=True,
        signature_version="s3v4",
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        # Bytes come with their SHA-256 in a signed header: the SDK need not hash them once more.
        s3={"addressing_style": addressing, "payload_signing_enabled": False},
    )
