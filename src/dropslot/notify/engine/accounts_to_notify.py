"""Accounts that are told of what happened in one batch of events: whose it is, what they may see, what they want.

Each is asked of the access module, so that nobody is told of what its pages would not show. In a project without
accounts there are none.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import cached_property
from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model

from dropslot.arrivals.models import Arrival
from dropslot.config import Config
from dropslot.core.templates import Template
from dropslot.notify.engine.happenings import Happening
from dropslot.notify.models import Preference
from dropslot.notify.news import VALUES, News
from dropslot.notify.section import STUDY
from dropslot.notify.targets_of_people import target_of_user


class Account:
    """One active account. `preference` is what it asked for; None: nothing."""

    def __init__(
        self, user: Any, access: Any, preference: Preference | None, arrivals: Collection[str]
    ) -> None:
        self.user = user
        self.access = access
        self.preference = preference
        self._arrivals = list(arrivals)

    @property
    def target(self) -> str:
        """Where it is told; empty: it has no address."""
        return target_of_user(self.user, self.preference)

    def wants(self, news: News, route: str) -> bool:
        """Whether it wants to be told of such news by a rule; without a preference it does."""
        asked = self.preference
        return asked is None or asked.kinds is None or _asks(asked, news, route)

    def subscribes(self, happening: Happening) -> bool:
        """Whether it has asked to be told of this, without any rule, and may see it."""
        asked = self.preference
        return asked is not None and _asks(asked, happening.news, happening.route) and self.sees(happening)

    def sees(self, happening: Happening) -> bool:
        """Whether its pages would show this."""
        from dropslot.access.roles import SEES_ROUTE

        if happening.route and self.access.has(SEES_ROUTE, happening.route):
            return True
        if happening.arrival is None:
            return self._sees_trouble(happening)
        seen = self._delivered if happening.news == News.DONE else self._seen
        return happening.arrival.id in seen

    def called(self, happening: Happening) -> str:
        """The name under which it knows the arrival."""
        row = happening.arrival
        return str(self.access.called(row.route, row.id, row.name)) if row else ""

    def _sees_trouble(self, happening: Happening) -> bool:
        if not happening.study:
            return not happening.route and bool(self.access.sees_all_routes())
        return any(_is_of_study(grant, happening, self.access.config) for grant in self.access.grants)

    @cached_property
    def _seen(self) -> set[str]:
        rows = self.access.arrivals().filter(id__in=self._arrivals)
        return set(rows.order_by().values_list("id", flat=True))

    @cached_property
    def _delivered(self) -> set[str]:
        rows = self.access.deliveries().filter(arrival__in=self._arrivals)
        return self._seen | set(rows.order_by().values_list("arrival", flat=True).distinct())


def _asks(preference: Preference, news: News, route: str) -> bool:
    return news in (preference.kinds or ()) and (
        not preference.routes or not route or route in preference.routes
    )


def _is_of_study(grant: Any, trouble: Happening, config: Config) -> bool:
    from dropslot.access.roles import Role

    is_there = grant.route in ("", trouble.route) and grant.value == trouble.study
    return bool(is_there and grant.role == Role.STUDY_RUNNER and grant.field in _fields_of(trouble, config))


def _fields_of(trouble: Happening, config: Config) -> set[str]:
    """The fields that its study may be a value of: the first one of `space.of`, or `study`."""
    if trouble.news != News.SPACE:
        return {STUDY}
    routes = [one for key, one in config.routes.items() if trouble.route in ("", key)]
    named = (Template(rule.space.of).pieces for one in routes for rule in one.deliver if rule.space.of)
    firsts = (
        next((piece.field for piece in pieces if piece.field and not piece.spec), STUDY) for pieces in named
    )
    return set(firsts) or {STUDY}


class People:
    """The accounts, looked up when they are needed, once for a batch."""

    def __init__(self, config: Config, happenings: Sequence[Happening]) -> None:
        self._config = config
        self._arrivals = {one.arrival.id for one in happenings if one.arrival}
        self._known: dict[int, Account] = {}
        self._named: dict[str, Account | None] = {}
        self._has_accounts = apps.is_installed("dropslot.access")

    def named(self, name: str) -> Account | None:
        """The active account of this name."""
        if not name or not self._has_accounts:
            return None
        if name not in self._named:
            users = get_user_model()
            rows = users._default_manager.filter(**{users.USERNAME_FIELD: name}, is_active=True)
            self._named[name] = next(iter(self._accounts(rows)), None)
        return self._named[name]

    def of_study(self, happening: Happening) -> list[Account]:
        """The accounts with a role for the study that this is about, as far as they see it."""
        row = happening.arrival
        fields = self._fields.get(row.id, {}) if row else {}

        def has(grant: Any) -> bool:
            if row is None:
                return bool(happening.study) and _is_of_study(grant, happening, self._config)
            return (
                grant.route in ("", row.route)
                and bool(grant.value)
                and fields.get(grant.field) == grant.value
            )

        found = [one for one in self._study_runners if any(map(has, one.access.grants))]
        return [one for one in found if one.sees(happening)]

    @cached_property
    def _fields(self) -> dict[str, dict[str, Any]]:
        rows = Arrival.objects.filter(id__in=self._arrivals).order_by()
        return dict(rows.values_list("id", "fields"))

    @cached_property
    def _study_runners(self) -> list[Account]:
        if not self._has_accounts:
            return []
        from dropslot.access.roles import Role

        of = {"dropslot_grants__role": Role.STUDY_RUNNER, "is_active": True}
        return self._accounts(get_user_model()._default_manager.filter(**of).distinct())

    @cached_property
    def subscribers(self) -> list[Account]:
        """Those who have asked for anything."""
        if not self._has_accounts:
            return []
        asking = [row.user_id for row in _asking() if row.kinds]
        return self._accounts(get_user_model()._default_manager.filter(pk__in=asking, is_active=True))

    def _accounts(self, users: Iterable[Any]) -> list[Account]:
        from dropslot.access.models import Grant
        from dropslot.access.seen import Access

        users = list(users)
        new = [user for user in users if user.pk not in self._known]
        if new:
            grants: dict[int, list[Grant]] = {user.pk: [] for user in new}
            for grant in Grant.objects.filter(user__in=new).select_related("user").order_by("id"):
                grants[grant.user_id].append(grant)
            asked = Preference.objects.in_bulk([user.pk for user in new])
            for user in new:
                access = Access(user.get_username(), tuple(grants[user.pk]), self._config)
                self._known[user.pk] = Account(user, access, asked.get(user.pk), self._arrivals)
        return [self._known[user.pk] for user in users]


def _asking() -> Iterable[Preference]:
    return Preference.objects.filter(kinds__isnull=False, user__is_active=True)


def wanted_news(asked: Callable[[News], bool]) -> set[News]:
    """The news that a rule or a person asks for."""
    of_people = {News(kind) for row in _asking() for kind in row.kinds or () if kind in VALUES}
    return of_people | {news for news in News if asked(news)}
