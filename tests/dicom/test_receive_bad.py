"""What a receiver does with senders that break off, break the protocol, or may not send; and on a full disk."""

from __future__ import annotations

import io
import os
import random
import signal
import socket
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.uid import UID, ExplicitVRLittleEndian
from pynetdicom import AE, build_context
from pynetdicom.association import Association

from dicom.images import STUDY_UID, image, series
from dicom.receiver import AET, Receiver, write_files
from dropslot.config.load_config import from_mapping
from dropslot.dicom.receiving.associations import Incoming
from dropslot.dicom.receiving.dicom_listener import Listener
from dropslot.dicom.receiving.process import by_address
from dropslot.dicom.receiving.refused_associations import Refusals
from dropslot.dicom.receiving.relay import Begin, Relay
from mounts import Mounts
from ports import free_port
from product import STUDY, Product
from waiting import wait_until

# pynetdicom's own client leaves the socket of a connection that was cut to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
MOST_MEMORY_KB = 250_000


def send(association: Association, number: int, **values: object) -> int:
    """The status of the answer to a C-STORE; -1: there was none."""
    with pydicom.config.disable_value_validation():
        answer = association.send_c_store(pydicom.dcmread(io.BytesIO(image(number, **values))))
    return int(answer.get("Status", -1))


def gives_up(association: Association, sender: threading.Thread) -> bool:
    """pynetdicom would wait for an answer for another 30 s after the end of the connection."""
    association.dimse.msg_queue.put((None, None))
    return not sender.is_alive()


def established(receiver: Receiver) -> Association | None:
    association = receiver.associate()
    return association if association.is_established else None


def delivered(product: Product) -> list[str]:
    return sorted(Path(name).stem for name in product.delivered())


def test_only_who_may_send_and_only_what_is_right_is_taken(sqlite_product: Product, tmp_path: Path) -> None:
    receiver = Receiver(
        sqlite_product, allow=[{"aet": "MR1", "host": "127.0.0.0/8"}, {"host": "10.1.1.1"}], maximum=2
    )
    (file,) = write_files(tmp_path / "files", series(1))
    receiver.start()
    assert "Calling AE Title Not Recognized" in receiver.store(file, calling="OTHER").stderr
    assert "Called AE Title Not Recognized" in receiver.store(file, called="WRONG").stderr
    first, second = receiver.associate(), receiver.associate()
    # pynetdicom as a caller sometimes takes the end of the connection for an abort, though it was rejected.
    assert not receiver.associate().is_established
    assert send(first, 1, SOPInstanceUID="../../../tmp/x") == 0x0117
    for association in (first, second):
        association.abort()
    again = wait_until(lambda: established(receiver), what="room for an association")
    assert again is not None
    assert send(again, 2) == 0
    again.release()
    sqlite_product.wait_for_state(STUDY_UID, "done")
    assert not list(sqlite_product.folder("inbox").iterdir())


def refusals(product: Product) -> list[dict[str, Any]]:
    return [row["data"] for row in product.listing("events", "--kind", "associations-refused")]


def test_a_flood_of_refused_associations_is_few_events_that_count_them_all(product: Product) -> None:
    receiver = Receiver(product, allow=[{"aet": "MR1", "host": "127.0.0.0/8"}])
    service = receiver.start()
    assert "Called AE Title Not Recognized" in receiver.echo("WRONG").stderr
    (first,) = wait_until(lambda: refusals(product), what="the first event")
    caller = {"aet": "MR1", "host": "127.0.0.1", "called": "WRONG", "count": 1}
    assert first["count"] == 1 and first["callers"][0] | caller == first["callers"][0]
    for number in range(50):
        # pynetdicom as a caller sometimes takes the end of the connection for an abort, though it was rejected.
        assert not receiver.associate(f"SCAN{number}").is_established
    assert not receiver.associate("SCAN1").is_established
    assert refusals(product) == [first]
    service.terminate()
    service.wait(60)
    _, rest = refusals(product)
    assert (rest["count"], rest["others"], len(rest["callers"])) == (51, 30, 20)
    assert [one["count"] for one in rest["callers"] if one["aet"] == "SCAN1"] == [2]
    assert all("`allow`" in one["why"] for one in rest["callers"])


def test_a_private_storage_class_is_taken_if_the_configuration_names_it(sqlite_product: Product) -> None:
    private = UID("1.3.12.2.1107.5.9.1")
    for classes, is_taken in (([], False), ([str(private)], True)):
        receiver = Receiver(sqlite_product, storage_classes=classes)
        service = receiver.start()
        association = AE("MR1").associate(
            "127.0.0.1", receiver.port, [build_context(private, ExplicitVRLittleEndian)], "DROPSLOT"
        )
        assert association.is_established is is_taken
        if is_taken:
            assert send(association, 1, SOPClassUID=private) == 0
            association.release()
            sqlite_product.wait_for_state(STUDY_UID, "done")
        service.terminate()
        service.wait(60)
    assert len(delivered(sqlite_product)) == 1
    sqlite_product.configure({"study": STUDY | {"import": "dicom", "receive": {"storage_classes": ["CT"]}}})
    assert "the UID of a SOP class" in sqlite_product.run("arrivals", status=2).stderr


def test_an_address_that_another_program_has_is_waited_for_in_plain_words(sqlite_product: Product) -> None:
    receiver = Receiver(sqlite_product)
    with socket.socket() as other:
        other.bind(("127.0.0.1", receiver.port))
        other.listen()
        sqlite_product.run("start_watcher")
        errors = sqlite_product.root / "var/watcher.err"
        said = f"The DICOM receiver cannot listen on 127.0.0.1:{receiver.port}: Address already in use."
        wait_until(lambda: said in errors.read_text(), what="the reason")
        assert "Traceback" not in errors.read_text()
    receiver.wait_for_answer()
    sqlite_product.run("stop_watcher")


def test_what_was_acknowledged_is_delivered_after_an_abort_and_after_a_kill(sqlite_product: Product) -> None:
    receiver = Receiver(sqlite_product)
    receiver.start()
    association = receiver.associate()
    assert [send(association, number) for number in (1, 2)] == [0, 0]
    connection = association.dul.socket.socket  # type: ignore[union-attr]
    whole = image(3)
    pdv = len(whole).to_bytes(4) + bytes((1, 0)) + whole
    assert connection is not None
    connection.sendall(b"\x04\0" + len(pdv).to_bytes(4) + pdv[:20000])
    association.abort()
    sqlite_product.wait_for_state(STUDY_UID, "done")
    assert len(delivered(sqlite_product)) == 2
    assert receiver.events()[0] | {"ended": "aborted", "instances": 2} == receiver.events()[0]

    acknowledged: list[int] = []
    association = receiver.associate()
    pid = receiver.pid()

    def send_many() -> None:
        with suppress(Exception):
            for number in range(100, 400):
                if send(association, number, StudyInstanceUID="1.2.3") == 0:
                    acknowledged.append(number)

    sender = threading.Thread(target=send_many)
    sender.start()
    wait_until(lambda: len(acknowledged) > 10, what="10 acknowledged images")
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: gives_up(association, sender), what="the sender's end")
    association.join(60)  # it has the socket until then
    assert len(acknowledged) < 300
    receiver.wait_for_answer()
    arrival = sqlite_product.wait_for_state("1.2.3", "done")
    assert len(acknowledged) <= arrival["items"] <= len(acknowledged) + 1
    wanted = {str(pydicom.dcmread(io.BytesIO(image(number))).SOPInstanceUID) for number in acknowledged}
    assert wanted <= set(delivered(sqlite_product))
    assert receiver.events()[-1]["ended"] == "interrupted"
    assert receiver.events()[-1]["instances"] == arrival["items"]
    assert not list(sqlite_product.folder("inbox").iterdir())


def test_the_same_instance_is_kept_once_and_other_bytes_beside_it(sqlite_product: Product) -> None:
    receiver = Receiver(sqlite_product)
    receiver.start()
    association = receiver.associate()
    assert [send(association, 1), send(association, 1), send(association, 1, PatientName="Other")] == [
        0,
        0,
        0,
    ]
    association.release()
    assert sqlite_product.wait_for_state(STUDY_UID, "done")["items"] == 2
    assert [name.removesuffix(".2") for name in delivered(sqlite_product)] == [
        str(pydicom.dcmread(io.BytesIO(image(1))).SOPInstanceUID)
    ] * 2


def test_a_full_disk_is_a_failure_and_what_was_acknowledged_before_is_delivered(
    sqlite_product: Product, mounts: Mounts, tmp_path: Path
) -> None:
    disk = mounts.tmpfs("2m")
    receiver = Receiver(sqlite_product, {"folders": str(disk)})
    for name in ("inbox", "processing", "done", "failed"):
        (disk / name).mkdir()
    files = write_files(tmp_path / "files", series(100))
    receiver.start()
    said = receiver.store(*files, options=["-v", "--no-halt"])
    answers = [line for line in (said.stdout + said.stderr).splitlines() if "Received Store Response" in line]
    taken = sum("Success" in line for line in answers)
    refused = sum("OutOfResources" in line for line in answers)
    assert taken > 10
    assert refused > 10
    assert taken + refused == 100
    assert sqlite_product.wait_for_state(STUDY_UID, "done")["items"] == taken
    (event,) = receiver.events()
    assert (event["instances"], event["failures"]) == (taken, refused)
    assert not list((disk / "inbox").iterdir())


def mutated(chance: random.Random, request: bytes) -> bytes:
    data = bytearray(request)
    for _ in range(chance.randint(1, 8)):
        data[chance.randrange(len(data))] = chance.randrange(256)
    return bytes(data[: chance.randint(1, len(data))] if chance.random() < 0.3 else data)


def captured(receiver: Receiver, file: Path) -> list[bytes]:
    """What storescu sends, PDU by PDU, up to its first data; the receiver answers as usual."""
    pdus: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        relay = threading.Thread(target=_relay, args=(server, receiver.port, pdus))
        relay.start()
        with suppress(Exception):
            receiver.store(file, port=port)
        relay.join(60)
    return pdus


def _relay(server: socket.socket, port: int, sent: list[bytes]) -> None:
    client, _ = server.accept()
    with client, socket.create_connection(("127.0.0.1", port)) as receiver:
        for end in (client, receiver):
            end.settimeout(0.05)
        while True:
            for source, target, log in ((client, receiver, sent), (receiver, client, [])):
                try:
                    data = source.recv(1 << 20)
                except TimeoutError:
                    continue
                if not data:
                    return
                log.append(data)
                target.sendall(data)


@pytest.mark.crash
@pytest.mark.parametrize("seed", range(2))
def test_no_bytes_stop_the_receiver_or_fill_its_memory(
    sqlite_product: Product, tmp_path: Path, seed: int
) -> None:
    receiver = Receiver(sqlite_product, idle="1s")
    (file,) = write_files(tmp_path / "files", series(1))
    receiver.start()
    chance, pid = random.Random(seed), receiver.pid()
    good = captured(receiver, file)
    assert len(good) > 2
    claims_4_gb = b"\x04\0\xff\xff\xff\xff\xff\xff\xff\xf0\x01\x01"
    for number in range(60):
        with (
            suppress(OSError),
            socket.create_connection(("127.0.0.1", receiver.port), timeout=5) as connection,
        ):
            connection.settimeout(0.2)
            if number % 3 == 0:
                connection.sendall(chance.randbytes(chance.randint(1, 2000)))
            elif number % 3 == 1:
                connection.sendall(mutated(chance, good[0]))
            else:
                connection.sendall(good[0])
                connection.recv(1 << 16)
                end = (
                    claims_4_gb
                    if chance.random() < 0.3
                    else b"".join(mutated(chance, pdu) for pdu in good[1:3])
                )
                connection.sendall(end)
                connection.sendall(chance.randbytes(1 << 20))
            connection.recv(1 << 16)
    wait_until(
        lambda: receiver.store(file).returncode == 0, deadline_seconds=60, what="room for an association"
    )
    assert receiver.pid() == pid
    status = Path(f"/proc/{pid}/status").read_text()
    assert int(status.partition("VmHWM:")[2].split()[0]) < MOST_MEMORY_KB
    wait_until(
        lambda: int(Path(f"/proc/{pid}/status").read_text().partition("Threads:")[2].split()[0]) < 6,
        what="the end of the threads of broken associations",
    )
    sqlite_product.wait_for_state(STUDY_UID, "done")


def test_a_connection_that_has_not_begun_is_not_taken_for_one_that_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is over is looked for five times a second, by another thread."""
    port = free_port()
    route = {"folders": "./study", "import": "dicom", "receive": {"aet": AET, "listen": f"127.0.0.1:{port}"}}
    config = from_mapping({"data": "./var", "routes": {"study": STUDY | route}}, tmp_path)
    (listen, shared), *_ = by_address(config).items()
    listener = Listener(listen, shared, Refusals())
    over: list[Incoming] = []
    begin = Relay.relay

    def looked_at_meanwhile(relay: Relay, data_sets: Begin) -> None:
        over.extend(listener.ended())
        begin(relay, data_sets)

    monkeypatch.setattr(Relay, "relay", looked_at_meanwhile)
    listener.start()
    try:
        command = ["echoscu", "-aec", AET, "127.0.0.1", str(port)]
        assert subprocess.run(command, timeout=60, check=False).returncode == 0
        assert over == []
    finally:
        listener.stop()
