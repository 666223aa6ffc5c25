"""Makes destinations from config.yaml; rules with equal settings share one object."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from dropslot.config import Config, Deliver, current, sections
from dropslot.core.addressing import addresses
from dropslot.core.context import once
from dropslot.core.settings.limits import Limit
from dropslot.destinations.sftp.destination import Sftp
from dropslot.destinations.sftp.logins import Keys, account_of
from dropslot.destinations.sftp.shared_pace import SharedPace, file_of
from dropslot.sftp.ssh_account import Account

SCHEME = "sftp"


def for_rule(rule: Deliver) -> Sftp:
    """The destination of one entry of `deliver`. Raises ConfigError if the rule has a limit and the process has no
    configuration."""
    read_back = rule.verify == "read-back"
    return _made(account_of(rule.to, rule), rule.create_folders, read_back, rule.limit)


@once
def _made(account: Account, create_folders: bool, read_back: bool, limit: Limit | None) -> Sftp:
    pace = _pace(current(), account, limit) if limit else None
    return Sftp(account, create_folders=create_folders, read_back=read_back, pace=pace)


def _pace(config: Config, account: Account, limit: Limit) -> SharedPace:
    return SharedPace(limit, ZoneInfo(config.time_zone), file_of(config.data / "pace", account.server))


def _is_at(address: str, server: str) -> bool:
    return addresses.scheme_of(address) == SCHEME and addresses.server_of(address) == server


def account_for(url: str) -> Account:
    """The account of a server, with its keys from config.yaml: of a destination or of a source."""
    server = addresses.parse(url).server
    for route in current().routes.values():
        named: list[tuple[str, Keys]] = [(rule.to, rule) for rule in route.deliver]
        named += [(read.place, read.keys) for read in sections.connections(route)]
        for address, keys in named:
            if _is_at(address, server):
                return account_of(url, keys)
    return account_of(url)


def for_url(url: str) -> Sftp:
    """The destination that a resolved target belongs to, with the keys of a rule for that account if there is one."""
    server = addresses.parse(url).server
    for route in current().routes.values():
        for rule in route.deliver:
            if _is_at(rule.to, server):
                return for_rule(rule)
    return _made(account_of(url), False, False, None)
