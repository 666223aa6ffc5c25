"""Keys of config.yaml: scanners and archives that may send to a route."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from dropslot.config.sections import Found, Part, RouteRule, broken
from dropslot.config.servers.listen_addresses import ListenAddress
from dropslot.config.values import Duration
from dropslot.core.addressing.dicom_addresses import is_title
from dropslot.core.settings.config_errors import NO_VALUE
from dropslot.core.templates import Template
from dropslot.dicom.importing.config_keys import is_imported

if TYPE_CHECKING:
    from dropslot.config.models import Config, Route

QUIET = timedelta(seconds=10)
_UID = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")


def _ae_title(value: str) -> str:
    if not is_title(value):
        raise ValueError("expected an AE title: 1 to 16 ASCII characters, no backslash")
    return value


def _host(value: str) -> str:
    try:
        ipaddress.ip_network(value)
    except ValueError:
        # Something of digits and dots is a mistyped address, not a name.
        if not _HOST.fullmatch(value) or value.replace(".", "").isdigit():
            raise ValueError(
                "expected an IP address, a network such as 10.0.5.0/24, or a host name"
            ) from None
    return value


def _uid(value: str) -> str:
    if len(value) > 64 or not _UID.fullmatch(value):
        raise ValueError(
            "expected the UID of a SOP class: at most 64 digits and dots, such as 1.3.12.2.1107.5.9.1"
        )
    return value


Uid = Annotated[str, AfterValidator(_uid)]
AeTitle = Annotated[str, AfterValidator(_ae_title)]
Host = Annotated[str, AfterValidator(_host)]


class Allowed(BaseModel):
    """A scanner or archive that may send."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    aet: AeTitle | None = Field(
        None, description="Its AE title. Default: any, from that host.", examples=["MR1"]
    )
    host: Host | None = Field(
        None,
        description="Its address, its host name, or the network that it is in. Default: any. An AE title alone proves"
        " nothing: anyone can say it.",
        examples=["10.0.5.21", "10.0.5.0/24"],
    )
    port: int | None = Field(
        None,
        ge=1,
        le=65535,
        description="The port at which it listens itself: answers to its requests for storage commitment go there.",
        examples=[104],
    )


class Receive(BaseModel):
    """A DICOM receiver (C-STORE) that puts what it receives into the route's inbox."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    aet: AeTitle = Field(
        description="The AE title of this receiver. Senders that call another one are refused.",
        examples=["DROPSLOT"],
    )
    listen: ListenAddress = Field(
        "127.0.0.1:11112",
        validate_default=True,
        description="Address and port. Several routes may have the same one, each with another `aet`.",
        examples=["0.0.0.0:11112"],
    )
    allow: tuple[Allowed, ...] = Field(
        (),
        description="Who may send; everyone else is refused. Without it, `listen` must be a loopback address.",
        examples=[[{"aet": "MR1", "host": "10.0.5.21", "port": 104}]],
    )
    certificate: Path | None = Field(
        None,
        description="TLS certificate with its chain, in PEM: senders must then use TLS.",
        examples=["/etc/ssl/dicom.pem"],
    )
    key: Path | None = Field(
        None, description="The certificate's private key, in PEM.", examples=["/etc/ssl/dicom.key"]
    )
    ca: Path | None = Field(
        None,
        description="With `certificate`: senders must show a certificate that one of these authorities has signed,"
        " in PEM.",
        examples=["/etc/ssl/hospital-ca.pem"],
    )
    quiet: Duration = Field(
        QUIET,
        description="How long a study must be quiet before it becomes an arrival: no association that sent some of it"
        " is open, and no instance of it has come. A series that comes later is an arrival of its own.",
        examples=["30s"],
    )
    idle: Duration = Field(
        timedelta(seconds=60),
        ge=timedelta(seconds=1),
        description="How long a sender may be silent before its association is aborted.",
        examples=["5m"],
    )
    maximum: int = Field(
        20, ge=1, le=200, description="How many associations may be open at a time.", examples=[20]
    )
    storage_classes: tuple[Uid, ...] = Field(
        (),
        description="SOP classes to store besides those of the standard: private ones of a manufacturer, and retired"
        " ones. Senders get no presentation context for others.",
        examples=[["1.3.12.2.1107.5.9.1"]],
    )
    commitment: Duration = Field(
        timedelta(hours=1),
        description="How long a request for storage commitment waits for instances that are not delivered yet. Then"
        " these are reported as failed.",
        examples=["1d"],
    )


class Keys(BaseModel):
    """Keys of a route."""

    receive: Receive | None = Field(
        None,
        description="With `import`: a DICOM receiver (C-STORE SCP) for scanners and archives, see [Receiving from"
        " scanners](dicom-receive.md).",
        examples=[
            {"aet": "DROPSLOT", "listen": "0.0.0.0:11112", "allow": [{"aet": "MR1", "host": "10.0.5.21"}]}
        ],
    )


PARTS: tuple[Part, ...] = (
    Part(Receive, "routes.KEY.receive", "A DICOM receiver for scanners and archives."),
    Part(Allowed, "routes.KEY.receive.allow[]", "Who may send to it."),
)


def receive_of(route: Route) -> Receive | None:
    """The receiver of a route, if it has one."""
    return route.receive if isinstance(route, Keys) else None


def takes_studies(route: Route) -> bool:
    """Whether studies can be put into the inbox of a route, by its receiver or by STOW-RS."""
    return is_imported(route) and not any(True for _ in _why_not(route))


def receivers(config: Config) -> Iterator[tuple[Route, Receive]]:
    """Every route with a receiver."""
    for route in config.routes.values():
        if (receive := receive_of(route)) is not None:
            yield route, receive


def absolute(model: BaseModel, base: Path) -> dict[str, Any]:
    """The receiver's keys with its paths made absolute."""
    from dropslot.config.relative_paths import absolute_path

    if not isinstance(model, Keys) or model.receive is None:
        return {}
    given = {name: getattr(model.receive, name) for name in ("certificate", "key", "ca")}
    paths = {name: absolute_path(path, base) for name, path in given.items() if path}
    return {"receive": model.receive.model_copy(update=paths)}


def _receiving_fits_the_route(route: Route) -> Found:
    if receive_of(route) is None:
        return
    if not is_imported(route):
        yield broken(
            route, ("receive",), NO_VALUE, "expected this key only with import: dicom", "import: dicom"
        )
    for expected, example in _why_not(route):
        yield broken(route, ("receive",), NO_VALUE, expected, example)


def _why_not(route: Route) -> Iterator[tuple[str, str]]:
    """Why nothing can be received into the inbox of a route, each with an example of what could be."""
    for does_fit, expected, example in (
        (not route.leave_source, "expected this key only without leave_source: it writes into the inbox", ""),
        (route.takes != "files", "expected this key only where folders are taken", "takes: directories"),
        (
            not Template(route.inbox).fields,
            "expected this key only with an inbox without fields in its path",
            "",
        ),
    ):
        if not does_fit:
            yield expected, example


def _receiving_is_guarded(route: Route) -> Found:
    receive = receive_of(route)
    if receive is None:
        return
    if not receive.allow and not receive.listen.is_loopback:
        expected = "expected `allow`, which says who may send, or a loopback address"
        yield broken(route, ("receive", "listen"), str(receive.listen), expected, "listen: 127.0.0.1:11112")
    for index, allowed in enumerate(receive.allow):
        if allowed.aet is None and allowed.host is None:
            yield broken(
                route, ("receive", "allow", index), NO_VALUE, "expected `aet`, `host` or both", "aet: MR1"
            )
    if (receive.certificate is None) != (receive.key is None) or (receive.ca and not receive.certificate):
        yield broken(
            route, ("receive",), NO_VALUE, "expected `certificate` and `key`, and `ca` only with them"
        )


RULES: tuple[tuple[frozenset[str], RouteRule], ...] = (
    (
        frozenset({"receive", "imports", "leave_source", "takes", "inbox", "folders"}),
        _receiving_fits_the_route,
    ),
    (frozenset({"receive"}), _receiving_is_guarded),
)
