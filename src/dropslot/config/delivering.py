"""Where a route delivers to, as config.yaml says it.

Each kind of destination brings the keys that it alone takes: a model in OPTIONS, under the scheme of its addresses.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from dropslot.config.limits import SpeedLimit
from dropslot.config.values import DestinationTemplate, FileMode, FolderMode, TextTemplate, VariableName

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
        " exist.",
        examples=["./studies/{study}/raw-data/{sent}"],
    )
    must_exist: DestinationTemplate | None = Field(
        None,
        description="A folder that must exist, or the arrival is refused: a mistyped study is not created.",
        examples=["./studies/{study}"],
    )
    group: TextTemplate | None = Field(
        None, description="The group that delivered files and folders get.", examples=["{study}-dittohead"]
    )
    file_mode: FileMode | None = Field(
        None,
        description="Mode of delivered files, in the octal digits of chmod. Default: the umask decides.",
        examples=[640],
    )
    folder_mode: FolderMode | None = Field(
        None,
        description="Mode of delivered folders, in the octal digits of chmod. Default: the umask and the"
        " folder above decide.",
        examples=[2750],
    )
    manifest: ManifestPlace = Field(
        "hidden",
        description="Where the arrival's manifest goes, in the format of sha256sum and as the last file:"
        " `hidden` is `.dropslot/manifests/ID.sha256`, `beside` is `NAME.sha256` in the target, `none`"
        " writes none.",
    )


class SftpOptions(BaseModel):
    """What only destinations at an SFTP server take."""

    address_example: ClassVar[str] = "sftp://USER@HOST/~/PATH"

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
    """One destination of a route."""

    model_config = ConfigDict(extra="forbid", frozen=True)


OPTIONS: Mapping[str, type[SftpOptions]] = {"sftp": SftpOptions}
