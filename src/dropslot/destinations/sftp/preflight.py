"""Examines the servers that answer, before any arrival is taken."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from dropslot.config import Deliver
from dropslot.core.errors import DropslotError, Unsupported
from dropslot.core.templates import Template
from dropslot.destinations.base import Target
from dropslot.destinations.sftp import from_config
from dropslot.destinations.sftp.destination import Sftp
from dropslot.sftp import runtime, wire
from dropslot.sftp.channel import ConnectionGone
from dropslot.sftp.wire import Garbled, Said

PATIENCE_SECONDS = 5.0


def prove(deliver: Sequence[Deliver], *, by_trial: bool) -> None:
    """Raise Unsupported if one of these servers cannot give a file its name without the risk of replacing another.

    All servers are asked at once. A server that does not answer within PATIENCE_SECONDS, or that has a temporary fault,
    does not block the start; its deliveries are retried. With `by_trial` names are really given in a private folder
    there. Without it the server's own claims count, unless they leave the question open.
    """
    targets = {(from_config.for_rule(rule), _target(rule)): None for rule in deliver}
    for found in runtime.current().run(_ask(list(targets), by_trial=by_trial)):
        if isinstance(found, Unsupported):
            raise found


def _target(rule: Deliver) -> Target:
    fixed = Template(rule.to).fixed
    return Target(fixed, fixed)


async def _ask(pairs: Sequence[tuple[Sftp, Target]], *, by_trial: bool) -> list[DropslotError | None]:
    return await asyncio.gather(*(_asked(one, target, by_trial=by_trial) for one, target in pairs))


async def _asked(destination: Sftp, target: Target, *, by_trial: bool) -> DropslotError | None:
    """The fault of this destination, if it is found in time."""
    task = asyncio.create_task(_fault(destination, target, by_trial=by_trial))
    done, _ = await asyncio.wait({task}, timeout=PATIENCE_SECONDS)
    if not done:
        task.cancel()  # without waiting: a server that stopped answering would block its clean-up, too
        return None
    return task.result()


async def _fault(destination: Sftp, target: Target, *, by_trial: bool) -> DropslotError | None:
    try:
        connection = await runtime.current().connection(destination.account)
        if by_trial or wire.HARDLINK not in connection.extensions:
            await destination.prove(connection, target, by_trial=by_trial)
    except DropslotError as error:
        return error
    except (Said, ConnectionGone, Garbled):
        return None
    return None
