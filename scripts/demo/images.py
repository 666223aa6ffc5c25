"""Images: a study that a scanner sends, which is de-identified, delivered to a folder, and sent on to an archive."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pydicom
import yaml
from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid

from installation import Installation, Row, free_port, say, shown

PACKAGES = ("dcmtk",)
_PROGRAMS = ("storescp", "storescu")
_START_SECONDS = 20
_LISTEN = "      listen: 127.0.0.1:"
_DEIDENTIFY = "    # deidentify: {profile: basic, dates: shift}\n"
_DELIVER = "      - to: ./images/{PatientID}/{StudyInstanceUID}\n"
_ARCHIVE = "      - to: dicom://ARCHIVE@127.0.0.1:{port}\n"
# pynetdicom puts programs of the same names into an activated environment.
_PATH = os.pathsep.join(each for each in os.get_exec_path() if Path(each) != Path(sys.executable).parent)
# No delay for dcmtk's small packets.
_ENVIRONMENT = {**os.environ, "TCP_NODELAY": "1", "PATH": _PATH}
_PATIENT = "Sample^CT"
_STUDY = generate_uid(entropy_srcs=["demonstration"])
_SERIES = {"CT": ("CT_small.dcm", 5), "MR": ("MR_small.dcm", 3)}


class Archive:
    """dcmtk's storescp, in the place of a hospital's archive."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "images"
        self._port = folder / "port"

    @property
    def port(self) -> int:
        return int(self._port.read_text())

    def make(self) -> None:
        self.folder.mkdir(parents=True)
        self._port.write_text(str(free_port()))

    @contextmanager
    def running(self) -> Iterator[None]:
        """It ends with the block."""
        command = [
            _program("storescp"),
            "-aet",
            "ARCHIVE",
            "--bit-preserving",
            "-od",
            str(self.folder),
            str(self.port),
        ]
        with (self.folder.parent / "log").open("ab") as log:
            process = subprocess.Popen(
                command, env=_ENVIRONMENT, stdout=log, stderr=log, start_new_session=True
            )
        try:
            _wait_for(self.port, process)
            yield
        finally:
            process.kill()  # it ends at once only so
            process.wait(20)


def missing() -> list[str]:
    """The Debian packages that are not there."""
    return [] if all(shutil.which(program, path=_PATH) for program in _PROGRAMS) else list(PACKAGES)


def _program(name: str) -> str:
    return str(shutil.which(name, path=_PATH))


def prepare(installation: Installation) -> Archive:
    """Once: the archive, and a route that de-identifies and sends on to it."""
    archive = Archive(installation.folder / "archive")
    if archive.folder.exists():
        return archive
    archive.make()
    text = installation.config.read_text()
    text = text.replace(_DEIDENTIFY, _DEIDENTIFY.replace("# ", "", 1))
    text = text.replace(_LISTEN, f"      quiet: 2s\n{_LISTEN}")
    text = text.replace(_DELIVER, _ARCHIVE.format(port=archive.port) + _DELIVER)
    installation.config.write_text(text)
    return archive


def demonstrate(installation: Installation, archive: Archive) -> None:
    """Send a study as a scanner does, and show what became of it."""
    before = installation.ids()
    say("[bold]Images.[/bold] A scanner sends a study of two series by C-STORE, here with dcmtk's storescu.")
    _store(installation, _study(installation.folder / "dicom" / ".outgoing"))
    (arrival,) = installation.wait_for_arrivals({_STUDY}, before)
    _show(installation, arrival)
    kept = [path.read_bytes() for path in archive.folder.iterdir()]
    named = sum(_PATIENT.encode() in file for file in kept)
    say(f"The archive has {len(kept)} images; the patient's name, {_PATIENT}, is in {named} of them.\n")


def _study(folder: Path) -> Path:
    """The files that a scanner would send: pydicom's images, with numbers of their own."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for modality, (name, count) in _SERIES.items():
        for number in range(1, count + 1):
            image = pydicom.dcmread(str(get_testdata_file(name, download=False)))
            image.PatientName, image.PatientID, image.StudyInstanceUID = _PATIENT, "1CT1", _STUDY
            image.SeriesInstanceUID = generate_uid(entropy_srcs=[modality])
            image.SOPInstanceUID = generate_uid(entropy_srcs=[modality, str(number)])
            image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
            image.InstanceNumber, image.ImagesInAcquisition = number, count
            image.ImagePositionPatient = [0, 0, number * 2.5]
            image.save_as(folder / f"{modality}{number}.dcm")
    return folder


def _store(installation: Installation, folder: Path) -> None:
    receive = yaml.safe_load(installation.config.read_text())["routes"]["dicom"]["receive"]
    host, _, port = receive["listen"].rpartition(":")
    command = [_program("storescu"), "-aet", "MR1", "-aec", receive["aet"], "+sd", host, port, str(folder)]
    subprocess.run(command, env=_ENVIRONMENT, check=True, timeout=60)


def _show(installation: Installation, arrival: Row) -> None:
    say(f"[bold]{arrival['name']}[/bold], sent by {arrival['sender']}: {arrival['state']}")
    for event in installation.listing("events", "--arrival", arrival["id"], "--kind", "images-recorded"):
        for series in event["data"]["series"]:
            say(f"  {series['modality']}, {series['instances']} images: {series['verdict']}")
            say(f"      {'; '.join(series['evidence'])}", style="dim")
    rows = [row for row in installation.listing("history") if row["arrival"] == arrival["id"]]
    for place in sorted({row["destination"] for row in rows}):
        there = shown(Path(place)) if place.startswith("/") else place
        say(f"  → {there}", soft_wrap=True)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    end, tick = time.monotonic() + _START_SECONDS, threading.Event()
    while time.monotonic() < end and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        except OSError:
            tick.wait(0.05)
        else:
            return
    raise SystemExit("storescp did not start. Another DEMO=folder has an archive of its own.")
