"""The key `notify` of config.yaml and of a route: who is told of what. Nothing here needs Django."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
)

from dropslot.access.section import portal_of
from dropslot.config.guard import allowed
from dropslot.config.sections import Part, Section
from dropslot.config.values import Duration
from dropslot.mail.section import mail_of
from dropslot.notify.channels.target import target_of
from dropslot.notify.hours import Quiet, quiet_of
from dropslot.notify.news import MEANINGS, News

if TYPE_CHECKING:
    from dropslot.config import Config

SENDER, STUDY = "sender", "study"
_OWNER = "{owner}"
_LONGEST_TARGET = 1000


def _target(value: str) -> str:
    if value in (SENDER, STUDY):
        return value
    if len(value) > _LONGEST_TARGET:
        raise ValueError(f"expected {_LONGEST_TARGET} characters at most")
    try:
        return target_of(value).text
    except ValueError as error:
        raise ValueError(f"{error}; or `sender`, or `study`") from None


def _not_the_sender(value: str) -> str:
    if value == SENDER:
        raise ValueError("expected another target than `sender`: this is not about one sender alone")
    return value


def _not_the_study(value: str) -> str:
    if value == STUDY:
        raise ValueError("expected another target than `study`: this is not about one study alone")
    return value


def _sender_address(value: str) -> str:
    try:
        mail = target_of(f"mailto:{value.replace(_OWNER, 'owner')}").mail
    except ValueError:
        mail = ""
    if not mail or value.count(_OWNER) != 1 or _OWNER not in value.partition("@")[0]:
        raise ValueError("expected an address with {owner} before its @, such as '{owner}@lab.example'")
    return value


def _quiet(value: Any) -> Any:
    return quiet_of(value) if isinstance(value, str) else value


Target = Annotated[
    str, AfterValidator(_target), WithJsonSchema({"type": "string", "x-kind": "place that is told"})
]
TargetOfStudy = Annotated[Target, AfterValidator(_not_the_sender)]
Targets = list[Target]
TargetsOfStudies = list[TargetOfStudy]
TargetsOfRoutes = list[Annotated[TargetOfStudy, AfterValidator(_not_the_study)]]
PrivateAddress = Annotated[
    str, AfterValidator(allowed), WithJsonSchema({"type": "string", "x-kind": "host or network"})
]
QuietHours = Annotated[
    Quiet,
    BeforeValidator(_quiet),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "x-kind": "two times of the day"}),
]


def _news(news: News, example: str = "mailto:ops@lab.example") -> Any:
    return Field(
        None,
        description=f"Who is told that {MEANINGS[news]}.",
        examples=[[example]],
    )


class Rules(BaseModel):
    """Who is told of what: a list of targets for each kind of news."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    failed: Targets | None = _news(News.FAILED, "sender")
    done: Targets | None = _news(News.DONE, "study")
    retrying: TargetsOfRoutes | None = _news(News.RETRYING)
    waiting: TargetsOfRoutes | None = _news(News.WAITING)
    unacknowledged: TargetsOfStudies | None = _news(News.UNACKNOWLEDGED, "study")
    space: TargetsOfStudies | None = _news(News.SPACE, "study")
    instances_changed: Targets | None = _news(News.INSTANCES_CHANGED)
    trouble: TargetsOfRoutes | None = _news(News.TROUBLE, "slack://${SLACK_TOKENS}")

    def targets(self, news: News) -> list[str] | None:
        """Who is told; None: nothing is said about it here."""
        found: list[str] | None = getattr(self, news.value)
        return found


class Digest(BaseModel):
    """Who gets a summary, and how often."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    daily: TargetsOfStudies = Field(
        default_factory=list,
        description="Who gets one each morning.",
        examples=[["mailto:ops@lab.example"]],
    )
    weekly: TargetsOfStudies = Field(
        default_factory=list,
        description="Who gets one on Monday morning.",
        examples=[["mailto:head@lab.example"]],
    )


class Notify(Rules):
    """Notifications: who is told of what, how often, and in which words."""

    sender_address: Annotated[str, AfterValidator(_sender_address)] | None = Field(
        None,
        description="The mail address of a sender whose account in the portal has none, or who has no such account;"
        " `{owner}` is the account of this machine that dropped the files.",
        examples=["{owner}@lab.example"],
    )
    gather: Duration = Field(
        timedelta(seconds=5),
        le=timedelta(hours=1),
        description="How long a message waits for more of the same before it is sent.",
        examples=["5s"],
    )
    every: Duration = Field(
        timedelta(seconds=30),
        le=timedelta(days=1),
        description="The shortest time between two messages to the same person. While more and more happens, it doubles"
        " from message to message, up to twenty times as long; nothing is left out.",
        examples=["30s"],
    )
    give_up: Duration = Field(
        timedelta(days=3),
        ge=timedelta(minutes=1),
        description="How long a message that cannot be sent is tried again.",
        examples=["3d"],
    )
    quiet: QuietHours | None = Field(
        None,
        description="The hours, in `time_zone`, in which nobody is sent anything; what happens then is in the first"
        " message afterwards. People may set hours of their own in the portal.",
        examples=["22:00-07:00"],
    )
    digest: Digest = Field(Digest.model_validate({}), description="Summaries of a day or a week.")
    templates: Path | None = Field(
        None,
        description="A folder with templates of your own in place of dropslot's: see Notifications.",
        examples=["./mails"],
    )
    allow_private: list[PrivateAddress] = Field(
        default_factory=list,
        description="Hosts and networks of your own that services may be in. Other private addresses, and those of this"
        " machine, get no request.",
        examples=[["10.2.0.0/16", "chat.lab.example"]],
    )


class TopKeys(BaseModel):
    """The key of the whole file."""

    notify: Notify = Field(
        Notify.model_validate({}),
        description="Who is told of what happens on any route, and how.",
        examples=[{"trouble": ["mailto:ops@lab.example"]}],
    )


class RouteKeys(BaseModel):
    """The key of a route."""

    notify: Rules = Field(
        Rules.model_validate({}),
        description="Who is told of what happens on this route. A key that is here counts in place of the same key of"
        " the whole file; `[]`: nobody.",
        examples=[{"failed": ["mailto:ops@lab.example", "sender"]}],
    )


class NotifySection(Section):
    """Who is told."""

    top_keys = TopKeys
    route_keys = RouteKeys
    parts = (
        Part(Notify, "notify", "Notifications: who is told of what, how often, and in which words."),
        Part(Digest, "notify.digest", "Summaries."),
        Part(Rules, "routes.KEY.notify", "Who is told of what happens on one route."),
    )

    def absolute(self, model: BaseModel, base: Path) -> dict[str, Any]:
        if not isinstance(model, TopKeys) or model.notify.templates is None:
            return {}
        from dropslot.config.relative_paths import absolute_path

        templates = absolute_path(model.notify.templates, base)
        return {"notify": model.notify.model_copy(update={"templates": templates})}


SECTION = NotifySection()


def notify_of(config: Config) -> Notify:
    """What the whole file says."""
    return config.notify if isinstance(config, TopKeys) else Notify.model_validate({})


def targets_of(config: Config, route: str, news: News) -> list[str]:
    """Who is told of this kind of news of a route; an empty route: of none in particular."""
    of_route = config.routes.get(route)
    own = of_route.notify.targets(news) if isinstance(of_route, RouteKeys) else None
    return own if own is not None else notify_of(config).targets(news) or []


def is_wanted(config: Config) -> bool:
    """Whether anybody may be told of anything: by a rule, or because people may ask for it in the portal."""
    return any(all_targets(config)) or (portal_of(config) is not None and mail_of(config) is not None)


def is_named(config: Config, target: str) -> bool:
    """Whether config.yaml names this place now: in a rule, or as the address of a sender."""
    before, owner, after = (notify_of(config).sender_address or "").partition(_OWNER)
    is_of_sender = bool(owner) and target.startswith(f"mailto:{before}") and target.endswith(after)
    return is_of_sender or any(target == one for _, one in all_targets(config))


def all_targets(config: Config) -> Iterator[tuple[str, str]]:
    """Every key that names targets, as `routes.study.notify.failed`, with each of them."""
    notify = notify_of(config)
    named: list[tuple[str, Rules]] = [("notify", notify)]
    named += [
        (f"routes.{key}.notify", route.notify)
        for key, route in config.routes.items()
        if isinstance(route, RouteKeys)
    ]
    for where, rules in named:
        for news in News:
            yield from ((f"{where}.{news}", target) for target in rules.targets(news) or ())
    for period in ("daily", "weekly"):
        yield from ((f"notify.digest.{period}", target) for target in getattr(notify.digest, period))
