"""Onward to DICOMweb services by STOW-RS: Orthanc's plugin has each file byte by byte, or the arrival waits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from certificates import make_certificate
from dicom.images import series
from dicom.samples import sample
from dicom.test_onward_to_nodes import ENCODED_DIFFERENTLY, again, configure, guarantees, reasons
from dropslot.destinations.base import LISTS_INSTANCES, ONLY_ACKNOWLEDGED
from nginx import Nginx
from nodes import Orthanc
from ports import free_port
from product import Product

pytestmark = pytest.mark.usefixtures("drains_try_once")

# Orthanc then answers that it has stored everything.
DROPS_CT = """
function ReceivedInstanceFilter(dicom, origin, info)
  return dicom.Modality ~= 'CT'
end
"""


# As people serve Orthanc to others. (Debian's own Orthanc resets connections by TLS with OpenSSL 3.)
_HTTPS = """
server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    client_max_body_size 0;
    location / {{ proxy_pass http://127.0.0.1:{behind}; }}
}}
"""


def files() -> dict[str, bytes]:
    names = (*ENCODED_DIFFERENTLY, "image_dfl.dcm")
    return {name: sample(name).read_bytes() for name in names} | series(3)


def test_a_service_gets_every_byte_of_each_file_and_lists_it(product: Product, orthanc: Orthanc) -> None:
    configure(product, orthanc.web)
    product.drop("visit1", files())
    product.drain()
    assert sorted(orthanc.files().values()) == sorted(files().values())
    assert f"{LISTS_INSTANCES}: {orthanc.web.removesuffix('/dicom-web')}" in guarantees(product)


def test_https_with_an_authority_and_a_password_of_its_own(
    sqlite_product: Product,
    make_orthanc: Callable[..., Orthanc],
    make_nginx: Callable[..., Nginx],
    tmp_path: Path,
) -> None:
    right = make_certificate(tmp_path / "tls", "orthanc", address="127.0.0.1")
    other = make_certificate(tmp_path / "other", "other", address="127.0.0.1")
    orthanc = make_orthanc(AuthenticationEnabled=True, RegisteredUsers={"lab": "wonder-land"})
    port, key = free_port(), right.with_suffix(".key")
    make_nginx(_HTTPS.format(port=port, certificate=right, key=key, behind=orthanc.web_port))
    to = f"dicomweb+https://lab@127.0.0.1:{port}/dicom-web"
    configure(sqlite_product, to, ca=str(other), password="PACS_PASSWORD", verify="acknowledged")
    sqlite_product.drop("visit1", series(2))
    sqlite_product.run("drain", "--now", status=1, PACS_PASSWORD="wonder-land")
    assert "certificate verify failed" in reasons(sqlite_product).lower()
    assert sqlite_product.delivered() == {}
    configure(sqlite_product, to, ca=str(right), password="PACS_PASSWORD", verify="acknowledged")
    arrival = sqlite_product.arrivals()[-1]["id"]
    sqlite_product.run("retry", arrival, status=None, PACS_PASSWORD="wonder-land")
    sqlite_product.run("drain", "--now", PACS_PASSWORD="wonder-land")
    assert sorted(orthanc.files().values()) == sorted(series(2).values())
    assert [line for line in guarantees(sqlite_product) if line.startswith(ONLY_ACKNOWLEDGED)]


def test_doctor_says_that_a_password_is_wrong_and_never_shows_it(
    sqlite_product: Product, make_orthanc: Callable[..., Orthanc]
) -> None:
    orthanc = make_orthanc(AuthenticationEnabled=True, RegisteredUsers={"lab": "wonder-land"})
    configure(sqlite_product, orthanc.web.replace("://", "://lab@"), password="PACS_PASSWORD")
    found = sqlite_product.run("doctor", "--json", status=None, PACS_PASSWORD="wrong-wrong").stdout
    assert "status 401" in found
    assert "Correct `password` or `token`" in found
    assert "wrong-wrong" not in found


def test_an_acknowledgment_of_what_was_dropped_is_no_success(
    sqlite_product: Product, make_orthanc: Callable[..., Orthanc], tmp_path: Path
) -> None:
    script = tmp_path / "filter.lua"
    script.write_text(DROPS_CT)
    orthanc = make_orthanc(LuaScripts=[str(script)])
    configure(sqlite_product, orthanc.web)
    sqlite_product.constants["dropslot.destinations.instances:_AGAIN_AFTER_SECONDS"] = [0.05] * 5
    sqlite_product.drop("visit1", {**series(1), "sr.dcm": sample("reportsi.dcm").read_bytes()})
    sqlite_product.drain(status=1)
    assert "has acknowledged 2 instances, but QIDO-RS does not list 1 of them" in reasons(sqlite_product)
    orthanc.stop()
    sqlite_product.run("retry", sqlite_product.arrivals()[-1]["id"], status=None)
    sqlite_product.drain(status=1)
    assert "does not answer: Connection refused" in reasons(sqlite_product)
    script.write_text("")
    orthanc.start()
    again(sqlite_product)
    assert len(orthanc.files()) == 2
