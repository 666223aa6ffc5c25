"""Writes down the summaries that are due, each once, also after a crash."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.contrib.auth import get_user_model
from django.db import transaction
from django.utils import timezone

from dropslot.access.models import Grant
from dropslot.access.roles import Role
from dropslot.access.seen import Access, access_of
from dropslot.arrivals.registry import Late
from dropslot.arrivals.upkeep import health
from dropslot.audit import chain
from dropslot.config import Config
from dropslot.notify.channels.message import Fact, Notice
from dropslot.notify.digests import period_counts, signed_head
from dropslot.notify.digests.periods import Every, Period, due
from dropslot.notify.models import DigestPeriod, Preference
from dropslot.notify.section import STUDY, notify_of
from dropslot.notify.targets_of_people import target_of_user

Add = Callable[[Any | None, str, Notice], None]
_EVERY: tuple[Every, ...] = ("daily", "weekly")
_MOST_LATE = 20


class _To(NamedTuple):
    """Somebody who gets summaries: an account, or a target of config.yaml."""

    user: Any | None
    target: str
    every: Every

    @property
    def key(self) -> str:
        return f"user:{self.user.pk}" if self.user else self.target


def write_down_due(config: Config, add: Add, at: datetime | None = None) -> int:
    """Give `add` each summary that is due: its account, or None and a target, and the notice. `add` is called in the
    transaction that moves the period on, so that a summary is written down once or not at all; returns how many there
    were."""
    now = (at or timezone.now()).astimezone(config.zone)
    waiting = [(to, period) for to in _recipients(config) if (period := _due(to, now))]
    if not waiting:
        return 0
    late, stamp = health.examine(config).late, signed_head.stamp_in_words(config)
    head = chain.head()
    proven = {"proof": [str(head), *signed_head.signed_head(config, head)], "stamp": stamp}
    state = proven | {"made_at": f"{now:%Y-%m-%d %H:%M %Z}"}  # quiet hours may hold the summary up
    return sum(_write_down(config, to, period, late, state, add) for to, period in waiting)


def _recipients(config: Config) -> Iterator[_To]:
    digest = notify_of(config).digest
    wishes = {wish.user_id: wish for wish in Preference.objects.select_related("user")}
    for every in _EVERY:
        targets = getattr(digest, every)
        yield from (_To(None, target, every) for target in targets if target != STUDY)
        for user in _study_runners() if STUDY in targets else ():
            wish = wishes.get(user.pk)
            if not _has_chosen(wish) and target_of_user(user, wish):
                yield _To(user, "", every)
    for wish in wishes.values():
        if wish.digest and wish.user.is_active:
            yield _To(wish.user, "", "daily" if wish.digest == "daily" else "weekly")


def _has_chosen(wish: Preference | None) -> bool:
    """Whether somebody has decided about summaries: who has set other hours or another address alone has not."""
    return wish is not None and (wish.kinds is not None or bool(wish.digest))


def _study_runners() -> Any:
    runners = Grant.objects.filter(role=Role.STUDY_RUNNER.value).values("user")
    return get_user_model()._default_manager.filter(pk__in=runners, is_active=True)


def _due(to: _To, now: datetime) -> Period | None:
    row = DigestPeriod.objects.filter(key=to.key, every=to.every).first()
    return due(now, to.every, row.until if row else None)


def _write_down(
    config: Config, to: _To, period: Period, late: Sequence[Late], state: Mapping[str, Any], add: Add
) -> bool:
    access = access_of(to.user, config) if to.user else period_counts.sees_everything(config)
    notice = _notice(access, to.every, period, late, state)
    with transaction.atomic():
        row, is_new = DigestPeriod.objects.get_or_create(
            key=to.key, every=to.every, defaults={"until": period.until}
        )
        if not is_new:
            moved = DigestPeriod.objects.filter(pk=row.pk, until=row.until).exclude(until=period.until)
            if not moved.update(until=period.until):
                return False  # another process was first
        add(to.user, to.target, notice)
    return True


def _notice(
    access: Access, every: Every, period: Period, late: Sequence[Late], state: Mapping[str, Any]
) -> Notice:
    seen = [one for one in late if period_counts.sees(access, one.route)]
    title = f"{'Day' if every == 'daily' else 'Week'} in review: {period.in_words()}"
    return Notice(
        "digest",
        title,
        [Fact(one.about, one.what, one.remedy, one.route) for one in seen[:_MOST_LATE]],
        more=max(0, len(seen) - _MOST_LATE),
        level="warning" if seen else "info",
        values={"rows": period_counts.rows(access, period), **state},
    )
