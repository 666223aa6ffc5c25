"""Examines the servers that answer, before anything is taken."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from dropslot.config import Deliver
from dropslot.core.errors import DropslotError, Unsupported
from dropslot.core.templates import Template
from dropslot.destinations.base import Target
from dropslot.destinations.sftp import rules
from dropslot.destinations.sftp.destination import Sftp
from dropslot.sftp import runtime, wire
from dropslot.sftp.channel import ConnectionGone
from dropslot.sftp.wire import Garbled, Said

PATIENCE_SECONDS = 5.0


def prove(deliver: Sequence[Deliver], *, by_trial: bool) -> None:
    """Raise Unsupported when one of these servers cannot give a file its name without the risk of replacing another.

    All are asked at once. One that does not answer within PATIENCE_SECONDS, or cannot do now what it may do later, is
    left to the delivery that meets it: it must not keep the others from starting. `by_trial`: names are really given
    in a private folder there; else only what the server says of itself is looked at, unless that leaves it open.
    """
    targets = {(rules.for_rule(rule), _target(rule)): None for rule in deliver}
    for found in runtime.current().run(_ask(list(targets), by_trial=by_trial)):
        if isinstance(found, Unsupported):
            raise found


def _target(rule: Deliver) -> Target:
    fixed = Template(rule.to).fixed
    return Target(fixed, fixed)


async def _ask(pairs: Sequence[tuple[Sftp, Target]], *, by_trial: bool) -> list[DropslotError | None]:
    return await asyncio.gather(*(_asked(one, target, by_trial=by_trial) for one, target in pairs))


async def _asked(destination: Sftp, target: Target, *, by_trial: bool) -> DropslotError | None:
    """What speaks against it, as far as it is known in time."""
    task = asyncio.create_task(_fault(destination, target, by_trial=by_trial))
    done, _ = await asyncio.wait({task}, timeout=PATIENCE_SECONDS)
    if not done:
        task.cancel()  # and not waited for: a server that stopped answering does not let it clear up, either
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
