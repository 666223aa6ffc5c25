"""Asks a person while the connection's loop goes on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


async def answer_to(question: Callable[[], T]) -> T:
    """What `question` returns or raises; it may wait for long. It runs in a thread that the end of the program does not
    wait for: Ctrl-C ends a question that nobody answers."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def settle(set_it: Callable[[], None]) -> None:
        with suppress(asyncio.InvalidStateError):  # the server did not wait so long
            set_it()

    def ask() -> None:
        try:
            found = question()
        except BaseException as error:  # noqa: BLE001 - raised again where the answer is awaited
            raised = error
            _soon(loop, lambda: settle(lambda: answer.set_exception(raised)))
        else:
            _soon(loop, lambda: settle(lambda: answer.set_result(found)))

    threading.Thread(target=ask, daemon=True, name="question").start()
    return await answer


def _soon(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    with suppress(RuntimeError):  # the loop has ended meanwhile
        loop.call_soon_threadsafe(call)
