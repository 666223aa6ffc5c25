"""Who may see and do what, as querysets. Pages and API ask here and nowhere else.

Every query begins with one of these; so an id in an address that somebody may not see is not found, like one that
does not exist.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.db.models import Exists, F, OuterRef, Q, QuerySet

from dropslot.access.conditions import (
    NOTHING,
    Scope,
    begins,
    below,
    either,
    fixed_part,
    in_folders,
    is_below,
    of_arrivals,
    of_route,
    pairs_of,
)
from dropslot.access.models import Grant
from dropslot.access.roles import AUDITS, OPENS, OPERATES, REIDENTIFIES, SEES_ROUTE, UPLOADS, Role
from dropslot.acknowledgments.models import Acknowledgment, LogReading
from dropslot.arrivals.listings.search.scopes import within
from dropslot.arrivals.models import Arrival, Delivery, Upload
from dropslot.arrivals.space.spaces import Space
from dropslot.audit.models import Event, Receipt
from dropslot.config import Config
from dropslot.config.models import Route
from dropslot.core.states import State
from dropslot.core.templates import Template
from dropslot.dicom.deidentifying.config_keys import deidentify_of
from dropslot.dicom.models import Contribution, Instance, Patient, Placement, Series, Study


@dataclass(frozen=True)
class Access:
    """What one account may see and do. `grants` are its roles; without any it sees nothing."""

    name: str
    grants: tuple[Grant, ...]
    config: Config

    def has(self, roles: Collection[Role], route: str | None = None) -> bool:
        """Whether it has one of the roles; with a route, whether that role is for it."""
        return any(
            grant.role in roles and (route is None or grant.route in ("", route)) for grant in self.grants
        )

    @cached_property
    def is_administrator(self) -> bool:
        return self.has({Role.ADMINISTRATOR})

    @property
    def manages_accounts(self) -> bool:
        """Whether it makes accounts and gives roles. An administrator of one route does not: who gives roles could take
        all others too."""
        return any(grant.role == Role.ADMINISTRATOR and not grant.route for grant in self.grants)

    def sees_all_routes(self) -> bool:
        """Whether it sees everything of every route, and so the trail as a whole."""
        return any(grant.role in SEES_ROUTE and not grant.route for grant in self.grants)

    def routes(self, roles: Collection[Role] = frozenset(Role)) -> list[Route]:
        """The configured routes for which it has one of the roles, in config.yaml's order."""
        return [route for key, route in self.config.routes.items() if self.has(roles, key)]

    def may_upload(self, route: str) -> bool:
        return self.has(UPLOADS, route)

    def may_operate(self, route: str) -> bool:
        """Retry, dismiss, undo an acknowledgment, load a folder table."""
        return self.has(OPERATES, route)

    def may_reidentify(self, route: str) -> bool:
        """See the originals of de-identified values, each time with a reason."""
        return self.has(REIDENTIFIES, route)

    def may_audit(self, route: str) -> bool:
        """Flag uploads as audited, verify, read the trail."""
        return self.has(AUDITS | OPERATES, route)

    # What it sees

    def arrivals(self) -> QuerySet[Arrival]:
        """Of its routes, studies, or what it sent. Recipients see deliveries alone, and so do study runners on routes
        that de-identify: an arrival, its events and its receipt tell what senders named it and its files."""
        return within(Arrival.objects.filter(self._any(self._of_sent, prefix="")), self._scope(pairs_of))

    def operable(self) -> QuerySet[Arrival]:
        """The arrivals that it may retry, rename or dismiss."""
        return Arrival.objects.filter(self._any(of_arrivals, OPERATES))

    def auditable(self) -> QuerySet[Arrival]:
        """The arrivals that it may flag as audited, with their proof and their place in the trail."""
        return Arrival.objects.filter(self._any(of_arrivals, AUDITS | OPERATES))

    def deliveries(self) -> QuerySet[Delivery]:
        """Of finished arrivals."""
        rows = Delivery.objects.filter(self._any(self._of_deliveries), arrival__state=State.DONE)
        return within(rows, self._scope(self._pairs_of_deliveries))

    def listed(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """A delivery of a listing. What shows the inside of servers is empty for who does not see the whole route."""
        hidden: dict[str, Any] = (
            {} if self.has(SEES_ROUTE, row["route"]) else {"destination": "", "archived_as": None}
        )
        if row["route"] in self.hiding:
            hidden["fields"] = {}
        return {**row, **hidden, "name": self.called(row["route"], row["arrival"], row["name"])}

    def called(self, route: str, arrival: str, name: str) -> str:
        """The name of an arrival. On a route that de-identifies it may be a patient's, so that who only fetches what
        was delivered sees the arrival's id in its place."""
        return arrival if route in self.hiding else name

    @cached_property
    def hiding(self) -> frozenset[str]:
        """The routes of which it sees only what was delivered, not what was sent: they de-identify."""
        sees = {*SEES_ROUTE, Role.SENDER}
        return frozenset(
            key
            for key, route in self.config.routes.items()
            if deidentify_of(route) and not self.has(sees, key)
        )

    def payloads(self) -> QuerySet[Delivery]:
        """The deliveries whose bytes it may open and download."""
        return Delivery.objects.filter(self._any(self._of_deliveries, OPENS), arrival__state=State.DONE)

    def received(self) -> QuerySet[Delivery]:
        """The deliveries that were made to it: whose whole fetch is an acknowledgment."""
        return Delivery.objects.filter(
            self._any(self._of_deliveries, {Role.RECIPIENT}), arrival__state=State.DONE
        )

    def acknowledgments(self) -> QuerySet[Acknowledgment]:
        """Of the deliveries that it sees, also those that were undone."""
        of = self.deliveries().filter(pk=OuterRef("delivery"))  # for each row: all of them would be many
        return Acknowledgment.objects.filter(Exists(of))

    def events(self) -> QuerySet[Event]:
        """Of the arrivals that it sees; who sees all routes sees the whole trail."""
        if self.sees_all_routes():
            return Event.objects.all()
        rows = Event.objects.filter(Exists(self.arrivals().order_by().filter(id=OuterRef("arrival"))))
        return within(rows, self._scope(pairs_of))

    def receipts(self) -> QuerySet[Receipt]:
        return Receipt.objects.filter(arrival__in=self.arrivals().order_by().values("id"))

    def sent(self) -> QuerySet[Arrival]:
        """What it sent itself."""
        return self.arrivals().filter(sender=self.name)

    def put(self) -> QuerySet[Upload]:
        """What it put into an inbox that is not taken yet."""
        return Upload.objects.filter(sender=self.name) if self.grants else Upload.objects.none()

    # Images derive from the arrivals that brought them, and for recipients from their deliveries.

    def instances(self, of: Q) -> QuerySet[Instance]:
        """Of the arrivals that it sees; recipients those that were delivered into their folders. `of` names the series
        or arrivals that are looked at, which are few: among all images a database would look at each."""
        seen = self._any(of_arrivals, prefix="arrival__") | self._received_images(of)
        return Instance.objects.filter(of).filter(seen)

    def instance(self, pk: int) -> QuerySet[Instance]:
        """This one, if it sees it."""
        row = Instance.objects.filter(pk=pk).only("series", "arrival").first()
        of = Q(series=row.series_id, arrival=row.arrival_id) if row else NOTHING
        return self.instances(of).filter(pk=pk)

    def contributions(self) -> QuerySet[Contribution]:
        """Those with images that it sees, and for recipients perhaps some more."""
        mine = {"series": OuterRef("series"), "arrival": OuterRef("arrival")}
        placed = Placement.objects.filter(self._received("place__", ""), **mine)
        inside = Delivery.objects.filter(self._inside_places()).values("arrival")
        seen = self._any(of_arrivals, prefix="arrival__")
        if self.has({Role.RECIPIENT}):
            seen |= Exists(placed) | Q(arrival__in=inside)
        return Contribution.objects.filter(seen, added__gt=0)

    def series(self) -> QuerySet[Series]:
        """Those that an arrival that it sees has added images to, or of which images were delivered to it."""
        whole = either([of_route(grant, "") or ~NOTHING for grant in self.grants if grant.role in SEES_ROUTE])
        added = Contribution.objects.filter(
            self._any(of_arrivals, frozenset(Role) - SEES_ROUTE, prefix="arrival__"), added__gt=0
        )
        parts = [whole, Q(pk__in=added.values("series")), self._received_series()]
        kept = [True, self.has({Role.SENDER, Role.STUDY_RUNNER}), self.has({Role.RECIPIENT})]
        return Series.objects.filter(
            either([part for part, is_kept in zip(parts, kept, strict=True) if is_kept])
        )

    def studies(self) -> QuerySet[Study]:
        """Those of its series."""
        return Study.objects.filter(self._above(self.series().values("study")))

    def patients(self) -> QuerySet[Patient]:
        """Those of its series."""
        return Patient.objects.filter(self._above(self.series().values("study__patient")))

    def images_of(self, row: Instance) -> QuerySet[Delivery]:
        """The deliveries of an image whose bytes it may open."""
        return self.payloads().filter(arrival=row.arrival_id, item=row.item, sha256=row.sha256)

    def _above(self, of_series: QuerySet[Any, Any]) -> Q:
        """For what is above series: whoever sees routes as a whole needs no look at each series."""
        whole = [of_route(grant, "") or ~NOTHING for grant in self.grants if grant.role in SEES_ROUTE]
        others = [] if self.grants and not self.has(frozenset(Role) - SEES_ROUTE) else [Q(pk__in=of_series)]
        return either([*whole, *others])

    def _received_series(self) -> Q:
        """What was delivered into a recipient's folders."""
        placed = Q(pk__in=Placement.objects.filter(self._received("place__", "")).values("series"))
        return placed | Q(pk__in=Instance.objects.filter(self._received_inside()).values("series"))

    def _received_images(self, of: Q) -> Q:
        """The same. Of a series whose images went to several places, each delivery is looked at."""
        if not self.has({Role.RECIPIENT}):
            return NOTHING
        whole = Placement.objects.filter(self._received("place__", ""), is_whole=True)
        here = whole.filter(series=OuterRef("series"), arrival=OuterRef("arrival"))
        parts = Placement.objects.filter(of, self._received("place__", ""), is_whole=False)
        each = Instance.objects.filter(
            of,
            self._received("arrival__deliveries__place__", "arrival__"),
            arrival__in=parts.values("arrival"),
            series__in=parts.values("series"),
            arrival__deliveries__item=F("item"),
        )
        inside = Instance.objects.filter(of, self._received_inside())
        return Exists(here) | Q(pk__in=each.values("pk")) | Q(pk__in=inside.values("pk"))

    def _received(self, place: str, arrival: str) -> Q:
        """Places that are a recipient's folder, or below it; `place` and `arrival` lead to their columns."""
        arrival = arrival or "arrival__"
        return either(
            [
                of_route(grant, arrival) & either([is_below(f"{place}url", below(*each)) for each in folders])
                for grant in self.grants
                if grant.role == Role.RECIPIENT
                and (folders := [one for one in self._folders(grant) if one[1]])
            ]
        )

    def _received_inside(self) -> Q:
        """Images whose names lead into a recipient's folder, from a place that has no fields."""
        return self._inside_places("arrival__deliveries__") & Q(arrival__deliveries__item=F("item"))

    def _inside_places(self, prefix: str = "") -> Q:
        """Deliveries whose names lead into a recipient's folder, from a place that has no fields."""
        return either(
            [
                of_route(grant, "arrival__")
                & Q((f"{prefix}place__url", base))
                & begins(f"{prefix}stored_as", f"{folder}/")
                for grant in self.grants
                if grant.role == Role.RECIPIENT
                for base, folder in self._folders(grant)
                if folder and base in self._plain
            ]
        )

    @cached_property
    def _plain(self) -> frozenset[str]:
        """The destinations whose address has no field."""
        rules = (rule for route in self.config.routes.values() for rule in route.deliver)
        return frozenset(fixed_part(rule.to) for rule in rules if not Template(rule.to).fields)

    def sees_space(self) -> bool:
        """Whether it sees how full anything is."""
        return self.has({*SEES_ROUTE, Role.STUDY_RUNNER})

    def spaces(self, spaces: Iterable[Space]) -> list[Space]:
        """Those of its routes; a study runner's are those of its studies alone. Disks that no single route fills are
        seen by whoever sees a whole route."""
        return [space for space in spaces if any(_sees(grant, space) for grant in self.grants)]

    def log_readings(self) -> QuerySet[LogReading]:
        keys = [route.key for route in self.routes(OPERATES | AUDITS)]
        whole = self.sees_all_routes()
        return LogReading.objects.all() if whole else LogReading.objects.filter(route__in=keys)

    def waiting(self, rows: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Of the rows of `pending` those that it sees: its arrivals, all entries of its routes' inboxes, and of the
        others those that it uploaded."""
        every = [dict(row) for row in rows]
        ids = {row["id"] for row in every if row["id"]}
        seen = set(self.arrivals().filter(id__in=ids).values_list("id", flat=True)) if ids else set()
        own = (
            set(Upload.objects.filter(sender=self.name).values_list("name", flat=True))
            if self.name
            else set()
        )
        for row in every:
            is_own = self.has({Role.SENDER}, row["route"]) and row["name"] in own
            if row["id"] in seen or (not row["id"] and (is_own or self.has(SEES_ROUTE, row["route"]))):
                yield row

    def _any(
        self,
        part: Callable[[Grant, str], Q],
        roles: Collection[Role] = frozenset(Role),
        prefix: str | None = None,
    ) -> Q:
        if prefix is None:
            prefix = "" if part is of_arrivals else "arrival__"
        return either([part(grant, prefix) for grant in self.grants if grant.role in roles])

    def _scope(self, pairs: Callable[[Grant], Scope]) -> Scope:
        """For the index of the listings: what is seen has all pairs of one of these."""
        return [one for grant in self.grants for one in pairs(grant)]

    def _pairs_of_deliveries(self, grant: Grant) -> Scope:
        if grant.role != Role.RECIPIENT:
            return pairs_of(grant)
        here = [("route", grant.route)] if grant.route else []
        return [[*here, ("in", below(base, folder))] for base, folder in self._folders(grant) if folder]

    def _of_sent(self, grant: Grant, prefix: str) -> Q:
        if grant.role != Role.STUDY_RUNNER:
            return of_arrivals(grant, prefix)
        hidden = [key for key, route in self.config.routes.items() if deidentify_of(route)]
        return of_arrivals(grant, prefix) & ~Q((f"{prefix}route__in", hidden))

    def _of_deliveries(self, grant: Grant, prefix: str) -> Q:
        if grant.role != Role.RECIPIENT:
            return of_arrivals(grant, prefix)
        here = of_route(grant, prefix)
        return here & in_folders(self._folders(grant))

    def _folders(self, grant: Grant) -> Iterable[tuple[str, str]]:
        """The fixed part of each destination's address, and the folder below it that the recipient is bound to."""
        for key, route in self.config.routes.items():
            if grant.route in ("", key):
                for rule in route.deliver:
                    yield fixed_part(rule.to), grant.folder.strip("/")


def access_of(user: Any, config: Config | None = None) -> Access:
    """What an account of Django may see and do; nothing if nobody is signed in, or the account is not active."""
    if config is None:
        from dropslot.config import current

        config = current()
    if not getattr(user, "is_active", False) or not user.is_authenticated:
        return Access("", (), config)
    grants = tuple(Grant.objects.filter(user=user).select_related("user").order_by("id"))
    return Access(user.get_username(), grants, config)


def _sees(grant: Grant, space: Space) -> bool:
    if grant.route and space.routes and grant.route not in space.routes:
        return False
    if grant.role in SEES_ROUTE:
        return True
    return grant.role == Role.STUDY_RUNNER and space.values.get(grant.field) == grant.value
