"""The key `portal` of config.yaml. Nothing here needs Django."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from dropslot.access.directory_section import GroupRole, Installed, Ldap
from dropslot.config.sections import Part, Section
from dropslot.config.servers.listen_addresses import ListenAddress
from dropslot.config.values import Duration, Size

if TYPE_CHECKING:
    from dropslot.config.models import Config, Route


def _url(value: Any) -> str:
    parts = urlsplit(value) if isinstance(value, str) else urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("expected the address that people type, such as https://drop.lab.example")
    return str(value).rstrip("/")


class OpenId(BaseModel):
    """A provider of OpenID Connect that people may sign in with."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(
        min_length=1, description="What the button on the sign-in page says.", examples=["Hospital"]
    )
    server: Annotated[str, BeforeValidator(_url)] = Field(
        description="The provider's address; `/.well-known/openid-configuration` is below it.",
        examples=["https://login.hospital.example/realms/staff"],
    )
    client_id: str = Field(
        min_length=1, description="The name by which the provider knows this portal.", examples=["dropslot"]
    )
    secret: str = Field(
        min_length=1,
        pattern=r"^[A-Z][A-Z0-9_]*$",
        description="The environment variable that holds the client's secret; `NAME_FILE` may name a file instead.",
        examples=["DROPSLOT_OPENID_SECRET"],
    )


class Portal(BaseModel):
    """The portal: where it listens, and how people reach it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    listen: ListenAddress = Field(
        "127.0.0.1:8070",
        validate_default=True,
        description="Address and port. Other machines reach it only if this is not a loopback address, or through a web"
        " server in front of it.",
        examples=["127.0.0.1:8070"],
    )
    url: Annotated[str, BeforeValidator(_url)] | None = Field(
        None,
        description="The address that people type. Links in mails and on proof pages begin with it, and only this host"
        " is answered. Default: what `listen` says.",
        examples=["https://drop.lab.example"],
    )
    certificate: Path | None = Field(
        None, description="TLS certificate with its chain, in PEM.", examples=["/etc/ssl/drop.pem"]
    )
    key: Path | None = Field(
        None, description="The certificate's private key, in PEM.", examples=["/etc/ssl/drop.key"]
    )
    max_upload: Size | None = Field(
        None,
        description="The largest file that may be uploaded in the browser or by the API.",
        examples=["200GB"],
    )
    quota: Size | None = Field(
        None,
        description="How much one account may have in uploads that are not finished yet.",
        examples=["1TB"],
    )
    keep_uploads: Duration = Field(
        timedelta(days=7),
        description="How long an interrupted upload waits for its continuation; then it is removed.",
        examples=["7d"],
    )
    second_factor: list[
        Literal["sender", "operator", "auditor", "recipient", "study-runner", "administrator"]
    ] = Field(
        default_factory=list,
        description="Roles that must use a second factor (an app's code or a passkey).",
        examples=[["operator", "administrator"]],
    )
    openid: list[OpenId] = Field(
        default_factory=list, description="Providers of OpenID Connect to sign in with."
    )
    ldap: Annotated[Ldap, BeforeValidator(Installed)] | None = Field(
        None,
        description="A directory whose people sign in with their name and password there. Needs the extra `ldap`.",
    )
    proxies: int = Field(
        0,
        ge=0,
        le=5,
        strict=True,
        description="How many web servers of yours stand in front of the portal and add to `X-Forwarded-For`. `0`: the"
        " header is ignored.",
    )


def _or_off(value: Any) -> Any:
    return None if value is False or value == "off" else value


def _show_off(schema: dict[str, Any]) -> None:
    schema["anyOf"] = [
        *(kind for kind in schema["anyOf"] if kind != {"type": "null"}),
        {"enum": ["off", False]},
    ]
    schema.pop("default", None)


class TopKeys(BaseModel):
    """The portal's key of the whole file."""

    portal: Annotated[Portal | None, BeforeValidator(_or_off)] = Field(
        None,
        description="The portal, in the same process tree as the watcher. `off`, or no such key: there is none.",
        examples=[{"listen": "127.0.0.1:8070"}],
        json_schema_extra=_show_off,
    )


class RouteKeys(BaseModel):
    """What the portal adds to a route."""

    repeat: Literal["version", "refuse"] = Field(
        "version",
        description="What the portal does with an upload whose name was sent before. `version`: the portal says"
        " when that was, and accepts the upload; other content becomes the next version. `refuse`: the portal refuses"
        " it. Files that come into the inbox in another way are always accepted.",
    )


class PortalSection(Section):
    """The portal's keys."""

    top_keys = TopKeys
    route_keys = RouteKeys
    parts = (
        Part(Portal, "portal", "The portal: pages in a browser, and the API."),
        Part(OpenId, "portal.openid[]", "One provider."),
        Part(Ldap, "portal.ldap", "A directory to sign in with."),
        Part(GroupRole, "portal.ldap.roles[]", "A role for the people of a group."),
    )

    def absolute(self, model: BaseModel, base: Path) -> dict[str, Any]:
        if not isinstance(model, TopKeys) or model.portal is None:
            return {}
        from dropslot.config.relative_paths import absolute_path

        pairs = ((name, getattr(model.portal, name)) for name in ("certificate", "key"))
        update: dict[str, Any] = {name: absolute_path(path, base) for name, path in pairs if path}
        if model.portal.ldap and (path := model.portal.ldap.certificates):
            certificates = {"certificates": absolute_path(path, base)}
            update["ldap"] = model.portal.ldap.model_copy(update=certificates)
        return {"portal": model.portal.model_copy(update=update)}

    def addresses(self, config: Config) -> Iterable[tuple[str, str]]:
        portal = portal_of(config)
        return [("portal", address(portal))] if portal is not None else []


SECTION = PortalSection()


def portal_of(config: Config) -> Portal | None:
    """The portal that a configuration asks for; None: there is none."""
    return config.portal if isinstance(config, TopKeys) else None


def refuses_repeats(route: Route) -> bool:
    """Whether the portal refuses an upload whose name was sent before."""
    return isinstance(route, RouteKeys) and route.repeat == "refuse"


def address(portal: Portal) -> str:
    """The address that people type: `url`, else that of `listen`."""
    scheme = "https" if portal.certificate else "http"
    return portal.url or f"{scheme}://{portal.listen}"
