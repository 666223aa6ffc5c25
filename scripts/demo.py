"""What `make run` shows: dropslot at work on real CT, MR, ultrasound and NIfTI files, in a folder of its own.

Everything goes through the commands that an operator has: init, run, arrivals, history. Run again on the same folder
it sends the same files again, which are then recorded as unchanged.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import nibabel
import pydicom
from pydicom.data import get_testdata_file
from rich.console import Console

DEADLINE_SECONDS = 90
_NIFTI = Path(nibabel.__file__).parent / "tests" / "data"
_FIRST = {
    "heart-scanner1-visit1": {
        "ct/CT_small.dcm": "CT_small.dcm",
        "mr/MR_small.dcm": "MR_small.dcm",
    },
    "heart-pc17-visit2": {"us/echo.dcm": "examples_ybr_color.dcm"},
    "brain-scanner1-visit1": {
        "anatomical.nii": "anatomical.nii",
        "epi/phantom.PAR": "phantom_EPI_asc_CLEAR_2_1.PAR",
        "epi/phantom.REC": "phantom_EPI_asc_CLEAR_2_1.REC",
    },
}
_CORRECTED = "heart-scanner1-visit1-corrected"
_say = Console(highlight=False, soft_wrap=True).print


class Demonstration:
    """One folder made by `dropslot init`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.inbox = folder / "study" / "inbox"
        # On the inbox's file system, so that the last step of a drop is one rename.
        self._outgoing = folder / "study" / ".outgoing"

    def command(self, *args: str) -> list[str]:
        return [sys.executable, "-m", "dropslot", *args, "-c", str(self.folder / "config.yaml")]

    def listing(self, *args: str) -> list[dict[str, Any]]:
        done = subprocess.run(self.command(*args, "--json"), capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"dropslot {args[0]} failed:\n{done.stderr}")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def prepare(self) -> None:
        """Make the folder; one that an earlier demonstration made is used again."""
        if not (self.folder / "config.yaml").exists():
            init = [sys.executable, "-m", "dropslot", "init", str(self.folder), "--recipe", "study"]
            subprocess.run(init, check=True, stdout=subprocess.DEVNULL)
            _say(f"Made {_shown(self.folder)}: config.yaml, and the folders with their modes.")
        shutil.rmtree(self._outgoing, ignore_errors=True)
        self._outgoing.mkdir()

    def send(self, name: str, files: dict[str, Path]) -> None:
        """As a careful sender does: written elsewhere, then renamed into the inbox, whole."""
        folder = self._outgoing / name
        for path, source in files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
        folder.rename(self.inbox / name)

    def corrected_scan(self) -> Path:
        """The CT image with a corrected description: other content under a name that has been delivered."""
        changed = self._outgoing / "CT_small.dcm"
        image = pydicom.dcmread(_sample("CT_small.dcm"))
        image.StudyDescription = "corrected at the scanner"
        image.save_as(changed)
        return changed


def _sample(name: str) -> Path:
    if (_NIFTI / name).exists():
        return _NIFTI / name
    found = get_testdata_file(name, download=False)
    if not found:
        raise SystemExit(f"the sample file {name} is not in this version of pydicom")
    return Path(str(found))


@contextmanager
def _running(demonstration: Demonstration) -> Iterator[subprocess.Popen[bytes]]:
    """The product in the foreground; it ends with us."""
    with (demonstration.folder / "run.log").open("ab") as log:
        process = subprocess.Popen(demonstration.command("run"), stdout=log, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _wait_until_finished(demonstration: Demonstration, run: subprocess.Popen[bytes], count: int) -> None:
    """Wait until `count` arrivals are done or failed; ends the demonstration when they are not in time."""
    end = time.monotonic() + DEADLINE_SECONDS
    tick = threading.Event()
    while time.monotonic() < end and run.poll() is None:
        states = [arrival["state"] for arrival in demonstration.listing("arrivals")]
        if sum(state in ("done", "failed") for state in states) >= count:
            return
        tick.wait(0.3)
    log = (demonstration.folder / "run.log").read_text()[-2000:]
    raise SystemExit(f"The arrivals did not finish; the end of {demonstration.folder}/run.log:\n{log}")


def _show_history(deliveries: Sequence[dict[str, Any]]) -> None:
    for name, items in groupby(deliveries, key=itemgetter("name")):
        _say(f"[bold]{name}[/bold]")
        for item in items:
            stored = _shown(Path(item["destination"]) / item["stored_as"])
            _say(f"  {item['item']} → {stored}")
            _say(
                f"      version {item['version']}, {item['outcome']}, sha256 {item['sha256'][:16]}…",
                style="dim",
            )


def _shown(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _show_next_steps(demonstration: Demonstration) -> None:
    config = _shown(demonstration.folder / "config.yaml")
    inbox = _shown(demonstration.inbox)
    _say(f"""
[bold]dropslot is running.[/bold] Its log is {_shown(demonstration.folder)}/run.log. Try next, in another terminal:

  cp -r SOME_FOLDER {inbox}/heart-me-first
  .venv/bin/dropslot history -c {config}
  .venv/bin/dropslot latest study -c {config}
  .venv/bin/dropslot verify --fixity -c {config}

The first is delivered once it has been quiet for 5 s; the others show what went where, the newest version of each
file, and that every delivered file still is what it was.

An arrival whose name does not begin with a study's goes to failed, whole, beside its REASON.txt.
Ctrl-C ends it; `make run` starts it again with the same folder.""")


def _demonstrate(demonstration: Demonstration, run: subprocess.Popen[bytes]) -> None:
    before = {arrival["id"] for arrival in demonstration.listing("arrivals")}
    _say("Sending three arrivals: CT and MR images, an ultrasound, and a NIfTI with a PAR/REC scan.")
    for name, files in _FIRST.items():
        demonstration.send(name, {path: _sample(sample) for path, sample in files.items()})
    _wait_until_finished(demonstration, run, len(before) + len(_FIRST))
    _say("Sending one of the images again, corrected, under the name it had.\n")
    demonstration.send(_CORRECTED, {"ct/CT_small.dcm": demonstration.corrected_scan()})
    _wait_until_finished(demonstration, run, len(before) + len(_FIRST) + 1)
    _show_history([row for row in demonstration.listing("history") if row["arrival"] not in before])
    _say("\nNothing was overwritten: the corrected image lies beside the first one, as version 2.")
    _show_next_steps(demonstration)


def main() -> None:
    """Make the folder named by the first argument, deliver into it, and stay until Ctrl-C."""
    demonstration = Demonstration(Path(sys.argv[1] if len(sys.argv) > 1 else "demo").resolve())
    demonstration.prepare()
    try:
        with _running(demonstration) as run:
            _demonstrate(demonstration, run)
            sys.exit(run.wait())
    except KeyboardInterrupt:
        _say("\ndropslot has stopped; nothing is lost.")


if __name__ == "__main__":
    main()
