"""Private message brokers: Redis and RabbitMQ, each in its own folder, on free ports of the loopback.

`broker`         a running broker, first Redis, then RabbitMQ, emptied for the test
`redis_broker`, `rabbit_broker`   one of them
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from amqp.exceptions import AMQPError
from kombu import Connection
from redis.exceptions import RedisError

from ports import free_port
from waiting import wait_until

KINDS = ("redis", "rabbitmq")
_ERLANG = "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none"  # one thread, which does not spin
_START_SECONDS = 120  # Erlang takes 5 s of processor time
_QUEUES = ("dropslot", "dropslot.study", "celery")
_RABBIT = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


class Broker:
    """A server that `start` starts, also after `stop` or `kill`, on the same port and with what it had saved."""

    url: str

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="dropslot-broker-"))
        self.folder.chmod(0o755)
        self.process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    @property
    def environment(self) -> dict[str, str]:
        return {}

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", *self.command()],
                cwd=self.folder,
                env={"PATH": os.environ["PATH"], "HOME": str(self.folder), **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(self.answers, deadline_seconds=_START_SECONDS, what=f"{self.url} answering")

    def answers(self) -> bool:
        if self.process is None or self.process.poll() is not None:
            raise RuntimeError(f"The broker ended:\n{(self.folder / 'log').read_text()}")
        try:
            with Connection(self.url, connect_timeout=5) as connection:
                connection.connect()
        except (AMQPError, RedisError, OSError):
            return False
        return True

    def stop(self) -> None:
        """In good order."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """As a crash does."""
        self._end(signal.SIGKILL)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It takes connections and messages, and answers nothing."""
        assert self.process
        os.killpg(self.process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self.process.pid, signal.SIGCONT)

    def _end(self, number: int) -> None:
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, number)
            self.process.wait(60)
        self.process = None

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def empty(self) -> None:
        """Forget every message."""
        raise NotImplementedError


class Redis(Broker):
    """It keeps nothing on the disk: a restart loses every message."""

    def __init__(self) -> None:
        super().__init__()
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> list[str]:
        options = ["--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--appendonly", "no"]
        return ["redis-server", *options, "--dir", str(self.folder)]

    def empty(self) -> None:
        self.tell("FLUSHALL")

    def tell(self, command: str) -> None:
        """One of its own commands."""
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            connection.sendall(f"{command}\r\n".encode("ascii"))
            assert connection.recv(100) == b"+OK\r\n"


class RabbitMQ(Broker):
    """Its own node name, Erlang cookie, data folder and port mapper, so that it meets no other RabbitMQ."""

    def __init__(self) -> None:
        super().__init__()
        self.port, self._distribution, self._mapper_port = free_port(), free_port(), free_port()
        self._node = f"dropslot{secrets.token_hex(4)}@localhost"
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}//"
        self._mapper: subprocess.Popen[bytes] | None = None
        (self.folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\nlog.console = true\nlog.console.level = warning\n"
            # As when a delivery takes longer than the usual half hour.
            "consumer_timeout = 2000\n"
            "vm_memory_high_watermark.absolute = 1GB\ndisk_free_limit.absolute = 1MB\n"
        )
        (self.folder / "plugins").write_text("[].\n")

    def command(self) -> list[str]:
        return [str(_RABBIT)]

    @property
    def environment(self) -> dict[str, str]:
        return {
            "RABBITMQ_NODENAME": self._node,
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._distribution),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"{_ERLANG} -rabbit channel_tick_interval 1000",
            "ERL_EPMD_PORT": str(self._mapper_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }

    def start(self) -> None:
        if self._mapper is None:  # otherwise Erlang leaves one behind
            self._mapper = subprocess.Popen(
                [
                    "setpriv",
                    "--pdeathsig",
                    "KILL",
                    "epmd",
                    "-port",
                    str(self._mapper_port),
                    "-address",
                    "127.0.0.1",
                ],
                cwd=self.folder,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            wait_until(self._is_mapped, what="epmd")
        super().start()

    def _is_mapped(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self._mapper_port)).close()
        except ConnectionRefusedError:
            return False
        return True

    def close(self) -> None:
        super().close()
        if self._mapper:
            self._mapper.kill()
            self._mapper.wait(60)

    @contextmanager
    def full(self) -> Iterator[None]:
        """Out of memory, as it thinks: it takes connections, and no message."""
        self._allow_memory(1)
        try:
            yield
        finally:
            self._allow_memory(1 << 30)

    def _allow_memory(self, size_bytes: int) -> None:
        cookie = (self.folder / ".erlang.cookie").read_text()
        call = f"vm_memory_monitor set_vm_memory_high_watermark [{{absolute,{size_bytes}}}]"
        subprocess.run(
            ["erl_call", "-c", cookie, "-sname", self._node, "-a", call],
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder), **self.environment},
            check=True,
            capture_output=True,
            timeout=20,
        )

    def empty(self) -> None:
        with Connection(self.url) as connection:
            channel: Any = connection.default_channel
            for name in _QUEUES:
                channel.queue_delete(name)


def _running(broker: Broker) -> Iterator[Broker]:
    broker.start()
    yield broker
    broker.close()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Broker]:
    yield from _running(Redis())


@pytest.fixture(scope="session")
def rabbitmq_server() -> Iterator[Broker]:
    yield from _running(RabbitMQ())


@pytest.fixture
def redis_broker(redis_server: Broker) -> Broker:
    redis_server.empty()
    return redis_server


@pytest.fixture
def rabbit_broker(rabbitmq_server: Broker) -> Broker:
    rabbitmq_server.empty()
    return rabbitmq_server


@pytest.fixture(params=["redis", pytest.param("rabbitmq", marks=pytest.mark.crash)])
def broker(request: pytest.FixtureRequest) -> Broker:
    name = {"redis": "redis_broker", "rabbitmq": "rabbit_broker"}[request.param]
    found: Broker = request.getfixturevalue(name)
    return found
