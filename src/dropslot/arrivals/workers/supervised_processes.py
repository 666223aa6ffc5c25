"""The product at work: one supervising process, one that watches, and local workers.

The supervisor has no threads and no database connection, so it can fork a new process for each one that ends. All
share the pages that were loaded before the fork, which saves memory.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import structlog
from django.db import DatabaseError, connections

from dropslot.arrivals import registry
from dropslot.arrivals.machines import Tree
from dropslot.arrivals.outbox_readers import after
from dropslot.arrivals.outbox_readers.for_senders import handing_out
from dropslot.arrivals.space import tree_sizes
from dropslot.arrivals.space import watch as space_watch
from dropslot.arrivals.upkeep import database, preflight
from dropslot.arrivals.upkeep.rebuilding import signs
from dropslot.arrivals.upkeep.same_key import require_same_key
from dropslot.arrivals.workers import local, ownership, recovery
from dropslot.arrivals.workers.claims import recording
from dropslot.arrivals.workers.inbox_duties import InboxDuties
from dropslot.config import Config
from dropslot.files.syscalls import die_with_parent
from dropslot.running import board
from dropslot.running.life import Life
from dropslot.running.stopping import Signal
from dropslot.watching.watcher import Watcher

log = structlog.get_logger()
STOP_SECONDS = 8.0
SOON_SECONDS = 10.0  # what apps add is started again after a pause if it ends sooner, each time twice as long
FIRST_PAUSE_SECONDS = 1.0
ADDED_PAUSE_SECONDS = 60.0
RECOVER_SECONDS = 60.0
NEWER = 75  # the exit status of a process that found a database of a newer version; temporary (sysexits.h)


@dataclass(slots=True)
class Child:
    """One process of the tree, and how to make it again. Deliveries wait for no pause longer than a second; what apps
    add may pause for a minute."""

    name: str
    body: Callable[[Signal], None]
    longest_pause: float = FIRST_PAUSE_SECONDS
    pid: int = 0
    pidfd: int = -1
    begun: float = 0.0
    pause: float = 0.0

    @property
    def is_essential(self) -> bool:
        """Whether it takes or delivers arrivals."""
        return self.name.startswith(("watcher", "worker"))


def serve(config: Config, life: Life) -> None:
    """Watch and work until `life` ends; a process that ends unexpectedly is started again. It reports to `life` when
    all inboxes are watched, and about once a second that the watcher is OK. On return no process is left; a delivery
    that could not be finished in time is finished at the next start.
    """
    preflight.prove(config, by_trial=True)
    ownership.require_ours(config)
    require_same_key(config)
    board.sweep(config.data)
    added = registry.processes(config)
    after.listen(config)
    handing_out.listen(config)
    registry.listen(config)
    tree_sizes.listen(config)
    hint = local.Hint()
    up_reader, up_writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    connections.close_all()
    gc.freeze()  # without collections, these pages stay shared
    children = [Child("watcher", lambda told: _watch(config, hint, told, up_writer)), *_workers(config, hint)]
    # In a process of its own: no delivery waits for an operator's function, no matter how long it takes.
    children.append(Child("after", lambda told: local.run(config, local.Hint(), told, local.CALLING)))
    if handing_out.is_wanted(config):
        children.append(
            Child("receipts", lambda told: local.run(config, local.Hint(), told, local.HANDING_OUT))
        )
    children += [_added(config, process) for process in added]
    children += [_sentinel_of_service(config, hint), *_exporter(config)]
    _start_all(config, children, life, up_reader)


def _start_all(config: Config, children: list[Child], life: Life, up: int) -> None:
    """All are on the board. `up` is -1 if none of them says when it is ready."""
    for child in children:
        child.body = partial(_on_the_board, config, child.name, child.body)
    try:
        for child in children:
            _start(child)
        if up < 0:
            life.ready()
        _supervise(children, life, up)
    finally:
        _stop_all(children)


def _added(config: Config, process: registry.Process) -> Child:
    return Child(process.name, partial(process.body, config), ADDED_PAUSE_SECONDS)


def _sentinel(config: Config, tree: Tree) -> Child:
    from dropslot.arrivals.workers.sentinel import process

    return Child("sentinel", partial(process.run, config, tree), ADDED_PAUSE_SECONDS)


def _sentinel_of_service(config: Config, hint: local.Hint) -> Child:
    """It has an eye on space as well, which is one process less."""
    from dropslot.arrivals.workers.sentinel import process

    def watch(told: Signal) -> None:
        with _announcing(config, hint) as announce, space_watch.watching(config, announce):
            process.run(config, "service", told)

    return Child("sentinel", watch, ADDED_PAUSE_SECONDS)


def _beside(config: Config, tree: Tree) -> list[Child]:
    """What every tree of processes has, also one that watches nothing."""
    added = [_added(config, one) for one in registry.processes_everywhere(config)]
    return [*added, _sentinel(config, tree)]


def _workers(config: Config, hint: local.Hint) -> list[Child]:
    """Celery is loaded only in its own processes."""
    numbers = range(1, config.worker_count + 1)
    if config.workers == "local":
        return [
            Child(f"worker-{number}", lambda told: local.deliver(config, hint, told)) for number in numbers
        ]
    workers = [Child(f"worker-{number}", partial(_work_for_celery, config, ())) for number in numbers]
    return [*workers, Child("beat", partial(_beat, config))]


def _work_for_celery(config: Config, routes: Sequence[str], told: Signal) -> None:
    from dropslot.arrivals.workers.celery import process

    process.run(config, told, routes)


def _beat(config: Config, told: Signal) -> None:
    from dropslot.arrivals.workers.celery import beat

    beat.run(config, told)


def serve_workers(config: Config, life: Life, routes: Sequence[str]) -> None:
    """Celery's workers alone, for a machine that watches nothing, until `life` ends. Also raises OtherKey."""
    require_same_key(config)
    preflight.prove(config, by_trial=True)
    _serve_alone(
        config,
        [
            Child(f"worker-{number}", partial(_work_for_celery, config, routes))
            for number in range(1, max(1, config.worker_count) + 1)
        ]
        + _beside(config, "worker")
        + _exporter(config),
        life,
    )


def serve_beat(config: Config, life: Life) -> None:
    """What sends schedules and the sweep, alone, until `life` ends. Also raises OtherKey: it may sign summaries."""
    require_same_key(config)
    children = [Child("beat", partial(_beat, config)), *_beside(config, "beat"), *_exporter(config)]
    _serve_alone(config, children, life)


def serve_sentinel(config: Config, life: Life, tree: Tree) -> None:
    """What every tree of processes has, beside a portal that is served alone or by itself, until `life` ends. Also
    raises OtherKey: it may sign summaries."""
    require_same_key(config)
    _serve_alone(config, _beside(config, tree), life)


def _serve_alone(config: Config, children: list[Child], life: Life) -> None:
    board.sweep(config.data)
    connections.close_all()
    gc.freeze()
    _start_all(config, children, life, -1)


@contextlib.contextmanager
def _announcing(config: Config, hint: local.Hint) -> Iterator[Callable[[Sequence[str]], None]]:
    """Tells this machine's workers, or Celery's, of arrivals that can be taken; never waits."""
    if config.workers == "local":
        yield hint.announce
        return
    from dropslot.arrivals.workers.celery.announcing import announcing

    with announcing(config) as announce:
        yield announce


def _exporter(config: Config) -> list[Child]:
    """If another service of this data folder, such as workers beside it, answers for all, it waits for its end."""
    if config.metrics is None:
        return []
    from dropslot.arrivals.metrics import exporter  # its library is for those who want it

    if not any(one.pid and one.name.startswith("metrics") for one in board.look(config.data)):
        exporter.prove(config)
    return [Child("metrics", partial(exporter.serve, config), ADDED_PAUSE_SECONDS)]


def _on_the_board(config: Config, name: str, body: Callable[[Signal], None], told: Signal) -> None:
    with board.joined(config.data, name):
        body(told)


def _watch(config: Config, hint: local.Hint, told: Signal, up: int) -> None:
    with _announcing(config, hint) as announce:
        _watch_and_announce(config, announce, told, up)


def _watch_and_announce(
    config: Config, announce: Callable[[Sequence[str]], None], told: Signal, up: int
) -> None:
    signs.alarm(config)
    _recover(config, announce)
    due = time.monotonic() + RECOVER_SECONDS
    inboxes = InboxDuties(config)
    with inboxes.on_duty() as duties, recording(config, announce, inboxes=inboxes) as (recorder, pairs):
        begun = duties.taken

        def on_beat() -> None:
            nonlocal due, begun
            _say(up, b".")
            board.mine().holds(recorder.pending)
            if newer := database.found_newer():
                raise newer
            # What another watcher has claimed, but could not record, is adopted at once.
            if time.monotonic() >= due or duties.taken != begun:
                begun = duties.taken
                _recover(config, announce)
                due = time.monotonic() + RECOVER_SECONDS

        ready = partial(_say, up, b"r")
        Watcher(pairs(), refresh=pairs, acting=pairs.acting, ready=ready, beat=on_beat).run(told)


def _say(up: int, what: bytes) -> None:
    with contextlib.suppress(BlockingIOError):  # the supervisor is busy; it has enough to read
        os.write(up, what)


def _recover(config: Config, announce: Callable[[Sequence[str]], None]) -> None:
    try:
        announce(recovery.recover(config))
    except (DatabaseError, OSError) as error:
        log.warning(
            "Folders and records could not be compared; this is retried",
            action="unrecovered",
            error=str(error),
        )
        connections.close_all()


def _start(child: Child) -> None:
    child.begun = time.monotonic()
    sys.stdout.flush()
    sys.stderr.flush()
    child.pid = os.fork()
    if child.pid == 0:
        _live(child)
    child.pidfd = os.pidfd_open(child.pid)


def _live(child: Child) -> None:
    """The life of a forked process; never returns."""
    status = 1
    try:
        told = Signal(lambda: board.mine().pulse())
        die_with_parent(signal.SIGTERM)
        signal.signal(signal.SIGTERM, lambda *_: told.set())
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the supervisor decides
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        child.body(told)
        status = 0
    except database.DatabaseNewer as error:
        log.warning(f"The process {child.name} ends: {error}", action="database_newer", process=child.name)
        status = NEWER
    except DatabaseError as error:
        log.warning(
            f"The database does not answer; the process {child.name} is started again",
            action="database_unavailable",
            process=child.name,
            error=str(error),
        )
    except Exception:
        log.exception(
            "A process of the service failed; it is started again",
            action="process_failed",
            process=child.name,
        )
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _supervise(children: list[Child], life: Life, up: int) -> None:
    poll = select.poll()
    for descriptor in (life.fileno(), up, *(child.pidfd for child in children)):
        if descriptor >= 0:
            poll.register(descriptor, select.POLLIN)
    newer = False  # then nothing is started again, and all ends when watcher and workers have finished
    while not life.is_set():
        for descriptor, _ in poll.poll(1000):
            if descriptor == up:
                if b"r" in os.read(up, 4096):
                    life.ready()
                life.beat()
            elif ended := next((child for child in children if child.pidfd == descriptor), None):
                poll.unregister(descriptor)
                status = _reap(ended) if newer else _note_end(ended)
                if status == NEWER and not newer:
                    newer = True
                    _tell([child for child in children if child.is_essential])
        if up < 0:
            life.beat()  # no watcher does
        if newer and not any(child.pid for child in children if child.is_essential):
            raise database.DatabaseNewer(
                "The database has the tables of a newer version of dropslot",
                where="Everything that was begun is finished; what is dropped now waits in the inboxes",
                next_step="Install that version on this machine, too, and start it",
            )
        for child in children:
            if not newer and not child.pid and time.monotonic() >= child.begun + child.pause:
                _start(child)
                poll.register(child.pidfd, select.POLLIN)


def _note_end(child: Child) -> int:
    """Decide when it is started again: one that fails at once must not be forked in a tight loop. Returns its
    status."""
    status = _reap(child)
    if status == NEWER:
        return status
    now = time.monotonic()
    ended_soon = now - child.begun < min(SOON_SECONDS, child.longest_pause)
    child.pause = min(max(FIRST_PAUSE_SECONDS, 2 * child.pause), child.longest_pause) if ended_soon else 0.0
    when = f" in {child.pause:.0f} s" if child.pause > FIRST_PAUSE_SECONDS else ""
    line = f"The process {child.name} ended with {status}; it is started again{when}"
    line += ", and another worker takes over its work" if child.name.startswith("worker") else ""
    log.error(line, action="process_ended", process=child.name, status=status)
    child.begun = now
    return status


def _reap(child: Child) -> int:
    _, status = os.waitpid(child.pid, 0)
    os.close(child.pidfd)
    child.pid, child.pidfd = 0, -1
    return os.waitstatus_to_exitcode(status)


def _tell(children: list[Child]) -> None:
    """Let them finish their present batch, and end."""
    for child in children:
        if child.pid:
            signal.pidfd_send_signal(child.pidfd, signal.SIGTERM)


def _stop_all(children: list[Child]) -> None:
    """All are told at once: the watcher takes nothing more, the workers may finish their present batch."""
    running = [child for child in children if child.pid]
    _tell(running)
    deadline = time.monotonic() + STOP_SECONDS
    for child in running:
        if not select.select([child.pidfd], [], [], max(0.0, deadline - time.monotonic()))[0]:
            line = f"The process {child.name} did not end in time; the next start finishes its work"
            log.warning(line, action="process_killed", process=child.name)
            signal.pidfd_send_signal(child.pidfd, signal.SIGKILL)
        _reap(child)
