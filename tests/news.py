"""What happens, as the transactions of deliveries and of the sentinel leave it behind, and what is told of it."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

from django.db import transaction
from django.utils import timezone

from dropslot.arrivals.models import Arrival
from dropslot.audit import chain
from dropslot.audit.kinds import Kind, entry
from dropslot.config import Config, from_mapping
from dropslot.core.states import State
from dropslot.notify.engine import writing_down
from dropslot.notify.engine.process import Notifier
from dropslot.notify.models import SENDING, WAITING, Group, Message
from waiting import wait_until

OPS = "mailto:ops@lab.example"
_numbers = itertools.count(1)


def configured(
    base: Path,
    mail: dict[str, Any],
    *,
    study: dict[str, Any] | None = None,
    route: dict[str, Any] | None = None,
    **notify: Any,
) -> Config:
    """Two routes; people are told at once, unless `notify` says otherwise. `study` is the key notify of one of them,
    `route` has others of its keys."""
    routes = {
        "study": {
            "folders": "./study",
            "deliver": [{"to": "./to"}],
            "notify": study or {},
            **(route or {}),
        },
        "other": {"folders": "./other", "deliver": [{"to": "./there"}]},
    }
    content = {"mail": mail, "notify": {"gather": 0, "every": 0, **notify}, "routes": routes}
    config = from_mapping(content, base)
    writing_down.listen(config)
    return config


def fail(reason: str, *, name: str = "", count: int = 1, **row: Any) -> list[str]:
    """So many arrivals are refused. Returns their names."""
    made = [_arrival(State.FAILED, name, row) for _ in range(count)]
    entries = [
        entry(Kind.REFUSED, one.id, {"epoch": 1, "reason": [reason.format(name=one.name)]}) for one in made
    ]
    with transaction.atomic():
        Arrival.objects.bulk_create(made)
        chain.append(entries)
    return [one.name for one in made]


def deliver(*, name: str = "", count: int = 1, **row: Any) -> list[str]:
    """So many arrivals are delivered. Returns their names."""
    made = [_arrival(State.DONE, name, row) for _ in range(count)]
    data: Any = {"epoch": 1, "outcomes": {"delivered": 1}, "manifests": {}}
    with transaction.atomic():
        Arrival.objects.bulk_create(made)
        chain.append([entry(Kind.DELIVERED, one.id, data) for one in made])
    return [one.name for one in made]


def trouble(kind: str, about: str, what: str, *, route: str = "", study: str = "") -> None:
    """The sentinel finds something."""
    data: Any = {
        "trouble": kind,
        "about": about,
        "what": what,
        "remedy": "mend it",
        "route": route,
        "study": study,
    }
    with transaction.atomic():
        chain.append([entry(Kind.TROUBLE, "", data)])


def over(kind: str, about: str, what: str, *, route: str = "", study: str = "") -> None:
    """It is over."""
    data: Any = {
        "trouble": kind,
        "about": about,
        "what": what,
        "remedy": "mend it",
        "route": route,
        "study": study,
    }
    data |= {"began_at": "2026-11-30T00:00:00Z", "seconds": 60}
    with transaction.atomic():
        chain.append([entry(Kind.TROUBLE_OVER, "", data)])


def _arrival(state: State, name: str, row: dict[str, Any]) -> Arrival:
    number, now = next(_numbers), timezone.now()
    called = name or f"arrival-{number}"
    values: dict[str, Any] = {"route": "study", "sender": "sam", "inbox": "/i", "is_folder": True, **row}
    return Arrival(
        id=f"{number:026}",
        name=called,
        name_bytes=called.encode(),
        state=state,
        received_at=now,
        finished_at=now,
        **values,
    )


def notifier(config: Config, worker: str = "this one") -> Notifier:
    return Notifier(config, worker, lambda: True)


def tell(config: Config, worker: str = "this one") -> None:
    """Tell people until nothing is left that can be told now."""
    at_work = notifier(config, worker)

    def is_quiet() -> bool:
        at_work.turn()
        at_work.record(5.0)
        trying = Message.objects.filter(state=WAITING, attempts__gt=0).exists()
        return trying or not (
            Group.objects.filter(message=None).exists()
            or Message.objects.filter(state__in=(SENDING, WAITING)).exists()
        )

    wait_until(is_quiet, what="everybody being told")
    at_work.finish(5.0)
