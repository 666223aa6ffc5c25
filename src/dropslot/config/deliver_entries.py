"""The entries of `deliver` in config.yaml: where a route delivers to.

Each built-in kind of destination has its own keys: a model in PLACES, under the scheme of its addresses. An operator's
own kind, which `destinations` names, gets its settings from `options`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from dropslot.config.limits import SpeedLimit
from dropslot.config.route_parts import SpaceLimits
from dropslot.config.servers.listen_addresses import ListenAddress
from dropslot.config.servers.object_stores import StoreOptions
from dropslot.config.values import (
    DestinationTemplate,
    FileMode,
    FolderMode,
    TextTemplate,
    Title,
    VariableName,
)
from dropslot.core.addressing.addresses import place_of, scheme_of
from dropslot.core.templates import Template

ManifestPlace = Literal["hidden", "beside", "none"]
Verify = Literal["size", "read-back", "acknowledged", "find", "commitment"]


class Everywhere(BaseModel):
    """Keys of every destination of a route."""

    to: DestinationTemplate = Field(
        description="The folder that gets the contents of an arrival: a path, or `sftp://USER@HOST/PATH` (with `:PORT`"
        " after the host; `/~/PATH` is below the account's start folder; nothing in it is percent-encoded)."
        " `{field}` stands for a field's"
        " value, which must be a single safe path component. Besides the route's own fields there are `{date:%Y%m%d}`"
        " and `{weekday}` (when it was received, in `time_zone`) and `{mime}` (`application-pdf`). `{mime}` and your"
        " own fields of items may differ by item: each item of a folder then goes to the path with its own values."
        " The part before the first field must exist: it is"
        " never created, so that an unmounted disk is not filled. Without a field the folder itself must"
        " exist. `dicom://AET@HOST:PORT` is a DICOM node, `dicomweb+https://HOST/PATH` a DICOMweb service."
        " `s3://BUCKET/PATH` is a bucket of an object store."
        " An address of another scheme belongs to a kind of your own (`destinations`).",
        examples=["./studies/{study}/raw-data/{sent}"],
    )
    manifest: ManifestPlace = Field(
        "hidden",
        description="Where the arrival's manifest goes. It is in the format of sha256sum and written last:"
        " `hidden` is `.dropslot/manifests/ID.sha256`, `beside` is `NAME.sha256` in the target, `none`"
        " writes none.",
    )
    at_once: int | None = Field(
        None,
        ge=1,
        strict=True,
        description="How many arrivals may be worked on at the same time for this server (or this folder, before the"
        " first field), by all workers of all machines and for all routes that deliver there. The least number counts"
        " if several entries have one. Default: no limit.",
        examples=[4],
    )
    space: SpaceLimits = Field(
        SpaceLimits.model_validate({}), description="How much it may hold, and when to say that it fills up."
    )
    options: Any = Field(
        None,
        description="Settings for a kind of destination of your own, which `destinations` names.",
        examples=[{"region": "eu-north-1"}],
    )


class InFolders(BaseModel):
    """Keys only of destinations that have folders with modes: on this machine, and on an SFTP server."""

    must_exist: DestinationTemplate | None = Field(
        None,
        description="Folders and `sftp://` only: a folder that must exist;"
        " otherwise the arrival is refused, so that a mistyped study is not created.",
        examples=["./studies/{study}"],
    )
    group: TextTemplate | None = Field(
        None,
        description="Folders and `sftp://` only: the group that delivered files and folders get.",
        examples=["{study}-dittohead"],
    )
    file_mode: FileMode | None = Field(
        None,
        description="Folders and `sftp://` only: mode of delivered files, in the octal digits of chmod."
        " Default: the umask decides.",
        examples=[640],
    )
    folder_mode: FolderMode | None = Field(
        None,
        description="Folders and `sftp://` only: mode of delivered folders, in the octal digits of chmod."
        " Default: the umask and the"
        " folder above decide.",
        examples=[2750],
    )


class WithSecret(BaseModel):
    """Keys of servers that ask for a secret."""

    password: VariableName | None = Field(
        None,
        description="`sftp://` and `dicomweb+https://` only: the name of an environment variable that holds the"
        " password. Instead of NAME, `NAME_FILE` may hold the path of a file with it. Never write the password itself"
        " here.",
        examples=["EDC_PASSWORD"],
    )


class WithKey(BaseModel):
    """Keys of everything that proves to a server who delivers, and how its answer is proved."""

    key: Path | None = Field(
        None,
        description="The private key, without a passphrase. `sftp://`: the key to log in with; default: the agent and"
        " the keys in `~/.ssh`. `dicom://` and `dicomweb+https://`: the key of `certificate`, in PEM.",
        examples=["~/.ssh/id_ed25519"],
    )
    verify: Verify | None = Field(
        None,
        description="How to prove that the server has the file, besides its answer. The receipt says which proof was"
        " had. `sftp://`: `size` (default) compares sizes; `read-back` reads every byte again. `dicom://`:"
        " `acknowledged` (default) takes the success status of C-STORE; `find` also asks by C-FIND for each instance;"
        " `commitment` also asks for storage commitment. `dicomweb+https://`: `find` (default) also asks by"
        " QIDO-RS for each instance; `acknowledged` takes the answer of STOW-RS.",
    )


class SftpOptions(WithKey, WithSecret, InFolders):
    """Keys of destinations on an SFTP server."""

    create_folders: bool = Field(
        False,
        strict=True,
        description="`sftp://` only: make missing folders of the target, from the first field on. Otherwise an arrival"
        " for a missing folder is refused.",
    )
    known_hosts: Path | None = Field(
        None,
        description="`sftp://` only: the file of trusted host keys, in the format of ssh. An unknown server is"
        " refused until `dropslot trust_host URL` accepts it. Default: `~/.ssh/known_hosts`.",
        examples=["./known_hosts"],
    )
    limit: SpeedLimit | None = Field(
        None,
        description="`sftp://` only: the most bytes a second, for all workers together. It may depend on the time of"
        " day, in `time_zone`.",
        examples=["20MB/s", {"08:00-18:00": "5MB/s"}],
    )


class WithAuthorities(BaseModel):
    """The key of servers that are proved by a certificate."""

    ca: Path | None = Field(
        None,
        description="The authorities that the server's certificate is proved with, in PEM. `dicom://`: with this key"
        " the connection uses TLS, without it none. `dicomweb+https://`: default are this machine's. `s3://`: default"
        " is `AWS_CA_BUNDLE`, or else Mozilla's list.",
        examples=["./pacs-ca.pem"],
    )


class WithTls(WithKey, WithAuthorities):
    """Keys of connections by TLS."""

    certificate: Path | None = Field(
        None,
        description="`dicom://` and `dicomweb+https://` only: our own certificate, in PEM, for servers that ask for"
        " one. Its key is `key`.",
        examples=["./dropslot.pem"],
    )


class DicomOptions(WithTls):
    """Keys of destinations that are DICOM nodes."""

    aet: Title = Field(
        "DROPSLOT",
        description="`dicom://` only: our own AE title, by which the node knows us.",
        examples=["DROPSLOT"],
    )
    commitment_listen: ListenAddress | None = Field(
        None,
        description="`dicom://` only: address and port where a node may answer a request for storage commitment. Most"
        " answer on a connection of their own, to the address that they have for our AE title. Without this key only an"
        " answer on our own connection is awaited.",
        examples=["0.0.0.0:11113"],
    )


class WebOptions(WithTls, WithSecret):
    """Keys of destinations that are DICOMweb services."""

    token: VariableName | None = Field(
        None,
        description="`dicomweb+https://` only: the name of an environment variable (or of NAME_FILE) that holds a"
        " bearer token. Instead of it there may be a user in the address, with `password`.",
        examples=["PACS_TOKEN"],
    )


class S3Options(StoreOptions, WithAuthorities):
    """Keys of destinations that are buckets of an object store."""


class Deliver(SftpOptions, DicomOptions, WebOptions, S3Options, Everywhere):
    """One destination of a route, with the keys of all kinds. Keys that its kind does not have are refused when
    config.yaml is read (`misplaced`)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @property
    def scheme(self) -> str:
        """The scheme, under which its kind is registered; empty for a folder of this machine."""
        return scheme_of(self.to)

    @property
    def folder_here(self) -> str | None:
        """The folder of this machine that it delivers into, before the first field; it exists before any arrival. None
        for destinations elsewhere."""
        return None if self.scheme else Template(self.to).fixed

    @property
    def limited_as(self) -> str:
        """What `at_once` is a limit of: the server, or the folder of this machine before the first field."""
        return self.folder_here or place_of(self.to)

    @property
    def texts(self) -> Iterator[tuple[str, str]]:
        """Its keys that may contain fields, with their texts."""
        for key in ("to", "must_exist", "group"):
            if text := getattr(self, key):
                yield key, text

    @property
    def misplaced(self) -> Iterator[tuple[str, str, str]]:
        """The keys that its kind does not have, each with the expectation and an example of `to`."""
        own = PLACES.get(self.scheme)
        taken = {*Everywhere.model_fields, *own.options.model_fields} - {"options"} if own else _OF_ANY_KIND
        for key in sorted(self.model_fields_set - taken):
            fits = [place for place in PLACES.values() if key in place.options.model_fields]
            where = " or ".join(place.words for place in fits) or "names a kind that `destinations` has"
            example = fits[-1].example if fits else "SCHEME://PLACE"
            yield key, f"expected this key only where `to` {where}", f"to: {example}"
        if own and self.verify and "verify" in taken and self.verify not in own.proofs:
            expected = f"expected {' or '.join(own.proofs)} where `to` {own.words}"
            yield "verify", expected, f"verify: {own.proofs[0]}"


class _Place(NamedTuple):
    """A built-in kind of destination; its code is in `dropslot.destinations.KINDS`."""

    options: type[BaseModel]
    words: str  # the form of its `to`, in words
    example: str
    proofs: tuple[Verify, ...] = ()  # what `verify` may be


_BY_WEB: tuple[Verify, ...] = ("find", "acknowledged")
PLACES: Mapping[str, _Place] = {
    "": _Place(InFolders, "is a folder of this machine", "./delivered"),
    "sftp": _Place(SftpOptions, "begins with sftp://", "sftp://USER@HOST/~/PATH", ("size", "read-back")),
    "dicom": _Place(
        DicomOptions, "begins with dicom://", "dicom://AET@HOST:PORT", ("acknowledged", "find", "commitment")
    ),
    "dicomweb+http": _Place(
        WebOptions, "begins with dicomweb+http://", "dicomweb+http://localhost/PATH", _BY_WEB
    ),
    "dicomweb+https": _Place(
        WebOptions, "begins with dicomweb+https://", "dicomweb+https://HOST/PATH", _BY_WEB
    ),
    "s3": _Place(S3Options, "begins with s3://", "s3://BUCKET/PATH"),
}
_OF_ANY_KIND = frozenset(Everywhere.model_fields)
