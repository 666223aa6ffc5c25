"""Which service, and how we are let in: TLS, and a secret that is read when it is needed."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from dropslot.config import Deliver, secret
from dropslot.core.addressing.dicom_addresses import Service, parse_service
from dropslot.core.errors import DestinationUnready
from dropslot.core.names import escape
from dropslot.destinations.tls import tls_context


class Access(NamedTuple):
    """A service, the files of TLS, and the names of the environment variables that hold the password and the token."""

    service: Service
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    password: str | None = None
    token: str | None = None

    def tls(self) -> ssl.SSLContext | None:
        """The context; None for a service of this machine without encryption."""
        return tls_context(self.ca, self.certificate, self.key) if self.service.is_encrypted else None

    def authorization(self) -> Mapping[str, str]:
        """The header that lets us in. Raises DestinationUnready if a secret is missing."""
        if self.token:
            return {"Authorization": f"Bearer {self._read(self.token)}"}
        if self.password:
            both = f"{self.service.user}:{self._read(self.password)}".encode()
            return {"Authorization": f"Basic {base64.b64encode(both).decode('ascii')}"}
        return {}

    def _read(self, name: str) -> str:
        value = secret(name)
        if value is None or not value.isprintable():
            raise unready(
                self,
                "needs a secret, but neither the environment variable that `password` or `token` names nor the one with"
                " _FILE has a value free of control characters",
                "Set one of them for the service, and restart it",
            )
        return value


def access_of(rule: Deliver) -> Access:
    """How the service of an entry of `deliver` is reached."""
    service = parse_service(rule.to)
    return Access(service, rule.ca, rule.certificate, rule.key, rule.password, rule.token)


def unready(access: Access, what: str, next_step: str = "It is retried") -> DestinationUnready:
    """The error of a service that cannot take anything now."""
    return DestinationUnready(
        f"The DICOMweb service {escape(access.service.url)} {what}", next_step=next_step
    )
