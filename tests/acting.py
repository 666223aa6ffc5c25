"""Doing something as another account, inside this program: its Python need not be startable for everybody."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Sequence
from typing import TypeVar, cast

from people import Person

T = TypeVar("T")


def acting(person: Person, call: Callable[[], T], *, groups: Sequence[int] = (), umask: int = 0o022) -> T:
    """What `call` returns (or raises) in a forked process with the rights of `person`."""
    receive, send = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups(list(groups))
            os.setresgid(person.gid, person.gid, person.gid)
            os.setresuid(person.uid, person.uid, person.uid)
            os.umask(umask)
            try:
                answer: tuple[bool, object] = (True, call())
            except Exception as error:  # noqa: BLE001 - raised again by the test
                answer = (False, (type(error), str(error)))
            with os.fdopen(send, "wb") as stream:
                pickle.dump(answer, stream)
        finally:
            os._exit(0)
    os.close(send)
    with os.fdopen(receive, "rb") as stream:
        data = stream.read()
    os.waitpid(pid, 0)
    went_well, value = pickle.loads(data)
    if went_well:
        return cast(T, value)
    kind, text = value
    raise kind(text)
