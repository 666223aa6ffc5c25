"""The AWS SDK, set up for one bucket: credentials, addresses, certificates, tries, and the proxy on the way."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from botocore.utils import get_environ_proxies
from urllib3 import make_headers

from dropslot.core.errors import BadOption
from dropslot.destinations.s3.store_access import Access

AT_ONCE = 16  # requests under way
TRIES = 6
_QUESTIONS_TRIES = 3  # of requests without bytes
CONNECT_SECONDS, ANSWER_SECONDS = 10, 60
_USUAL_PORT = 80  # of a proxy without one, as the SDK takes it


class Proxy(NamedTuple):
    """It is spoken to without TLS. `headers` say who asks."""

    host: str
    port: int
    headers: Mapping[str, str]


class Connected(NamedTuple):
    """The SDK's client, and what requests of our own need. `url` leads to the bucket's keys."""

    client: Any
    url: str
    credentials: Any
    verify: str | bool
    proxy: Proxy | None


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
        url = _before_key(some)
        return Connected(client, url, session.get_credentials(), verify, proxy_for(url))
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


def proxy_for(url: str) -> Proxy | None:
    """None: the server of `url` is reached without one. Raises BadOption if it is none that dropslot can speak to."""
    scheme = urlsplit(url).scheme
    named = get_environ_proxies(url).get(scheme)
    if not named:
        return None
    try:
        where = urlsplit(named if "://" in named else f"http://{named.removeprefix('//')}")
        host, port = where.hostname, where.port or _USUAL_PORT
    except ValueError:
        raise _unusable(url, scheme, "is not an address with a number as its port") from None
    if where.scheme != "http":
        raise _unusable(url, scheme, f"begins with {where.scheme}://, and a proxy is reached by http:// only")
    if not host:
        raise _unusable(url, scheme, "names no host")
    user = f"{unquote(where.username)}:{unquote(where.password or '')}" if where.username else None
    return Proxy(host, port, make_headers(proxy_basic_auth=user))


def _unusable(url: str, scheme: str, what: str) -> BadOption:
    """Without the value, which may have a password in it."""
    name, server = f"{scheme.upper()}_PROXY", urlsplit(url).hostname
    return BadOption(
        f"The store at {server} cannot be reached: the environment variable {name} {what}",
        next_step=f"Set {name}=http://HOST:PORT for the service, or NO_PROXY={server} if it needs no proxy, and"
        " restart it",
    )
