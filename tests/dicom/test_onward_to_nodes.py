"""Onward to DICOM nodes by C-STORE: Orthanc and storescp get every byte of each data set, or the arrival waits."""

from __future__ import annotations

import io
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest
from pynetdicom import build_context
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from certificates import make_certificate
from dicom.images import image, series
from dicom.samples import sample
from dropslot.core.addressing.dicom_addresses import parse_node
from dropslot.destinations.base import COMMITTED, LISTS_INSTANCES, ONLY_ACKNOWLEDGED, SAID
from dropslot.destinations.dicom.association import associated
from dropslot.destinations.dicom.peers import Peer
from dropslot.dicom_files.file_meta import data_set_begins_at
from nodes import Orthanc, Storescp
from ports import free_port
from product import STUDY, Product
from waiting import wait_until

pytestmark = pytest.mark.usefixtures("drains_try_once")

# Orthanc writes the sequences of these anew.
WITH_SEQUENCES = ("reportsi.dcm", "liver.dcm", "JPEG2000.dcm", "JPEG-lossy.dcm")
ENCODED_DIFFERENTLY = (
    "ExplVR_BigEnd.dcm",
    "MR_small_implicit.dcm",
    "SC_rgb_rle.dcm",
    *WITH_SEQUENCES,
)


def data_set(file: bytes) -> bytes:
    start = data_set_begins_at(io.BytesIO(file))
    assert start is not None
    return file[start:]


def data_sets(files: Any) -> list[bytes]:
    return sorted(data_set(file) for file in files)


def configure(product: Product, to: str, **keys: Any) -> Product:
    """A route to a folder and to a node."""
    return product.configure({"study": STUDY | {"deliver": [{"to": "./studies"}, {"to": to, **keys}]}})


def guarantees(product: Product) -> list[str]:
    import json

    receipt, _ = json.JSONDecoder().raw_decode(product.run("receipt", product.arrivals()[-1]["id"]).stdout)
    return list(receipt["guarantees"])


def reasons(product: Product) -> str:
    return " ".join(product.arrivals()[-1]["reason"])


def again(product: Product) -> None:
    product.run("retry", product.arrivals()[-1]["id"], status=None)
    product.drain()


def test_orthanc_gets_every_byte_of_each_encoding_and_lists_it(product: Product, orthanc: Orthanc) -> None:
    configure(product, orthanc.to, verify="find")
    images = [name for name in ENCODED_DIFFERENTLY if name not in WITH_SEQUENCES]
    files = {name: sample(name).read_bytes() for name in images} | series(3)
    product.drop("visit1", files)
    product.drain()
    assert product.delivered() == {f"{name}": data for name, data in files.items()}
    assert data_sets(orthanc.files().values()) == data_sets(files.values())
    said = guarantees(product)
    assert f"{LISTS_INSTANCES}: {orthanc.to}" in said
    assert not [line for line in said if line.startswith((ONLY_ACKNOWLEDGED, SAID))]
    product.drop("visit1", files)
    product.drain()
    assert {row["outcome"] for row in product.history() if row["destination"] == orthanc.to} == {
        "delivered",
        "unchanged",
    }


def test_storescp_gets_every_byte_of_each_encoding_and_kind(
    sqlite_product: Product, make_storescp: Callable[..., Storescp]
) -> None:
    node = make_storescp("--accept-all")
    configure(sqlite_product, node.to)
    files = {name: sample(name).read_bytes() for name in ENCODED_DIFFERENTLY}
    sqlite_product.drop("visit1", files)
    sqlite_product.drain()
    assert data_sets(node.files()) == data_sets(files.values())


def test_orthanc_commits_itself_on_a_connection_of_its_own(
    sqlite_product: Product, make_orthanc: Callable[..., Orthanc]
) -> None:
    port = free_port()
    orthanc = make_orthanc(DicomModalities={"us": ["LAB", "127.0.0.1", port]})
    configure(
        sqlite_product, orthanc.to, verify="commitment", aet="LAB", commitment_listen=f"127.0.0.1:{port}"
    )
    sqlite_product.drop("visit1", series(3))
    sqlite_product.drain()
    assert f"{COMMITTED}: {orthanc.to}" in guarantees(sqlite_product)
    assert data_sets(orthanc.files().values()) == data_sets(series(3).values())


def test_what_no_node_takes_is_refused_before_anything_is_delivered(
    sqlite_product: Product, make_storescp: Callable[..., Storescp]
) -> None:
    node = make_storescp("--accept-all")
    configure(sqlite_product, node.to)
    files = {
        "1.dcm": image(1),
        "again.dcm": image(1, PatientID="P-18"),
        "readme.txt": b"of the disc",
        "DICOMDIR": sample("DICOMDIR").read_bytes(),
        "cut.dcm": image(2)[:140],
    }
    sqlite_product.drop("disc", files)
    sqlite_product.drain(status=None)
    found = reasons(sqlite_product)
    assert sqlite_product.arrivals()[-1]["state"] == "failed"
    assert "DICOMDIR cannot be sent as DICOM: it is a DICOMDIR" in found
    assert "readme.txt cannot be sent as DICOM: it is not DICOM" in found
    assert "`ignore`" in found
    assert (node.files(), sqlite_product.delivered()) == ([], {})
    sqlite_product.drop("twice", {name: files[name] for name in ("1.dcm", "again.dcm")})
    sqlite_product.drain(status=None)
    assert "are one instance with different bytes" in reasons(sqlite_product)
    sqlite_product.drop("odd", {"deflated.dcm": sample("image_dfl.dcm").read_bytes()})
    sqlite_product.drain(status=None)
    assert "odd number of bytes" in reasons(sqlite_product)
    assert (node.files(), sqlite_product.delivered()) == ([], {})


def test_litter_of_a_disc_is_left_out_by_ignore(
    sqlite_product: Product, make_storescp: Callable[..., Storescp]
) -> None:
    node = make_storescp()
    route = STUDY | {"deliver": [{"to": node.to}], "ignore": ["DICOMDIR", "*.txt"]}
    sqlite_product.configure({"study": route})
    sqlite_product.drop("disc", {**series(1), "readme.txt": b"x", "DICOMDIR": b"y"})
    sqlite_product.drain()
    assert data_sets(node.files()) == data_sets(series(1).values())
    assert f"{ONLY_ACKNOWLEDGED}: {node.to}" in guarantees(sqlite_product)


def test_a_transfer_syntax_that_is_not_accepted_is_named_and_nothing_is_delivered(
    sqlite_product: Product, make_storescp: Callable[..., Storescp]
) -> None:
    node = make_storescp("--implicit")
    configure(sqlite_product, node.to)
    sqlite_product.drop("visit1", {"j2k.dcm": sample("JPEG2000.dcm").read_bytes(), **series(1)})
    sqlite_product.drain(status=1)
    assert sqlite_product.arrivals()[-1]["state"] == "retrying"
    assert "does not accept" in reasons(sqlite_product)
    assert "in JPEG 2000" in reasons(sqlite_product)
    assert (node.files(), sqlite_product.delivered()) == ([], {})


def test_a_node_without_room_is_told_by_its_status_and_follows(
    sqlite_product: Product, make_storescp: Callable[..., Storescp]
) -> None:
    node = make_storescp("-pdu", "4096")
    node.stored.rmdir()
    configure(sqlite_product, node.to)
    sqlite_product.drop("visit1", series(2))
    sqlite_product.drain(status=1)
    assert "A700, out of resources" in reasons(sqlite_product)
    assert sqlite_product.delivered() == series(2)  # the other destination does not wait
    node.stored.mkdir()
    again(sqlite_product)
    assert data_sets(node.files()) == data_sets(series(2).values())


@pytest.mark.parametrize("when", ["--abort-after", "--abort-during"])
def test_an_association_that_is_cut_is_no_success(
    sqlite_product: Product, make_storescp: Callable[..., Storescp], when: str
) -> None:
    node = make_storescp(when)
    configure(sqlite_product, node.to)
    sqlite_product.drop("visit1", series(2))
    sqlite_product.drain(status=1)
    assert "ended the association before it answered for 1.dcm" in reasons(sqlite_product)
    node.stop()
    node.options = ()
    node.start()
    again(sqlite_product)
    assert data_sets(node.files()) == data_sets(series(2).values())


def test_a_kill_between_the_acknowledgment_and_the_record_repeats_the_same_bytes(
    sqlite_product: Product, make_storescp: Callable[..., Storescp]
) -> None:
    node = make_storescp("--sleep-after", "1")
    configure(sqlite_product, node.to)
    sqlite_product.drop("visit1", series(3))
    at_work = sqlite_product.start("drain", "--now")
    wait_until(lambda: len(node.files()) > 1, what="the second instance")
    at_work.kill()
    at_work.wait()
    node.stop()
    node.options = ()
    node.start()
    sqlite_product.drain()
    assert sqlite_product.wait_for_state("visit1", "done")
    assert data_sets(node.files()) == data_sets(series(3).values())


def test_an_answer_is_left_to_who_waits_for_it(make_storescp: Callable[..., Storescp]) -> None:
    """pynetdicom's own thread looks for messages, too, up to a thousand times a second."""
    answer = C_STORE()
    answer.MessageIDBeingRespondedTo, answer.Status = 1, 0
    peer = Peer(parse_node(make_storescp().to))
    looks = []
    with associated(peer, [build_context(Verification)]) as association:
        own = association.dimse.get_msg

        def get_msg(block: bool = False) -> Any:
            found = own(block)
            if threading.current_thread() is association:
                looks.append(found)
            return found

        association.dimse.get_msg = get_msg  # type: ignore[method-assign]
        association.dimse.msg_queue.put((1, answer))
        before = len(looks)
        wait_until(lambda: len(looks) > before + 3, what="looks of the other thread")
        assert association.dimse.peek_msg() == (1, answer)
        assert association.dimse.get_msg(block=True) == (1, answer)


def test_a_node_that_does_not_know_us_or_its_title_is_explained_by_doctor(
    sqlite_product: Product, make_orthanc: Callable[..., Orthanc]
) -> None:
    orthanc = make_orthanc(
        DicomAlwaysAllowEcho=False, DicomAlwaysAllowFind=False, DicomAlwaysAllowStore=False
    )
    configure(sqlite_product, orthanc.to)
    assert "does not know our AE title DROPSLOT" in said_by_doctor(sqlite_product, "DROPSLOT")
    configure(sqlite_product, orthanc.to.replace("ORTHANC", "PACS"))
    assert "does not have the AE title PACS" in said_by_doctor(sqlite_product, "PACS@")
    configure(sqlite_product, f"dicom://PACS@127.0.0.1:{free_port()}")
    assert "cannot be connected to" in said_by_doctor(sqlite_product, "PACS@")


def said_by_doctor(product: Product, about: str) -> str:
    found = product.run("doctor", "--json", status=None).objects
    rows = [row for row in found if "dicom://" in row["about"]]
    return " ".join(f"{row['level']} {row['what']} {row['remedy']}" for row in rows)


def test_tls_proves_the_node_by_its_authority(
    sqlite_product: Product, make_storescp: Callable[..., Storescp]
) -> None:
    folder = sqlite_product.root / "tls"
    right = make_certificate(folder, "node", address="127.0.0.1")
    other = make_certificate(sqlite_product.root / "other", "other", address="127.0.0.1")
    node = make_storescp("+tls", str(right.with_suffix(".key")), str(right), "+cf", str(right))
    keys = {"certificate": str(right), "key": str(right.with_suffix(".key"))}
    configure(sqlite_product, node.to, ca=str(other), **keys)
    sqlite_product.drop("visit1", series(2))
    sqlite_product.drain(status=1)
    assert "cannot be connected to by TLS" in reasons(sqlite_product)
    assert "certificate" in reasons(sqlite_product).lower()
    assert sqlite_product.delivered() == {}
    configure(sqlite_product, node.to, ca=str(right), **keys)
    again(sqlite_product)
    assert data_sets(node.files()) == data_sets(series(2).values())


def test_a_study_may_keep_apart_what_is_recorded(
    sqlite_product: Product, make_storescp: Callable[..., Storescp]
) -> None:
    node = make_storescp()
    to = f"{node.to}/{{StudyInstanceUID}}"
    sqlite_product.configure({"study": STUDY | {"import": "dicom", "deliver": [{"to": to}]}})
    sqlite_product.drop("one", {"1.dcm": image(1)})
    sqlite_product.drop("two", {"1.dcm": image(2, StudyInstanceUID="1.2.3")})
    sqlite_product.drain()
    assert {(row["stored_as"], row["version"]) for row in sqlite_product.history()} == {("1.dcm", 1)}
    assert len(node.files()) == 2


def test_names_of_one_instance_may_come_twice_if_the_bytes_are_the_same(
    sqlite_product: Product, make_storescp: Callable[..., Storescp]
) -> None:
    node = make_storescp()
    configure(sqlite_product, node.to)
    sqlite_product.drop("visit1", {"a.dcm": image(1), "b.dcm": image(1)})
    sqlite_product.drain()
    assert data_sets(node.files()) == [data_set(image(1))]


def test_other_bytes_of_an_instance_that_a_node_has_are_refused(
    product: Product, make_storescp: Callable[..., Storescp]
) -> None:
    node = make_storescp()
    deliver = {"import": "dicom", "deliver": [{"to": f"{node.to}/{{StudyInstanceUID}}"}]}
    product.configure({"study": STUDY | deliver})
    for name, file in (("first", image(1)), ("same", image(1))):
        product.drop(name, {"1.dcm": file})
        product.drain()
    product.drop("other", {"2.dcm": image(2), "again.dcm": image(1, PatientID="P-18")})
    product.drain(status=1)
    assert product.arrivals()[-1]["state"] == "failed"
    assert "again.dcm has the SOPInstanceUID" in reasons(product)
    assert f"{node.to} keeps one object for each UID" in reasons(product)
    assert data_sets(node.files()) == [data_set(image(1))]


def only_one_reaches(product: Product, node: Storescp) -> None:
    """Of the arrivals `first` and `other`, one is done and at the node; the other is refused, with the reason."""
    states = {row["name"]: row for row in product.arrivals()}
    assert sorted(row["state"] for row in states.values()) == ["done", "failed"]
    (refused,) = (row for row in states.values() if row["state"] == "failed")
    (done,) = (row for row in states.values() if row["state"] == "done")
    assert f"in arrival {done['id']}, with other bytes" in " ".join(refused["reason"])
    sent = {"first": [image(1), image(2)], "other": [image(1, PatientID="P-18")]}[done["name"]]
    assert data_sets(node.files()) == data_sets(sent)
    assert {row["arrival"] for row in product.history()} == {done["id"]}


def waits(product: Product) -> list[Any]:
    return [row for row in product.arrivals() if row["state"] not in ("done", "failed")]


def test_of_two_arrivals_in_one_batch_with_other_bytes_of_an_instance_one_is_sent(
    product: Product, make_storescp: Callable[..., Storescp]
) -> None:
    node = make_storescp()
    product.configure({"study": STUDY | {"import": "dicom", "deliver": [{"to": node.to}]}})
    product.drop("first", {"1.dcm": image(1), "2.dcm": image(2)})
    product.drop("other", {"again.dcm": image(1, PatientID="P-18")})
    product.drain(status=1)
    only_one_reaches(product, node)


def test_an_arrival_waits_while_another_sends_other_bytes_of_its_instance(
    product: Product, make_storescp: Callable[..., Storescp]
) -> None:
    node = make_storescp("--fork", "--sleep-after", "1")
    product.configure({"study": STUDY | {"import": "dicom", "deliver": [{"to": node.to}]}})
    product.drop("first", {"1.dcm": image(1), "2.dcm": image(2)})
    at_work = product.start("drain", "--now")
    wait_until(node.files, what="the first instance")
    at_work.send_signal(signal.SIGSTOP)
    # It would look again for 20 s, less and less often.
    product.constants["dropslot.arrivals.workers.drain:PATIENCE_SECONDS"] = 0
    product.drop("other", {"again.dcm": image(1, PatientID="P-18")})
    product.drain(status=1)
    (waiting,) = (row for row in product.arrivals() if row["name"] == "other")
    assert waiting["state"] == "retrying"
    assert "is sending other bytes of again.dcm" in " ".join(waiting["reason"])
    at_work.send_signal(signal.SIGCONT)
    at_work.wait(60)
    product.run("retry", waiting["id"], status=None)
    wait_until(lambda: product.drain(status=None) and waits(product) == [], what="the verdict")
    only_one_reaches(product, node)


def test_what_import_keeps_back_is_not_sent(
    sqlite_product: Product, make_storescp: Callable[..., Storescp]
) -> None:
    node = make_storescp()
    sqlite_product.configure({"study": STUDY | {"import": "dicom", "deliver": [{"to": node.to}]}})
    sqlite_product.drop("disc", {**series(2), "readme.txt": b"x", "DICOMDIR": b"y"})
    sqlite_product.drain()
    assert data_sets(node.files()) == data_sets(series(2).values())
    assert {row["item"] for row in sqlite_product.history()} == {"1.dcm", "2.dcm"}
