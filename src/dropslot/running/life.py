"""A service's life: when it must stop, and its reports that it is ready and alive."""

from __future__ import annotations

import faulthandler
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from dropslot.running.stopping import Signal
from dropslot.running.systemd import Systemd

# systemctl, stop_watcher and operators wait 10 s.
STOP_SECONDS = 9.0


class Life(Signal):
    """Handed to `serve`: set when the service is to stop. `ready` is to be called once it is up."""

    def __init__(self, told_ready: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self._systemd = Systemd()
        self._told_ready = told_ready
        self.is_ready = False

    def ready(self, status: str = "") -> None:
        """The service is up: report it to the process that started it."""
        if not self.is_ready:
            self.is_ready = True
            self._told_ready()
            self._systemd.ready(status)

    def beat(self) -> None:
        """The service is OK; call it at least once a second."""
        self._systemd.beat()

    def end(self) -> None:
        """Stop, in good order if that takes no longer than STOP_SECONDS; every state on the disk can be
        resumed."""
        if not self.is_set():
            # Written by a thread of C: works even when the interpreter hangs. Its traceback says where.
            faulthandler.dump_traceback_later(STOP_SECONDS, exit=True)
            self._systemd.stopping()
            self.set()


@contextmanager
def signals_lead_to(life: Life, reopen: Callable[[], None]) -> Iterator[None]:
    """SIGTERM and SIGINT end the life; SIGHUP reopens the log files. Main thread only."""

    def end(_number: int, _frame: FrameType | None) -> None:
        life.end()

    def hang_up(_number: int, _frame: FrameType | None) -> None:
        reopen()

    handlers = {signal.SIGTERM: end, signal.SIGINT: end, signal.SIGHUP: hang_up}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        faulthandler.cancel_dump_traceback_later()
