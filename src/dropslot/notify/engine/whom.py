"""Whom something is told: by the rules of config.yaml, and by what people asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from dropslot.config import Config
from dropslot.notify.channels.target import target_of
from dropslot.notify.engine.accounts_to_notify import Account, People
from dropslot.notify.engine.happenings import Happening
from dropslot.notify.news import News
from dropslot.notify.section import SENDER, STUDY, notify_of, targets_of


class To(NamedTuple):
    """Somebody who is told: an account, by its number, or a place."""

    key: str
    user: int | None = None

    @classmethod
    def account(cls, user: Any) -> To:
        return cls(f"user:{user.pk}", user.pk)

    @classmethod
    def place(cls, target: str) -> To:
        return cls(target)


class Told(NamedTuple):
    """One thing that one recipient is told. `name`: under which the recipient knows the arrival."""

    to: To
    happening: Happening
    name: str


class Rules:
    """The rules for one batch of happenings."""

    def __init__(self, config: Config, happenings: Sequence[Happening]) -> None:
        self._config = config
        self._people = People(config, happenings)
        self._happenings = happenings
        self._known: dict[tuple[str, News], list[str]] = {}

    def all(self) -> Iterator[Told]:
        """Everything that is to be told, each thing once to each place."""
        for happening in self._happenings:
            yield from self._of(happening)

    def _of(self, happening: Happening) -> Iterator[Told]:
        row = happening.arrival
        places = dict.fromkeys(self._places(happening))
        for place in places:
            yield Told(To.place(place), happening, row.name if row else "")
        accounts = {account.user.pk: account for account in self._accounts(happening)}
        for account in accounts.values():
            if account.target and account.target not in places:
                yield Told(To.account(account.user), happening, account.called(happening))

    def _places(self, happening: Happening) -> Iterator[str]:
        for target in self._targets(happening):
            if target == SENDER and (address := self._address_of_sender(happening)):
                yield address
            elif target not in (SENDER, STUDY):
                yield target

    def _accounts(self, happening: Happening) -> Iterator[Account]:
        for target in self._targets(happening):
            found: list[Account] = []
            if target == STUDY:
                found = self._people.of_study(happening)
            elif target == SENDER and (sender := self._sender(happening)) and sender.target:
                found = [sender]
            yield from (one for one in found if one.wants(happening.news, happening.route))
        yield from (one for one in self._people.subscribers if one.subscribes(happening))

    def _targets(self, happening: Happening) -> list[str]:
        of = happening.route, happening.news
        if (found := self._known.get(of)) is None:
            found = self._known[of] = targets_of(self._config, *of)
        return found

    def _sender(self, happening: Happening) -> Account | None:
        return self._people.named(happening.arrival.sender) if happening.arrival else None

    def _address_of_sender(self, happening: Happening) -> str:
        """By `sender_address`, for who has no account with an address."""
        template = notify_of(self._config).sender_address
        account = self._sender(happening)
        if not template or happening.arrival is None or (account and (account.target or account.preference)):
            return ""
        try:
            return target_of(f"mailto:{template.replace('{owner}', happening.arrival.sender)}").text
        except ValueError:
            return ""  # no name that an address could have
