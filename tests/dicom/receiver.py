"""A product with a DICOM receiver, and dcmtk's programs that send to it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, build_context
from pynetdicom.association import Association

from ports import free_port
from product import STUDY, Product
from waiting import wait_until

AET = "DROPSLOT"
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"


class Receiver:
    """The route `study` receives. `run` is started by `start`."""

    def __init__(self, product: Product, route: Mapping[str, Any] | None = None, **keys: Any) -> None:
        """`keys` of `receive`; `route`: other keys of the route."""
        self.product = product
        self.port = free_port()
        receive = {"aet": AET, "listen": f"127.0.0.1:{self.port}", "quiet": "300ms"} | keys
        made = STUDY | {"import": "dicom", "takes": "directories", "receive": receive} | dict(route or {})
        self.routes = {"study": made}
        product.configure(self.routes, locations={"MR1": "Scanner room 1"})

    def start(self) -> subprocess.Popen[str]:
        """Start the service, and wait until it answers."""
        process = self.product.start("run")
        self.wait_for_answer()
        return process

    def wait_for_answer(self) -> None:
        wait_until(lambda: not self.echo().returncode, deadline_seconds=60, what="an answer to a C-ECHO")

    def echo(self, called: str = AET, *options: str) -> subprocess.CompletedProcess[str]:
        return self._dcmtk("echoscu", "-aet", "MR1", "-aec", called, *options, "127.0.0.1", str(self.port))

    def store(
        self,
        *paths: Path,
        calling: str = "MR1",
        called: str = AET,
        options: Sequence[str] = (),
        port: int = 0,
    ) -> subprocess.CompletedProcess[str]:
        """Send files in one association."""
        titles = ("-aet", calling, "-aec", called)
        return self._dcmtk(
            "storescu", *options, *titles, "127.0.0.1", str(port or self.port), *map(str, paths)
        )

    def associate(self, calling: str = "MR1", called: str = AET) -> Association:
        """An association for CT images, which the test sends one by one."""
        entity = AE(calling)
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 30
        made = entity.associate(
            "127.0.0.1", self.port, [build_context(CT_IMAGE, ExplicitVRLittleEndian)], called, max_pdu=16384
        )
        # pynetdicom sometimes leaves the socket of one that was rejected to the collector of garbage.
        if not made.is_established and made.dul.socket:
            made.dul.socket.close()
        return made

    def events(self) -> list[dict[str, Any]]:
        """What is recorded of associations."""
        return [event["data"] for event in self.product.listing("events", "--kind", "received")]

    def pid(self) -> int:
        """The process that receives: the one that listens at the port."""
        said = subprocess.run(
            ["ss", "-Htlnp", f"sport = :{self.port}"], capture_output=True, text=True, timeout=20, check=True
        ).stdout
        return int(said.partition("pid=")[2].partition(",")[0])

    def _dcmtk(self, *words: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"TCP_NODELAY": "1"}
        return subprocess.run(words, capture_output=True, text=True, timeout=60, env=environment, check=False)


def write_files(folder: Path, files: Mapping[str, bytes]) -> list[Path]:
    """Files for a sender, in order."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return [folder / name for name in files]
