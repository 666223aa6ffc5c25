"""config.yaml as typed objects. The descriptions here are the configuration reference
(`dropslot.config.reference`)."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from dropslot.config.deliver_entries import Deliver
from dropslot.config.route_parts import LateAfter, Lookup, Select, Space
from dropslot.config.sections import keys_of_apps
from dropslot.config.servers.brokers import broker_url
from dropslot.config.servers.databases import database_url
from dropslot.config.servers.observing import Observed
from dropslot.config.values import (
    CELERY_TASK,
    AfterPath,
    ArchivePath,
    CheckEntry,
    DottedPath,
    Duration,
    EventName,
    FileName,
    Glob,
    NamePattern,
    PathTemplate,
    Pattern,
    Poll,
    Size,
    TimeZone,
    one_or_more,
    show_one_or_more,
)
from dropslot.core.file_names.litter import BY_DEFAULT, Litter, litter_of

ROUTE_KEY = r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}"
ROUTE_KEY_IN_WORDS = "letters, digits, _ and -, beginning with a letter or digit, 100 at most"
SCHEME = r"[a-z][a-z0-9+.-]*"
Scheme = Annotated[str, StringConstraints(pattern=f"^{SCHEME}$")]
RouteKey = Annotated[str, StringConstraints(pattern=f"^{ROUTE_KEY}$")]
Takes = Literal["directories", "files", "any"]
Complete = Literal["renamed", "named", "settled", "marker"]
LogLevel = Literal["debug", "info", "warning", "error"]
# The checks that dropslot brings; every other one is named by its dotted path.
CHECK_NAMES = frozenset({"bag", "max_item_size", "max_items", "max_size", "mime", "patterns", "pdf_contains"})
DELIVER_PROCESSOR = "dropslot.arrivals.deliver.Deliver"


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


if TYPE_CHECKING:  # which keys apps add is known when it runs: see `sections.Section`

    class _RouteKeysOfApps(BaseModel): ...

    class _TopKeysOfApps(BaseModel): ...
else:
    _RouteKeysOfApps, _TopKeysOfApps = map(keys_of_apps, ("route_keys", "top_keys"))


class Route(_RouteKeysOfApps, _Model):
    """One configured way from an inbox to its destinations.

    Relative paths start at the folder of config.yaml; in a loaded configuration all paths are absolute.
    """

    key: RouteKey = Field(exclude=True, description="The route's name.")
    folders: PathTemplate = Field(
        "",
        description="The folder that holds `inbox`, `processing`, `done` and `failed`. With a field, as in"
        " `./drop/{study}`, each folder that exists there is one such set; new ones are noticed. Needed"
        " unless all four are set.",
        examples=["./study"],
    )
    inbox: PathTemplate = Field(
        default_factory=lambda values: f"{values.get('folders', '')}/inbox",
        description="Where senders drop files. Default: `FOLDERS/inbox`.",
        examples=["/data"],
    )
    processing: PathTemplate = Field(
        default_factory=lambda values: f"{values.get('folders', '')}/processing",
        description="Where an arrival is while it is worked on; on the inbox's file system. Default:"
        " `FOLDERS/processing`.",
    )
    done: ArchivePath = Field(
        default_factory=lambda values: f"{values.get('folders', '')}/done",
        description="The archive of what was delivered; on the inbox's file system. Default: `FOLDERS/done`. Or how"
        " long originals stay there, `keep 90d` or `keep forever` (default: what the whole file's `done` says); or"
        " both, `{folder: PATH, keep: 90d}`.",
        examples=["keep 90d"],
    )
    failed: PathTemplate = Field(
        default_factory=lambda values: f"{values.get('folders', '')}/failed",
        description="What was refused, whole, each beside its REASON.txt; on the inbox's file system."
        " Default: `FOLDERS/failed`.",
    )
    takes: Takes = Field("any", description="What an arrival is: a directory, a single file, or either.")
    complete: Complete = Field(
        "renamed",
        description="When an arrival is complete. `renamed`: after a rename gave it its final name; if it was created"
        " under that name, once it has been quiet for `settle`. `named`: as soon as it has a final name."
        " `settled`: once it has been quiet, whatever its name (except for names in `temporary`)."
        " `marker`: when the file named by `marker` appears inside.",
    )
    marker: FileName | None = Field(
        None,
        description="The file that shows that an arrival is complete; with `complete: marker` only.",
        examples=["READY"],
    )
    settle: Duration = Field(
        timedelta(seconds=5),
        description="How long nothing about an arrival must change until it counts as quiet.",
        examples=["5s"],
    )
    grace: Duration = Field(
        timedelta(seconds=1),
        description="How long dropslot waits after the rename that completed an arrival: many clients look at the new"
        " name once more, or set its time and mode. Each such change starts the wait again. `0`: it is"
        " taken at once.",
        examples=["1s"],
    )
    give_up: Duration = Field(
        timedelta(days=1),
        description="How long an arrival that is not complete may stay unchanged: one that holds the unfinished name"
        " of a transfer program, or no file at all. Then it is refused, with that reason.",
        examples=["1d"],
    )
    other_kinds: Literal["refuse", "ignore"] = Field(
        "refuse",
        description="What happens to a file where the route takes directories, and to a directory where it takes"
        " files. `refuse`: once it is quiet it goes to `failed`, with that reason. `ignore`: it stays in the inbox."
        " With `leave_source` it always stays.",
    )
    temporary: list[NamePattern] = Field(
        default_factory=list,
        description="More patterns of names that are temporary, in the inbox and inside folders. The usual ones"
        " always apply: in the inbox hidden names, a last extension that begins with `.tmp`, and a"
        " trailing `~`; everywhere the names that transfer programs give to unfinished files, such as"
        " `.part`, `.filepart`, `.partial` and `.crdownload`. A pattern that begins with `!` removes names"
        " from this list.",
        examples=[["*.uploading", "!*.part"]],
    )
    ignore: list[Glob] = Field(
        default_factory=lambda: list(BY_DEFAULT),
        description="Patterns of names, any letter case, that are not data. Such files are not delivered and not"
        " checked; they stay in `done`, and the arrival's receipt names them. At the top of an inbox they"
        " are not arrivals. This list replaces the usual one, which has what Finder, Explorer, Office and"
        " network storage leave behind: `.DS_Store`, `._*`, `Thumbs.db`, `desktop.ini`, `~$*`,"
        " `$RECYCLE.BIN`, `@eaDir` and more. `[]` ignores nothing.",
        examples=[[".DS_Store", "Thumbs.db"]],
    )
    test_names: Glob | None = Field(
        None,
        description="Pattern of names, any letter case, that are noticed and logged but never delivered.",
        examples=["test*"],
    )
    name: Pattern | None = Field(
        None,
        description="Regular expression that an arrival's whole name must match; its named groups become"
        " fields.",
        examples=[r"(?P<study>\w+)-(?P<sent>.+)"],
    )
    names: Literal["refuse", "keep"] = Field(
        "refuse",
        description="What happens to names with direction marks (U+200E, U+200F, U+061C). These are invisible;"
        " Windows and chat programs add them to names that are copied. `refuse` refuses such names and"
        " says which mark, and where; `keep` delivers them as they are. Characters that turn text around"
        " (overrides, isolates) are always refused.",
    )
    name_help: (
        Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)] | None
    ) = Field(
        None,
        description="The rule for names in words, for the people who send. A refusal shows it before the pattern.",
        examples=["Name the folder STUDY-PC-VISIT, for instance heart-pc17-visit1"],
    )
    select: Select = Field(Select.model_validate({}), description="What every item must be.")
    checks: list[CheckEntry] = Field(
        default_factory=list,
        description="Checks that an arrival must pass, each with its option: a short name (`bag`, `pdf_contains`) or a"
        " dotted path.",
        examples=[[{"pdf_contains": r"^(?P<specimen>066-\d{8}-\d)(?!\d)"}, {"mylab.checks.Named": "scan*"}]],
    )
    lookup: Annotated[list[Lookup], BeforeValidator(one_or_more)] = Field(
        default_factory=list,
        description="A field that is looked up in a table of folders, or a list of these. If several are for one"
        " field, the first one that finds a folder counts.",
        json_schema_extra=show_one_or_more,
    )
    fields: list[CheckEntry] = Field(
        default_factory=list,
        description="Fields of your own, each a dotted path with its option. They come after all others, in this"
        " order, and each sees the values found so far.",
        examples=[[{"mylab.fields.Ward": "wards.txt"}]],
    )
    made_by: CheckEntry | None = Field(
        None,
        description="A class of your own that makes the bytes that are delivered in place of each item's, as"
        " de-identification does: a dotted path with its option. done keeps what was sent.",
        examples=[{"mylab.dicom.Deidentified": "basic"}],
    )
    deliver: list[Deliver] = Field(
        min_length=1, description="The destinations; all of them get every arrival."
    )
    after: AfterPath | None = Field(
        None,
        description="Dotted path of a function that is called with each finished arrival, in a process of its own. A"
        " failed call is retried; the delivery is not affected. `celery:` before it names a task instead: it is sent to"
        " the queue `celery` of `broker` with the arrival's id as its argument.",
        examples=["mylab.tasks.convert", "celery:mylab.tasks.convert"],
    )
    receipts: PathTemplate | None = Field(
        None,
        description="The folder in which a sender finds the signed receipts of what it sent, one `NAME.json` each:"
        " delivered, unchanged or refused, file by file. `{sender}` is the sender's account; the last folder is made if"
        " it contains `{sender}`, all above it must exist. Only that sender may read it. Not for what came through the"
        " portal: its API has the same receipts.",
        examples=["/srv/drop/receipts/{sender}"],
    )
    keep_receipts: Duration = Field(
        timedelta(days=365),
        description="How long these copies are kept; the database and the API keep every receipt.",
        examples=["365d"],
    )
    release: Literal["automatic", "manual"] = Field(
        "automatic",
        description="When a checked arrival is sent onward. `automatic`: at once. `manual`: it is taken, checked and"
        " judged whole, then it is held in processing until somebody sends it onward, by `dropslot start_queue` or in"
        " the portal. It is checked once more then.",
        examples=["manual"],
    )
    leave_source: bool = Field(
        False,
        description="Move nothing: arrivals are read where they are, and a later change of one makes a revision.",
    )
    rescan: Duration = Field(
        timedelta(seconds=30),
        description="How often the inbox is listed, in addition to events.",
        examples=["30s"],
    )
    events: list[EventName] = Field(
        default_factory=list,
        description="Kinds of file events to listen to. Default: those that `complete` needs.",
        examples=[["in_create", "in_moved_to"]],
    )
    processors: list[DottedPath] = Field(
        default_factory=lambda: [DELIVER_PROCESSOR],
        min_length=1,
        description=f"Dotted paths of the event processors. Default: `{DELIVER_PROCESSOR}`.",
        examples=[[DELIVER_PROCESSOR, "dropslot.watching.processors.LogEvents"]],
    )
    poll: Poll = Field(
        "auto",
        description="Whether the inbox is polled instead of watched; `auto` polls on network and FUSE file"
        " systems.",
    )
    space: Space = Field(Space.model_validate({}), description="Warnings about full disks.")
    late_after: LateAfter = Field(
        LateAfter.model_validate({}), description="After how long arrivals of the route are late."
    )

    @property
    def after_function(self) -> str:
        """The dotted path of the function in `after`; empty if there is none."""
        return "" if self.after_task else self.after or ""

    @property
    def after_task(self) -> str:
        """The name of the task in `after`; empty if there is none."""
        after = self.after or ""
        return after.removeprefix(CELERY_TASK) if after.startswith(CELERY_TASK) else ""

    @property
    def keeps_marks(self) -> bool:
        """Whether direction marks may be in names."""
        return self.names == "keep"

    @property
    def litter(self) -> Litter:
        """The patterns of `ignore`, compiled."""
        return litter_of(tuple(self.ignore))


class Config(_TopKeysOfApps, Observed, _Model):
    """A whole config.yaml. `base` is its folder; relative paths start there."""

    base: Path = Field(exclude=True, description="The folder of config.yaml.")
    data: Path = Field(Path("var"), description="Folder of the database, logs, pid file and keys; mode 700.")
    database: Annotated[str, BeforeValidator(database_url)] = Field(
        "sqlite",
        description="`sqlite` is a file in the data folder. The password of a PostgreSQL database comes"
        " from the environment: `DROPSLOT_DATABASE_PASSWORD`, or a file named by"
        " `DROPSLOT_DATABASE_PASSWORD_FILE`. Several servers, of which one takes writes:"
        " `postgresql://USER@ONE,TWO/NAME?target_session_attrs=read-write`.",
        examples=["postgresql://dropslot@localhost/dropslot"],
    )
    workers: Literal["local", "celery"] = Field(
        "local",
        description="Who does the work. `local`: processes of this service. `celery`: workers of Celery, here and on"
        " other machines, which get their work through `broker`.",
    )
    worker_count: int = Field(
        2,
        ge=0,
        le=64,
        strict=True,
        description="How many worker processes this machine has. `0`, with `workers: celery` only: `dropslot run` works"
        " on nothing itself.",
    )
    broker: Annotated[str, BeforeValidator(broker_url)] | None = Field(
        None,
        description="The Redis or RabbitMQ server that carries the messages to Celery's workers. Its password comes"
        " from the environment: `DROPSLOT_BROKER_PASSWORD`, or a file named by `DROPSLOT_BROKER_PASSWORD_FILE`."
        " Each installation needs a database number or virtual host of its own.",
        examples=["redis://localhost:6379/0", "amqp://dropslot@localhost:5672/dropslot"],
    )
    broker_options: dict[str, Any] = Field(
        default_factory=dict,
        description="More options of Celery's connection to the broker (its `broker_transport_options`).",
        examples=[{"visibility_timeout": 3600}],
    )
    time_limit: Duration | None = Field(
        None,
        gt=timedelta(0),
        description="With `workers: celery`: the longest time that a worker may need for one message. Then it is ended,"
        " and another one takes its arrivals over, from the start. Default: no limit; a worker that died is recognized"
        " by its lock or lease. Set it only as a guard against a destination or check that hangs.",
        examples=["2d"],
    )
    time_zone: TimeZone = Field(
        "UTC",
        description="Time zone of dates in paths and pages; stored times are UTC.",
        examples=["America/Chicago"],
    )
    locations: dict[str, str] = Field(
        default_factory=dict,
        description="Readable names of the machines that send.",
        examples=[{"pc-17": "Brogden A"}],
    )
    logs: Path = Field(
        default_factory=lambda values: _beneath(values, "logs"),
        description="Folder of the log files. Default: `DATA/logs`.",
    )
    pid: Path = Field(
        default_factory=lambda values: _beneath(values, "watcher.pid"),
        description="Pid file of the watcher. Default: `DATA/watcher.pid`.",
    )
    log_level: LogLevel = Field("info", description="The least important entries that are logged.")
    log_names: bool = Field(
        False, description="Show file names in the JSON log at level info; they may be patients' names."
    )
    lease: Duration = Field(
        timedelta(seconds=60),
        ge=timedelta(seconds=1),
        description="How long a silent worker on another machine keeps an arrival before it is taken over.",
        examples=["60s"],
    )
    share_from: Size = Field(
        256 << 20,
        description="From this size on an arrival's items are shared among workers, if there are several and they add"
        " to the rate. Each item counts 32 KiB more than its size.",
        examples=["1GiB"],
    )
    destinations: dict[Scheme, DottedPath] = Field(
        default_factory=dict,
        description="Kinds of destinations of your own: the scheme of their addresses, as `ftp` for `ftp://…` in `to`,"
        " and the dotted path of a class, which is a `dropslot.destinations.base.Kind`.",
        examples=[{"ftp": "mylab.ftp.FtpKind"}],
    )
    routes: dict[RouteKey, Route] = Field(min_length=1, description="The routes, each under its key.")

    @property
    def zone(self) -> ZoneInfo:
        """The time zone of dates in paths and pages."""
        return ZoneInfo(self.time_zone)

    @property
    def keys(self) -> Path:
        """The folder of the service's keys, mode 700."""
        return self.data / "keys"


def _beneath(values: dict[str, Any], name: str) -> Path:
    return Path(os.fspath(values.get("data", "var"))) / name
