"""The process of `dropslot run` that receives: it listens, and turns what came into arrivals and events."""

from __future__ import annotations

import errno
import logging
import ssl
import threading
import time
from collections import defaultdict
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import structlog
from django.db import DatabaseError, connections

from dropslot.core.errors import BadOption, DropslotError
from dropslot.dicom.receiving.commitment import event_reports
from dropslot.dicom.receiving.config_keys import Receive, receivers
from dropslot.dicom.receiving.dicom_listener import Listener, tls_context
from dropslot.dicom.receiving.make_arrivals import Arriving
from dropslot.dicom.receiving.refused_associations import Refusals
from dropslot.running.stopping import Signal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from dropslot.config import Config, Route
    from dropslot.config.servers.listen_addresses import Listen
    from dropslot.dicom.receiving.associations import Incoming

log = structlog.get_logger()
TICK_SECONDS = 0.2
_LEFT_SECONDS = 5.0
_PAUSE_SECONDS = 2.0
_RETRY_SECONDS = 5.0


def prove(config: Config) -> None:
    """Raise BadOption for what no retry can mend: receivers that cannot share an address, a certificate that cannot be
    used."""
    for listen, shared in by_address(config).items():
        titles = [receive.aet for _, receive in shared]
        if len(set(titles)) < len(titles):
            raise BadOption(
                f"Two routes receive at {listen} with the same AE title",
                next_step="Give each `receive` another `aet`, or another port in `listen`",
            )
        if len({(receive.certificate, receive.key, receive.ca) for _, receive in shared}) > 1:
            raise BadOption(
                f"Routes that receive at {listen} have different certificates",
                next_step="Give them the same certificate, key and ca, or another port in `listen`",
            )
        _prove_certificate(shared[0][1])


def by_address(config: Config) -> Mapping[Listen, Sequence[tuple[Route, Receive]]]:
    """The receivers of a configuration by the address where they listen."""
    shared: dict[Listen, list[tuple[Route, Receive]]] = defaultdict(list)
    for route, receive in receivers(config):
        shared[receive.listen].append((route, receive))
    return shared


def _prove_certificate(receive: Receive) -> None:
    try:
        tls_context(receive)
    except (OSError, ssl.SSLError) as error:
        raise BadOption(
            f"The certificate {receive.certificate} of a DICOM receiver cannot be used: {error}",
            next_step="Correct `certificate`, `key` and `ca`; the service must be able to read them",
        ) from error


def serve(config: Config, stop: Signal) -> None:
    """Receive until `stop`, once every address can be had. What is not finished then is finished by the next start."""
    said = ""
    arriving = Arriving(config)
    while not stop.is_set():
        try:
            listeners = _listeners(config, arriving.refusals)
        except OSError as error:
            said = _waits(config, error, said)
            stop.wait(_RETRY_SECONDS)
        else:
            _served(config, listeners, arriving, stop)
            return


def _waits(config: Config, error: OSError, said: str) -> str:
    """Log once why nothing is received yet."""
    where = ", ".join(map(str, by_address(config)))
    fault = f"The DICOM receiver cannot listen on {where}: {error.strerror}. Nothing is received; deliveries go on"
    if fault != said:
        log.error(
            f"{fault}. End the other program, or give receive.listen another address. It is tried again every"
            f" {_RETRY_SECONDS:.0f} s.",
            action="receiver_waits",
            plain=True,
        )
    return fault


def _listeners(config: Config, refusals: Refusals) -> list[Listener]:
    # It logs what senders do wrong with a traceback, and names of theirs as they are. What matters is logged here.
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)
    made: list[Listener] = []
    try:
        for listen, shared in by_address(config).items():
            made.append(Listener(listen, shared, refusals))
    except OSError:
        for listener in made:
            listener.close()
        raise
    return made


def _served(config: Config, listeners: Sequence[Listener], arriving: Arriving, stop: Signal) -> None:
    answering = threading.Thread(
        target=event_reports.answer_until, args=(config, partial(_open, listeners), stop)
    )
    for listener in listeners:
        listener.start()
    answering.start()
    try:
        _work(listeners, arriving, stop)
    finally:
        stop.set()
        answering.join()
        for listener in listeners:
            listener.stop()
        _step(listeners, arriving)
        _tried(partial(arriving.refusals.record, is_last=True))
        connections.close_all()


@contextmanager
def receiving_meanwhile(config: Config) -> Iterator[None]:
    """Receive as the service does, in a thread, unless it runs: then it has the addresses. Raises OSError."""
    stop = Signal()
    arriving = Arriving(config)
    try:
        listeners = _listeners(config, arriving.refusals)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        yield
        return
    thread = threading.Thread(target=_served, args=(config, listeners, arriving, stop))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        stop.close()


def _open(listeners: Sequence[Listener]) -> list[Incoming]:
    return [incoming for listener in listeners for incoming in listener.open()]


def _work(listeners: Sequence[Listener], arriving: Arriving, stop: Signal) -> None:
    look_again = 0.0
    while not stop.wait(TICK_SECONDS):
        is_well = True
        if time.monotonic() >= look_again:
            is_well = _tried(arriving.adopt)
            look_again = time.monotonic() + _LEFT_SECONDS
        if not (_step(listeners, arriving) and is_well):
            stop.wait(_PAUSE_SECONDS)


def _step(listeners: Sequence[Listener], arriving: Arriving) -> bool:
    ended = [incoming for listener in listeners for incoming in listener.ended()]
    still_open = _open(listeners)
    arriving.note(ended)
    return _tried(partial(arriving.step, still_open)) and _tried(arriving.refusals.record)


def _tried(do: Callable[[], None]) -> bool:
    """Whether nothing hindered it; else it is done again."""
    try:
        do()
    except (DatabaseError, OSError, DropslotError) as error:
        log.warning(
            f"What was received cannot become an arrival now: {error}. It is kept in the inbox under a hidden name, and"
            " this is retried",
            action="received_waits",
            error=str(error),
        )
        connections.close_all()
        return False
    return True
