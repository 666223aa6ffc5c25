"""The folder that the demonstration works in, made and driven by the commands that an operator has."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

DEADLINE_SECONDS = 90
say = Console(highlight=False, soft_wrap=True).print
Row = dict[str, Any]


class Installation:
    """One folder made by `dropslot init --recipe all`; one that an earlier demonstration made is used again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "config.yaml"
        self._run: subprocess.Popen[bytes] | None = None

    def command(self, *args: str) -> list[str]:
        return [sys.executable, "-m", "dropslot", *args, "-c", str(self.config)]

    def listing(self, *args: str) -> list[Row]:
        """The lines of a listing. Ends the demonstration when the command fails."""
        done = subprocess.run(self.command(*args, "--json"), capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"dropslot {args[0]} failed:\n{done.stderr}")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def make(self) -> None:
        """Have `init` make the folder, unless it is there."""
        if not self.config.exists():
            init = [sys.executable, "-m", "dropslot", "init", str(self.folder), "--recipe", "all"]
            subprocess.run(init, check=True, stdout=subprocess.DEVNULL)
            text = self.config.read_text()  # another demonstration may listen on the usual port
            self.config.write_text(
                text.replace("listen: 127.0.0.1:11112\n", f"listen: 127.0.0.1:{free_port()}\n")
            )
            say(f"Made {shown(self.folder)}: config.yaml, and the folders with their modes.")

    @contextmanager
    def running(self) -> Iterator[None]:
        """The product in the foreground; it ends with us."""
        with (self.folder / "run.log").open("ab") as log:
            self._run = subprocess.Popen(self.command("run"), stdout=log, stderr=subprocess.STDOUT)
        try:
            yield
        finally:
            self._run.terminate()
            self._run.wait(30)

    def ended(self) -> int:
        """Wait until the product ends; its exit status."""
        assert self._run
        return self._run.wait()

    def wait_for_arrivals(self, names: set[str], before: set[str]) -> list[Row]:
        """Those of the named arrivals that came since `before` (ids), when all of them are done or failed."""

        def finished() -> list[Row] | None:
            rows = [row for row in self.listing("arrivals") if row["id"] not in before]
            ended = [row for row in rows if row["name"] in names and row["state"] in ("done", "failed")]
            return ended if len(ended) == len(names) else None

        return self.wait_for(finished, "The arrivals did not finish")

    def wait_for(self, look: Callable[[], list[Row] | None], otherwise: str) -> list[Row]:
        """What `look` gives at last; ends the demonstration when that is not in time."""
        end = time.monotonic() + DEADLINE_SECONDS
        tick = threading.Event()
        while time.monotonic() < end and self._run and self._run.poll() is None:
            if (found := look()) is not None:
                return found
            tick.wait(0.3)
        log = self.folder / "run.log"
        raise SystemExit(f"{otherwise}; the end of {log}:\n{log.read_text()[-2000:]}")

    def ids(self) -> set[str]:
        """Of all arrivals so far."""
        return {row["id"] for row in self.listing("arrivals")}


def free_port() -> int:
    """A loopback port that nobody has."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def shown(path: Path) -> str:
    """As short as it can be typed here."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
