"""A process that has Django and dropslot loaded and forks itself for every command: a run costs a fork, not a start.

It is a program: `python zygote.py CONFIG`, with one JSON object a line in both directions. CONFIG is an installation
of its own, in which one delivery warms everything up. Requests:

    {"do": COMMANDS}                        run commands in one fork, untraced; answers [{status, out, err}, …]
    {"step": COMMANDS, "at": POINT|N|TEXT|null}  the same under the tracer, stopped before that step (null: never);
                                            "mark": FOLDER makes steps of requests to a server, none of other packets
    {"end": "kill"|"thaw"}                  what becomes of a tree that was stopped

All take {"config": PATH, "environment": {…}, "set": {"module:name": value}} of the fork ("module:name()": a function
that returns it).
A tree that was stopped stays frozen while `do` is answered: that is how another worker takes over from it.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import gc
import importlib
import io
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.dont_write_bytecode = True  # compiled modules are no part of an arrival's way

from marking import mark_requests  # noqa: E402
from stepping import Point, Tree  # noqa: E402

Commands = Sequence[Sequence[str]]
_PIPE_BYTES = 1 << 20


class Zygote:
    """Answers requests until its input ends. `frozen` is the tree that was stopped last, and its pipe of answers."""

    def __init__(self) -> None:
        self.frozen: tuple[Tree, int] | None = None

    def answer(self, request: dict[str, Any]) -> Any:
        if "do" in request:
            return self._do(request)
        if "step" in request:
            return self._step(request)
        return self._end(request["end"])

    def _do(self, request: dict[str, Any]) -> Any:
        _loaded(Path(request["config"]))
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reader)
            _forked(request, request["do"], writer)
        os.close(writer)
        with os.fdopen(reader, "rb") as stream:
            text = stream.read()
        _, status = os.waitpid(pid, 0)
        return json.loads(text) if text else f"it ended with {status}"

    def _step(self, request: dict[str, Any]) -> Any:
        self.close()
        _loaded(Path(request["config"]))
        reader, writer = os.pipe2(os.O_NONBLOCK)
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)  # never full: nobody reads while the tree runs
        mark = request.get("mark")
        tree = Tree.start(lambda: _run_marked(request, writer, mark), sockets=not mark)
        os.close(writer)
        at = request.get("at")
        if tree.go(Point(*at) if isinstance(at, list) else at):
            tree.freeze()
            self.frozen = (tree, reader)
            return {"stopped": True, "steps": _told(tree)}
        return {"stopped": False} | _ended(tree, reader)

    def _end(self, how: str) -> Any:
        assert self.frozen
        tree, reader = self.frozen
        self.frozen = None
        if how == "thaw":
            tree.go()
        else:
            tree.kill()
        return _ended(tree, reader)

    def close(self) -> None:
        """Kill what a test that failed has left frozen."""
        if self.frozen:
            self.frozen[0].kill()
            os.close(self.frozen[1])
            self.frozen = None


def _ended(tree: Tree, reader: int) -> dict[str, Any]:
    text = b""
    with contextlib.suppress(BlockingIOError):
        while part := os.read(reader, _PIPE_BYTES):
            text += part
    os.close(reader)
    return {"status": tree.status, "steps": _told(tree), "results": json.loads(text) if text else None}


def _told(tree: Tree) -> list[Any]:
    return [[*step.point, step.call, step.about] for step in tree.steps]


def _forked(request: dict[str, Any], commands: Commands, writer: int) -> None:
    status = 1
    try:
        _run(request, commands, writer)
        status = 0
    except BaseException:  # noqa: BLE001 - a forked child must not run on in the code of its parent
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(status)


def _run_marked(request: dict[str, Any], writer: int, mark: str | None) -> None:
    if mark:
        mark_requests(Path(mark))
    _run(request, request["step"], writer)


def _run(request: dict[str, Any], commands: Commands, writer: int) -> None:
    """In the fork: the commands as their users give them, with the answers written into the pipe at the end."""
    os.environ.update(request.get("environment", {}))
    for name, value in request.get("set", {}).items():
        module, _, attribute = name.partition(":")
        attribute, called, _ = attribute.partition("()")
        found = (lambda answer=value: answer) if called else value
        setattr(importlib.import_module(module), attribute, found)
    _use(Path(request["config"]))
    results = [_command([*command, "-c", request["config"]]) for command in commands]
    from django.db import connections

    connections.close_all()
    os.write(writer, json.dumps(results).encode())


def _command(args: Sequence[str]) -> dict[str, Any]:
    from dropslot.cli.app import invoke

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = invoke(args)
    return {"status": status, "out": out.getvalue(), "err": err.getvalue()}


def _loaded(config: Path) -> Any:
    """The configuration: read before the fork, once for all runs with the same text."""
    return _parsed(config, config.read_bytes())


@functools.cache
def _parsed(config: Path, _text: bytes) -> Any:
    from dropslot.config.load_config import load

    return load(config)


def _use(config: Path) -> None:
    """Make this process one that was started with this config.yaml, and has done nothing yet."""
    from django.conf import settings
    from django.db import connections

    from dropslot.arrivals.upkeep import database as database_module
    from dropslot.config.servers.databases import django_database
    from dropslot.core import context

    context.renew()
    os.environ["DROPSLOT_CONFIG"] = str(config)
    loaded = _loaded(config)
    settings.DROPSLOT = loaded
    # The database of a process is proved by its first command; the others find it so.
    database_module.prepare = functools.cache(database_module.prepare)
    database = django_database(loaded.database, loaded.data)
    connections["default"].close()
    del connections["default"]
    connections.settings["default"] = connections.configure_settings({"default": database})["default"]


def _tame() -> None:
    """The recorder begins when all of a scan is claimed: how many claims share its first commit is up to the scheduler
    otherwise, and no two runs would have the same steps."""
    from dropslot.arrivals.intake.record import Recorder

    start, flush, close = Recorder.start, Recorder.flush, Recorder.close

    def started(recorder: Recorder) -> None:
        if recorder._thread.ident is None:  # noqa: SLF001 - ours
            start(recorder)

    def flush_later(recorder: Recorder, seconds: float) -> bool:
        started(recorder)
        return flush(recorder, seconds)

    def close_later(recorder: Recorder, seconds: float = 5.0) -> None:
        started(recorder)
        close(recorder, seconds)

    with contextlib.suppress(ImportError):
        import psycopg

        # Else a pipeline decides by the socket's readiness how many statements go into one `sendto`.
        psycopg.Pipeline.is_supported = classmethod(lambda cls: False)  # type: ignore[method-assign, assignment]
    Recorder.start = lambda recorder: None  # type: ignore[method-assign, assignment]
    Recorder.flush, Recorder.close = flush_later, close_later  # type: ignore[method-assign, assignment]


def _warm_up(config: Path) -> None:
    """Deliver once, so that all that is loaded or made late is there before the first fork."""
    os.environ |= {"DROPSLOT_CONFIG": str(config), "DJANGO_SETTINGS_MODULE": "dropslot.settings"}
    from dropslot.cli import app

    app.get_command = functools.cache(app.get_command)  # type: ignore[attr-defined]  # 20 ms for each command
    for module in ("dropslot.destinations.sftp.from_config", "dropslot.destinations.s3.destination"):
        importlib.import_module(module)  # its library takes a quarter of a second
    for command in (["drain", "--now"], ["verify"], ["history", "--json"], ["events", "--json"]):
        result = _command([*command, "-c", str(config)])
        if result["status"]:
            raise RuntimeError(f"{command}: {result}")
    _tame()
    from django.db import connections

    connections.close_all()
    gc.collect()
    gc.freeze()


def main() -> None:
    # Answers have a descriptor of their own: whatever else is printed goes to stderr.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    _warm_up(Path(sys.argv[1]))
    zygote = Zygote()
    answers.write("ready\n")
    answers.flush()
    for line in sys.stdin:
        answers.write(json.dumps(zygote.answer(json.loads(line))) + "\n")
        answers.flush()
    zygote.close()


if __name__ == "__main__":
    main()
