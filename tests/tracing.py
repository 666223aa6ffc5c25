"""System calls of a command, seen and tampered with by strace: what it did, in which order, and what if one fails."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from inherited import environment

_LINE = re.compile(r"^(?P<pid>\d+) +(?P<rest>.*)$")
_WHOLE = re.compile(r"^(?P<name>\w+)\((?P<args>.*)\) += (?P<result>.*)$")
_BEGUN = re.compile(r"^(?P<name>\w+)\((?P<args>.*?) *<unfinished \.\.\.>$")
_RESUMED = re.compile(r"^<\.\.\. (?P<name>\w+) resumed>(?P<args>.*)\) += (?P<result>.*)$")


@dataclass(frozen=True)
class Call:
    """One system call. `begun` and `ended` are line numbers of the log: a call that ended before another has
    begun came first, whatever process made it."""

    pid: int
    name: str
    args: str
    result: str
    begun: int
    ended: int

    @property
    def succeeded(self) -> bool:
        return not self.result.startswith(("-1 ", "?"))

    @property
    def injected(self) -> bool:
        return "(INJECTED" in self.result


@dataclass
class Trace:
    """How a traced command ended, and its calls in the order in which they ended."""

    returncode: int
    stdout: str
    stderr: str
    calls: list[Call] = field(default_factory=list)

    def named(self, *names: str) -> list[Call]:
        return [call for call in self.calls if call.name in names]

    def touching(self, text: str) -> list[Call]:
        """Calls with this text in an argument; descriptors are shown with their paths."""
        return [call for call in self.calls if text in call.args]


class Strace:
    """Runs commands under strace.

    `calls` is strace's own expression (`desc,file`, `fsync,rename`, …). Each of `inject` is strace's too:
    `fsync:error=EIO:when=2`, `linkat:signal=KILL:when=1`, `write:error=ENOSPC:when=3+`. Some calls only
    happen in child processes: those are followed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._runs = 0

    def __call__(
        self,
        command: Sequence[str | Path],
        *,
        calls: str = "desc,file",
        inject: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout_seconds: float = 120,
    ) -> Trace:
        self._runs += 1
        log = self._folder / f"strace{self._runs}.log"
        injections = [part for text in inject for part in ("-e", f"inject={text}")]
        # seccomp: only the calls of interest stop the command, else a start takes seconds. strace 6.1 does not
        # inject signals with it.
        fast = [] if any(":signal=" in text for text in inject) else ["--seccomp-bpf"]
        output = ["-y", "-s", "4096", "-o", str(log)]
        flags = ["-f", *fast, "-e", f"trace={calls}", *injections, *output]
        variables = environment() | dict(env) if env else None
        done = subprocess.run(
            ["strace", *flags, *command],
            env=variables,
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
        )
        return Trace(done.returncode, done.stdout, done.stderr, read_log(log))


def read_log(log: Path) -> list[Call]:
    """The calls of a log made with `-f -o`; a call that was interrupted by others is put together again."""
    calls: list[Call] = []
    begun: dict[int, tuple[str, str, int]] = {}
    for number, line in enumerate(log.read_text(errors="surrogateescape").splitlines()):
        matched = _LINE.match(line)
        if matched and (call := _call(int(matched["pid"]), matched["rest"], number, begun)):
            calls.append(call)
    # What was begun and never ended was cut off by a kill.
    calls += [Call(pid, name, args, "?", at, at) for pid, (name, args, at) in begun.items()]
    return calls


def _call(pid: int, text: str, number: int, begun: dict[int, tuple[str, str, int]]) -> Call | None:
    if resumed := _RESUMED.match(text):
        name, args, at = begun.pop(pid, (resumed["name"], "", number))
        return Call(pid, name, args + resumed["args"], resumed["result"], at, number)
    if whole := _WHOLE.match(text):
        return Call(pid, whole["name"], whole["args"], whole["result"], number, number)
    if unfinished := _BEGUN.match(text):
        begun[pid] = (unfinished["name"], unfinished["args"], number)
    return None


@pytest.fixture
def strace(tmp_path: Path) -> Callable[..., Trace]:
    if not shutil.which("strace"):
        pytest.skip("strace is not installed; `setup/packages test` installs it as root")
    return Strace(tmp_path)
