"""The objects of the API, with the keys of the listings. What is written here is in `openapi.json`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from dropslot.core.states import Outcome, State

Id = Annotated[
    str, Field(description="ULID, 26 characters.", examples=["01KBE8QZ3M5V9T2R7XWC4N6PHA"], max_length=26)
]
Time = Annotated[
    str,
    Field(
        description="UTC, ISO 8601 with Z.",
        examples=["2026-03-01T08:00:00.125Z"],
        json_schema_extra={"format": "date-time"},
    ),
]
Sha256 = Annotated[str, Field(description="SHA-256 in hexadecimal.", examples=["9f86d081884c7d659a2feaa0…"])]
Next = Annotated[
    str | None,
    Field(description="The cursor of the next page; null: this is the last one.", examples=["01KBE8Q…"]),
]


class Arrival(BaseModel):
    """One complete thing that was taken from an inbox."""

    id: Id
    route: str = Field(description="The key of its route.", examples=["study"])
    name: str = Field(description="Its name, escaped for people.", examples=["heart-pc17-visit1"])
    sender: str = Field(description="The account that sent it.", examples=["sam"])
    state: State
    items: int | None = Field(description="How many files; null: not counted yet.", examples=[12])
    size_bytes: int | None = Field(examples=[48_210_433])
    attempts: int = Field(description="How often a delivery was begun.", examples=[1])
    reason: list[str] = Field(
        description="Why it failed or waits; empty if all is well.", examples=[[], ["a.exe is not a *.pdf"]]
    )
    dropped_at: Time
    received_at: Time
    finished_at: Time | None
    held_at: Time | None = Field(
        description="Since when it is checked and waits until somebody sends it onward; otherwise null."
    )


class Delivery(BaseModel):
    """One item at one destination. Extensions of dropslot may add keys."""

    model_config = ConfigDict(extra="allow")

    id: int = Field(description="Its number, for `GET deliveries/{id}`.", examples=[4711])
    arrival: Id
    route: str = Field(examples=["study"])
    name: str = Field(description="The arrival's name.", examples=["heart-pc17-visit1"])
    item: str = Field(description="Path inside the arrival.", examples=["scan/001.dcm"])
    sender: str = Field(examples=["sam"])
    location: str = Field(description="Where it was sent from, if that is known.", examples=["Brogden A"])
    fields: dict[str, Any] = Field(
        description="Values taken from its name and content.", examples=[{"study": "heart"}]
    )
    mime: str | None = Field(examples=["application/dicom"])
    size_bytes: int = Field(examples=[524_288])
    modified_at: Time
    destination: str = Field(
        description="Empty for who does not see the whole route.", examples=["/srv/studies/heart/raw-data"]
    )
    stored_as: str = Field(description="Path inside the destination.", examples=["scan/001.dcm"])
    version: int = Field(examples=[1])
    outcome: Outcome
    superseded: bool = Field(description="Whether a version that was dropped later existed already.")
    sha256: Sha256
    dropped_at: Time
    delivered_at: Time | None
    archived_as: str | None = Field(
        description="Path in done; null once it is purged, and for those who do not see the whole route."
    )
    acknowledged_at: Time | None = Field(None, description="When a recipient fetched it first.")
    acknowledged_by: str | None = Field(None, examples=["clinic12"])


class Place(BaseModel):
    """Where an arrival's bytes are now."""

    folder: Literal["inbox", "processing", "failed", "done", "destinations", "removed"] = Field(
        description="`destinations`: only there. `removed`: it was purged from failed."
    )
    path: str | None = Field(
        description="On the server; null for those who do not see the whole route, and where there is none."
    )


class Deliveries(BaseModel):
    """Deliveries, the newest first."""

    items: list[Delivery]
    next: Next


class ArrivalDetail(Arrival):
    """One arrival with its deliveries."""

    location: str = Field(examples=["Brogden A"])
    fields: dict[str, Any] = Field(examples=[{"study": "heart"}])
    where: Place
    has_receipt: bool = Field(description="Whether `GET arrivals/{id}/receipt` has one.")
    deliveries: Deliveries = Field(
        description="The first of them; `GET deliveries?arrival=ID&cursor=NEXT` has the others."
    )


class Arrivals(BaseModel):
    """Arrivals, the newest first."""

    items: list[Arrival]
    next: Next


class Event(BaseModel):
    """One entry of the audit trail."""

    seq: int = Field(description="Its place in the chain.", examples=[1042])
    at: Time
    kind: str = Field(examples=["delivered"])
    arrival: str = Field(description="Id of its arrival; empty: of none.", max_length=26)
    data: dict[str, Any] = Field(
        description="What this kind records.", examples=[{"outcomes": {"delivered": 12}}]
    )
    hash: Sha256


class Events(BaseModel):
    """Events, the newest first."""

    items: list[Event]
    next: Next


class Acknowledgment(BaseModel):
    """Evidence that a recipient fetched a delivery."""

    id: Id
    at: Time
    user: str = Field(examples=["clinic12"])
    address: str | None = Field(
        description="Null for those who do not see the whole route.", examples=["10.1.2.3"]
    )
    route: str = Field(examples=["results"])
    arrival: Id
    destination: str = Field(examples=["sftp://edc@edc.example.org/~/viral_load/digawana"])
    stored_as: str = Field(examples=["066-12345678-1.pdf"])
    version: int = Field(examples=[1])
    evidence: str = Field(examples=["whole"])
    log: str | None = Field(description="Null for those who do not see the whole route.")
    line: str | None = Field(
        description="The line of the log; null for those who do not see the whole route."
    )
    recorded_at: Time
    undone_at: Time | None
    undone_by: str | None
    undone_because: str | None


class Acknowledgments(BaseModel):
    """Acknowledgments, undone ones too, the newest first."""

    items: list[Acknowledgment]
    next: Next


class Undone(BaseModel):
    """What was undone."""

    undone: list[Id] = Field(description="Ids of the acknowledgments that no longer count.")


class SentFile(BaseModel):
    """One file that the account sent, and what became of it."""

    file: str = Field(
        description="Path as it was sent: the arrival's name, and below it the item.",
        examples=["heart-pc17-visit1/scan/001.dcm"],
    )
    size_bytes: int | None = Field(description="Null: not counted yet.", examples=[524_288])
    sha256: Sha256 | None = Field(description="Of what was sent; null until it is delivered.")
    state: Literal["waiting", "processing", "delivered", "unchanged", "refused"] = Field(
        description="`unchanged`: the destination had it already. An arrival that is not done is one entry."
    )
    at: Time = Field(description="When it came to this state.")
    arrival: Id | None = Field(description="Null until it is taken from the inbox.")
    reason: list[str] = Field(description="Why it waits or was refused.")


class SentFiles(BaseModel):
    """Files that the account sent, the newest first."""

    items: list[SentFile]
    next: Next


class Receipt(BaseModel):
    """The signed summary of a finished arrival."""

    arrival: Id
    receipt: dict[str, Any] = Field(
        description="What the receipt says.",
        examples=[{"arrival": "01KBE8QZ3M5V9T2R7XWC4N6PHA", "outcomes": {"delivered": 12}}],
    )
    body: str = Field(
        description="The same as the very text that is signed. To verify: `ssh-keygen -Y verify -f allowed_signers"
        " -I dropslot -n dropslot -s RECEIPT.sig < RECEIPT.json`."
    )
    signature: str = Field(
        description="SSH signature of `body`.", examples=["-----BEGIN SSH SIGNATURE-----…"]
    )


class SenderReceipt(BaseModel):
    """The signed receipt of an arrival for its sender, with the outcome of each file."""

    arrival: Id
    state: str = Field(description="`done` or `failed`.", examples=["done"])
    body: str = Field(
        description="The text that is signed: the receipt as canonical JSON. `sent_as` is the name that the sender"
        " gave, `state` and `reason` say what became of it, `files_sha256` is the SHA-256 of `files`."
    )
    signature: str = Field(
        description="SSH signature of `body`.", examples=["-----BEGIN SSH SIGNATURE-----…"]
    )
    files: str = Field(
        description="One line of JSON for each file: `file`, `size_bytes`, `sha256` as it was sent, `outcome`"
        " (`delivered`, `unchanged`, `refused`), `reason`, and what it is `stored` as."
    )


class Signers(BaseModel):
    """The public keys that sign receipts."""

    allowed_signers: str = Field(
        description="A file for `ssh-keygen -Y verify -f`.",
        examples=['dropslot namespaces="dropslot" ssh-ed25519 AAAA…\n'],
    )


class Retried(BaseModel):
    """The arrival is in the queue again."""

    id: Id
    name: str = Field(description="The name under which it runs.")
    what: str = Field(examples=["is ready: the service, or the next `dropslot drain`, runs it"])


class Original(BaseModel):
    """What a de-identified value stands for."""

    value: str
    route: str
    kind: str = Field(examples=["patient"])
    original: str
    shift_days: int | None = Field(description="By how many days the dates of a patient were moved.")
    arrival: Id


class Originals(BaseModel):
    """Originals of de-identified values."""

    items: list[Original]


class Route(BaseModel):
    """One configured way from an inbox to its destinations."""

    key: str = Field(examples=["study"])
    takes: Literal["directories", "files", "any"]
    complete: Literal["renamed", "named", "settled", "marker"]
    name_help: str | None = Field(
        description="The rule for names in words.", examples=["Name the folder STUDY-PC-VISIT"]
    )
    repeat: str = Field(
        description="What happens to new content under a known name: `version` or `refuse`.",
        examples=["version"],
    )
    fields: list[str] = Field(description="The fields that an arrival gets.", examples=[["study", "sent"]])
    patterns: list[str] = Field(
        description="Patterns of which each file must match one; empty: all are taken."
    )
    may_upload: bool = Field(description="Whether this account may send by this route.")


class Routes(BaseModel):
    """The routes for which the account has a role; there is one page."""

    items: list[Route]
    next: Next


class Grant(BaseModel):
    """One role of the account."""

    role: str = Field(examples=["sender"])
    route: str | None = Field(description="Null: for all routes.")
    folder: str | None = Field(description="A recipient's folder.")
    field: str | None = Field(description="A study runner's field …", examples=["study"])
    value: str | None = Field(description="… and the value that is seen.", examples=["heart"])


class Me(BaseModel):
    """Who calls."""

    name: str = Field(examples=["sam"])
    roles: list[Grant]
    scopes: list[str] = Field(
        description="Of the token; all of them for a browser's session.", examples=[["read"]]
    )
    token: Id | None = Field(description="The id of the token; null for a session.")
    expires_at: Time | None = Field(description="When the token ends.")
