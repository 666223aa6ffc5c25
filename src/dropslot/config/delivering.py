"""Where a route delivers to, as config.yaml says it.

Each kind of destination that dropslot brings has its own keys: a model in PLACES, under the scheme of its addresses. A
kind of an operator's own, which `destinations` names, gets what is under `options`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from dropslot.config.limits import SpeedLimit
from dropslot.config.values import DestinationTemplate, FileMode, FolderMode, TextTemplate, VariableName
from dropslot.core.addresses import scheme_of
from dropslot.core.templates import Template

ManifestPlace = Literal["hidden", "beside", "none"]
Verify = Literal["size", "read-back"]


class Everywhere(BaseModel):
    """What every destination of a route has."""

    to: DestinationTemplate = Field(
        description="The folder that gets the contents of an arrival: a path, or `sftp://USER@HOST/PATH` (with `:PORT`"
        " after the host; `/~/PATH` is beneath where the account starts; nothing in it is percent-encoded)."
        " `{field}` stands for a field's"
        " value, which must be a single safe path component. Besides the route's own fields there are `{date:%Y%m%d}`"
        " and `{weekday}` (when it was received, in `time_zone`) and `{mime}` (`application-pdf`). `{mime}`, and fields"
        " of items of your own, may differ by item: each item of a folder then goes where its own values lead. The part"
        " before the first field must exist: it is"
        " never created, so that an unmounted disk is not filled. Without a field the folder itself must"
        " exist. An address of another scheme belongs to a kind of your own (`destinations`).",
        examples=["./studies/{study}/raw-data/{sent}"],
    )
    manifest: ManifestPlace = Field(
        "hidden",
        description="Where the arrival's manifest goes, in the format of sha256sum and as the last file:"
        " `hidden` is `.dropslot/manifests/ID.sha256`, `beside` is `NAME.sha256` in the target, `none`"
        " writes none.",
    )
    options: Any = Field(
        None,
        description="What a kind of destination of your own takes: one that `destinations` names.",
        examples=[{"region": "eu-north-1"}],
    )


class InFolders(BaseModel):
    """What only destinations take that have folders with modes: on this machine, and at an SFTP server."""

    must_exist: DestinationTemplate | None = Field(
        None,
        description="Folders and `sftp://` only: a folder that must exist, or"
        " the arrival is refused: a mistyped study is not created.",
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


class SftpOptions(InFolders):
    """What destinations at an SFTP server take."""

    create_folders: bool = Field(
        False,
        strict=True,
        description="`sftp://` only: make missing folders of the target, from the first field on. Otherwise an arrival"
        " for a missing folder is refused.",
    )
    key: Path | None = Field(
        None,
        description="`sftp://` only: the private key to log in with, without a passphrase. Default: the agent and the"
        " keys in `~/.ssh`.",
        examples=["~/.ssh/id_ed25519"],
    )
    known_hosts: Path | None = Field(
        None,
        description="`sftp://` only: the file of host keys that are trusted, as ssh has it. An unknown server is"
        " refused until `dropslot trust_host URL` accepts it. Default: `~/.ssh/known_hosts`.",
        examples=["./known_hosts"],
    )
    password: VariableName | None = Field(
        None,
        description="`sftp://` only: the name of the environment variable that holds the password; or of `NAME_FILE`,"
        " which names a file. Never the password itself.",
        examples=["EDC_PASSWORD"],
    )
    verify: Verify = Field(
        "size",
        description="`sftp://` only: what proves that the server has the file, besides its answer and sync. `size`"
        " compares sizes; `read-back` reads every byte again. The receipt says which one was used.",
    )
    limit: SpeedLimit | None = Field(
        None,
        description="`sftp://` only: bytes a second at most, over all workers; or by time of day, in `time_zone`.",
        examples=["20MB/s", {"08:00-18:00": "5MB/s"}],
    )


class Deliver(SftpOptions, Everywhere):
    """One destination of a route: the keys of all kinds. Those that its own kind does not take are refused when
    config.yaml is read (`misplaced`)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @property
    def scheme(self) -> str:
        """By which its kind is known; empty for a folder of this machine."""
        return scheme_of(self.to)

    @property
    def folder_here(self) -> str | None:
        """The folder of this machine that it delivers into (before the first field), which is there before any arrival;
        None for all that is elsewhere."""
        return None if self.scheme else Template(self.to).fixed

    @property
    def texts(self) -> Iterator[tuple[str, str]]:
        """Its keys in which fields may be, and what is there."""
        for key in ("to", "must_exist", "group"):
            if text := getattr(self, key):
                yield key, text

    @property
    def misplaced(self) -> Iterator[tuple[str, str, str]]:
        """The keys that its kind does not take, each with what was expected and an example of `to`."""
        own = PLACES.get(self.scheme)
        taken = {*Everywhere.model_fields, *own.options.model_fields} - {"options"} if own else _OF_ANY_KIND
        for key in sorted(self.model_fields_set - taken):
            fits = [place for place in PLACES.values() if key in place.options.model_fields]
            where = " or ".join(place.words for place in fits) or "names a kind that `destinations` has"
            example = fits[-1].example if fits else "SCHEME://PLACE"
            yield key, f"expected this key only where `to` {where}", f"to: {example}"


class _Place(NamedTuple):
    """A kind of destination that dropslot brings; its code is `dropslot.destinations.KINDS`."""

    options: type[BaseModel]
    words: str  # how its `to` is told
    example: str


PLACES: Mapping[str, _Place] = {
    "": _Place(InFolders, "is a folder of this machine", "./delivered"),
    "sftp": _Place(SftpOptions, "begins with sftp://", "sftp://USER@HOST/~/PATH"),
}
_OF_ANY_KIND = frozenset(Everywhere.model_fields)
