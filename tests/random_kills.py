"""An installation of several programs and servers, each of which is killed, frozen and started again at random while
people drop files. Nothing but what a service manager does is done to help: what ended is started again. The clock of
the machine with the workers is five minutes ahead of the other's.

It serves the test `tests/crash/test_random_kills.py` and the benchmark `benchmarks/random_kills.py`.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from brokers import Broker
from clocks import Clock
from postgres import PostgresServer
from product import Product
from waiting import wait_until

_PROGRAMS = ("run", "worker", "beat")
_FROZEN_SECONDS = (0.5, 4.0)
_AWAY_SECONDS = (0.0, 3.0)  # how long a server stays away
_AHEAD_SECONDS = 300


@dataclass
class Storm:
    """What is killed. `killed`: how often each was."""

    product: Product
    database: PostgresServer
    broker: Broker
    seed: int
    killed: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._running: dict[str, subprocess.Popen[str]] = {}
        self._ahead = Clock(self.product.root / "clock-of-worker")
        self._ahead.step(_AHEAD_SECONDS)

    def blow(self, goes_on: Callable[[], bool], pause_seconds: tuple[float, float]) -> None:
        """Kill something again and again as long as `goes_on` says; afterwards everything is left running.

        In the main thread: servers end with the thread that started them.
        """
        self.keep_running()
        strikes: list[tuple[int, Callable[[], str]]] = [
            (6, self._kill_process),
            (2, self._freeze_process),
            (1, self._kill_program),
            (1, self._kill_broker),
            (1, self._empty_broker),
            (1, self._kill_database),
        ]
        while goes_on():
            self._pause(*pause_seconds)
            (strike,) = self._random.choices(
                [one for _, one in strikes], weights=[weight for weight, _ in strikes]
            )
            if what := strike():
                self.killed[what] += 1
            self.keep_running()

    def _pause(self, least: float, most: float) -> None:
        threading.Event().wait(self._random.uniform(least, most))  # never set: a random moment is the point

    def keep_running(self) -> None:
        """Start what has ended, as a service manager does."""
        for name in _PROGRAMS:
            running = self._running.get(name)
            if running is None or running.poll() is not None:
                path = self._ahead.path if name == "worker" else ""
                self._running[name] = self.product.start(name, PYTHONPATH=path)

    def stop(self) -> None:
        for process in self._running.values():
            process.terminate()
        for process in self._running.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(20)

    def _kill_program(self) -> str:
        name = self._random.choice(_PROGRAMS)
        self._running[name].kill()
        self._running[name].wait()
        return name

    def _process(self) -> tuple[int, str]:
        name = self._random.choice(_PROGRAMS)
        children = _children(self._running[name].pid)
        return (self._random.choice(children), f"a process of {name}") if children else (0, "")

    def _kill_process(self) -> str:
        pid, what = self._process()
        _signal(pid, signal.SIGKILL)
        return what

    def _freeze_process(self) -> str:
        pid, what = self._process()
        if not pid:
            return ""
        _signal(pid, signal.SIGSTOP)
        self._pause(*_FROZEN_SECONDS)
        _signal(pid, signal.SIGCONT)
        return f"{what}, frozen"

    def _kill_broker(self) -> str:
        self.broker.kill()
        self._pause(*_AWAY_SECONDS)
        self.broker.start()
        return "the broker"

    def _empty_broker(self) -> str:
        self.broker.empty()
        return "the broker's messages"

    def _kill_database(self) -> str:
        self.database.end(signal.SIGQUIT)
        self._pause(*_AWAY_SECONDS)
        self.database.start_again()
        return "the database"


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _signal(pid: int, number: signal.Signals) -> None:
    if pid:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


@dataclass
class Drops:
    """Arrivals that people drop: files, and folders of some files. `sent`: bytes by path at the destination."""

    product: Product
    seed: int
    sent: dict[str, bytes] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def drop(self, name: str) -> None:
        """One arrival, whole, by one rename."""
        self.names.add(name)
        if self._random.random() < 0.7:
            self.sent[f"{name}.bin"] = content = self._random.randbytes(self._random.randrange(4096))
            self.product.drop(f"{name}.bin", content)
            self.names.add(f"{name}.bin")
            self.names.discard(name)
            return
        tree = {f"{name}-{number}.bin": self._random.randbytes(600) for number in range(3)}
        self.sent |= tree
        self.product.drop(name, tree)

    def keep_dropping(self, over: threading.Event, pause_seconds: float) -> None:
        """Drop one after another until it is over."""
        while not over.wait(pause_seconds):
            self.drop(f"visit{len(self.names):06}")

    def require_each_once(self) -> None:
        """Fails unless each is delivered, recorded and archived exactly once, and the trail is whole."""
        product = self.product
        assert product.delivered() == self.sent
        recorded = Counter((row["item"], row["version"], row["outcome"]) for row in product.history())
        assert recorded == Counter((path, 1, "delivered") for path in self.sent)
        assert Counter(row["name"] for row in product.arrivals()) == Counter(self.names)
        delivered = product.listing("events", "--kind", "delivered")
        assert Counter(row["arrival"] for row in delivered) == Counter(
            row["id"] for row in product.arrivals()
        )
        assert not product.held()
        assert not [name for name in os.listdir(product.folder("inbox")) if not name.startswith(".")]
        assert not os.listdir(product.folder("failed"))
        assert {path.name for path in product.folder("done").iterdir()} == self.names
        assert "OK" in product.run("verify", "--fixity", timeout_seconds=3600).stdout


def wait_for_all(product: Product, storm: Storm, count: int, *, deadline_seconds: float) -> None:
    """Until so many arrivals are in done; what ends meanwhile is started again."""

    def all_done() -> bool:
        storm.keep_running()
        return len(os.listdir(product.folder("done"))) == count

    wait_until(all_done, deadline_seconds=deadline_seconds, what=f"{count} arrivals in done")
