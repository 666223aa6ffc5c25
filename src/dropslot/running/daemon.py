"""The watcher as a service: in the background with a pid file, or in the foreground."""

from __future__ import annotations

import faulthandler
import os
import select
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import structlog
from django.db import DatabaseError

from dropslot.core.errors import DropslotError
from dropslot.core.names import escape
from dropslot.running import daemon_files, log_sinks, pidfile
from dropslot.running.daemon_files import Places
from dropslot.running.life import Life, signals_lead_to
from dropslot.running.logfile import LogFile
from dropslot.running.pidfile import PidFile

if TYPE_CHECKING:
    from dropslot.config import Config

log = structlog.get_logger()

Serve = Callable[[Life], None]

UP_SECONDS = 60.0  # a start that takes longer is reported as failed, though it may still succeed
KILL_SECONDS = 12.0  # after SIGTERM; by itself it ends within life.STOP_SECONDS
_UP = b"up"


class NotRunning(DropslotError):
    """There is no watcher to stop."""

    code = "not-running"


class StartFailed(DropslotError):
    """The watcher ended, or did not report in time, before it was up."""

    code = "start-failed"


@dataclass(frozen=True, slots=True)
class Status:
    """Whether a watcher runs; `since` is when it wrote its pid file."""

    running: bool
    pid: int | None
    since: datetime | None
    places: Places


def start(config: Config, serve: Serve) -> Status:
    """Run `serve` in a process of its own, detached from the terminal; returns once it has reported that it is ready.
    Call it before you open anything that must not be shared with it, such as a database connection. Raises
    AlreadyRunning, StartFailed (with the reason), UnsafePlace, OSError.
    """
    where = daemon_files.for_start(config)
    pid_file = PidFile.take(where.pid)
    reader, writer = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        _detached(config, serve, where, pid_file, _Starter(writer))
    os.close(writer)
    pid_file.leave()
    os.waitpid(child, 0)
    _await_up(reader, where)
    return _status(where)


class _Starter:
    """The process that waits for the start, at the other end of a pipe."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def up(self) -> None:
        self._say(_UP)

    def failed(self, error: BaseException) -> None:
        reason = str(error) if isinstance(error, (DropslotError, OSError)) else repr(error)
        self._say(reason.encode(errors="backslashreplace"))

    def _say(self, word: bytes) -> None:
        if self.descriptor >= 0:
            with suppress(BrokenPipeError):  # it was interrupted: nobody waits any more
                os.write(self.descriptor, word)
            self.leave()

    def leave(self) -> None:
        # Once: the number may be that of another file later on.
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def _await_up(reader: int, where: Places) -> None:
    said = b""
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    with os.fdopen(reader, "rb", buffering=0):
        while poll.poll(UP_SECONDS * 1000):
            part = os.read(reader, 65536)
            if not part:
                break
            said += part
        else:
            said = f"it did not start within {UP_SECONDS:.0f} s".encode()
    if said != _UP:
        reason = said.decode(errors="replace").strip() or "it ended without an error message"
        raise StartFailed(f"The watcher did not start: {reason}", next_step=f"See {escape(str(where.err))}")


def _detached(config: Config, serve: Serve, where: Places, pid_file: PidFile, starter: _Starter) -> NoReturn:
    """In the child: never returns into the code of the process that was forked."""
    code = 1
    try:
        os.setsid()
        if os.fork() == 0:  # not a session leader, so it can no longer get a terminal
            _as_daemon(config, serve, where, pid_file, starter)
        code = 0
    except BaseException as error:
        starter.failed(error)
        traceback.print_exception(error)
        raise
    finally:
        os._exit(code)


def _as_daemon(config: Config, serve: Serve, where: Places, pid_file: PidFile, starter: _Starter) -> None:
    pid_file.write(os.getpid())
    try:
        os.chdir("/")
        os.umask(0o027)
        out, err = _redirect(where, keep={pid_file.descriptor, starter.descriptor})
        faulthandler.enable()
        pid_file.keep_from_children()
        os.register_at_fork(after_in_child=starter.leave)
        _serve(
            serve, Life(starter.up), log_sinks.configure(config, foreground=False, out=out, err=err), where
        )
    finally:
        pid_file.remove()


def _redirect(where: Places, keep: set[int]) -> tuple[LogFile, LogFile]:
    """Standard input from /dev/null, output and errors to the log files, everything else closed."""
    for descriptor in map(int, os.listdir("/proc/self/fd")):
        if descriptor > 2 and descriptor not in keep:
            with suppress(OSError):  # the one that listed the folder
                os.close(descriptor)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    if nothing > 2:
        os.close(nothing)
    # The interpreter's own streams may have been replaced; print and tracebacks must go to the files.
    sys.stdout = os.fdopen(1, "w", buffering=1, errors="backslashreplace", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
    return LogFile(where.out, descriptor=1), LogFile(where.err, descriptor=2)


def foreground(config: Config, serve: Serve) -> None:
    """Run `serve` here until SIGTERM, SIGINT or its own end; tells systemd when it is up.

    It holds the pid file, too, so that each data folder has only one watcher, and watcher_status sees it. Raises
    AlreadyRunning, UnsafePlace, OSError, and whatever `serve` raises.
    """
    where = daemon_files.for_start(config)
    pid_file = PidFile.take(where.pid)
    pid_file.write(os.getpid())
    pid_file.keep_from_children()
    life = Life()
    try:
        _serve(serve, life, log_sinks.configure(config, foreground=True), where)
    finally:
        pid_file.remove()
        life.close()


def beside(config: Config, serve: Serve) -> None:
    """As `foreground`, without the pid file: a watcher may run beside it, or none at all."""
    life = Life()
    try:
        _serve(serve, life, log_sinks.configure(config, foreground=True), daemon_files.for_look(config))
    finally:
        life.close()


def join_logs(config: Config) -> log_sinks.Logs:
    """Set logs up in a program that the service has started as a part of itself: it writes where the service writes,
    in the background into the same files. Started by a person, it writes on the terminal."""
    where = daemon_files.for_look(config)
    try:
        if os.path.samestat(os.fstat(1), os.stat(where.out)):
            out, err = LogFile(where.out, descriptor=1), LogFile(where.err, descriptor=2)
            return log_sinks.configure(config, foreground=False, out=out, err=err)
    except OSError:
        pass
    return log_sinks.configure(config, foreground=True)


def _serve(serve: Serve, life: Life, log_files: log_sinks.Logs, where: Places) -> None:
    if where.warning:
        log.warning(where.warning, action="data_unwritable", plain=True)
    with signals_lead_to(life, log_files.reopen):
        log.info(f"Started: pid {os.getpid()}", action="watcher_started", plain=True, pid=os.getpid())
        try:
            serve(life)
        except Exception as error:
            line = "The watcher stops because of an error. The next start resumes what it was doing."
            # What is known, or away, needs no look at the code.
            unknown = not isinstance(error, DropslotError | DatabaseError)
            log.exception(line, action="watcher_failed", plain=True, error=str(error), exc_info=unknown)
            raise
        log.info("Stopped", action="watcher_stopped", plain=True)


def stop(config: Config) -> int:
    """Stop the running watcher and wait until it has ended; returns its pid.

    SIGTERM first; SIGKILL after KILL_SECONDS (nothing is lost by it). Raises NotRunning, StartFailed,
    OSError.
    """
    where = daemon_files.for_look(config)
    pid = pidfile.holder(where.pid)
    if not pid:
        pidfile.remove_stale(where.pid)
        raise NotRunning(f"No watcher is running: no pid file exists at {escape(str(where.pid))}.")
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return pid
    try:
        _end(process, where.pid, pid)
    finally:
        os.close(process)
    return pid


def _end(process: int, path: Path, pid: int) -> None:
    """By pidfd, and only while that pid still holds the file: the pid may belong to another process by now."""
    if pidfile.holder(path) != pid:
        return
    poll = select.poll()
    poll.register(process, select.POLLIN)
    for number, seconds in ((signal.SIGTERM, KILL_SECONDS), (signal.SIGKILL, KILL_SECONDS)):
        signal.pidfd_send_signal(process, number)
        if poll.poll(seconds * 1000):
            return


def status(config: Config) -> Status:
    """Whether a watcher runs, and which. Raises OSError when the pid file is another account's."""
    return _status(daemon_files.for_look(config))


def as_json(config: Config, status: Status) -> dict[str, Any]:
    """A status with the keys of `watcher_status --json`."""
    routes = [{"route": route.key, "inbox": escape(route.inbox)} for route in config.routes.values()]
    return {
        "running": status.running,
        "pid": status.pid,
        "since": status.since.strftime("%Y-%m-%dT%H:%M:%SZ") if status.since else None,
        "pid_file": escape(str(status.places.pid)),
        "routes": routes,
    }


def _status(where: Places) -> Status:
    pid = pidfile.holder(where.pid)
    if pid is None:
        return Status(False, None, None, where)
    try:
        since = datetime.fromtimestamp(where.pid.stat().st_mtime, UTC)
    except FileNotFoundError:  # it has just ended
        return Status(False, None, None, where)
    return Status(True, pid or None, since, where)
