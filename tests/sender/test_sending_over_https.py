"""The whole way over HTTPS: `dropslot send`, a portal with a certificate, watcher, destination, receipt, two ticks."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from apache import Apache
from certificates import make_certificate
from collecting import ROUTE, Pc
from portals import Served, installed
from ports import is_open
from product import Product
from waiting import wait_until


class PcOverHttps(Pc):
    """Trusts a certificate authority of its own, and has a token in a file."""

    def __init__(self, root: Path, url: str, trusted: Path, token: str) -> None:
        super().__init__(root)
        self.url, self.trusted, self.more = url, trusted, dict[str, str]()
        self.token_file = root / "token"
        self.token_file.write_text(token)

    @property
    def environment(self) -> dict[str, str]:
        return super().environment | {"SSL_CERT_FILE": str(self.trusted), "no_proxy": "127.0.0.1"} | self.more

    @property
    def signed_in(self) -> list[str]:
        return ["--to", self.url, "--study", "heart", "--token-file", str(self.token_file)]


@pytest.fixture
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Served:
    """Only senders of the study; its portal has a certificate for 127.0.0.1. On both databases if a test asks for
    `product`."""
    product = request.getfixturevalue("product" if "product" in request.fixturenames else "sqlite_product")
    certificate = make_certificate(tmp_path / "tls", "portal", address="127.0.0.1")
    tls = {"certificate": str(certificate), "key": str(certificate.with_suffix(".key"))}
    served = installed(product, {"study": ROUTE}, **tls)
    served.account("sam", "sender")
    return served


@pytest.fixture
def pc(lab: Served, tmp_path: Path) -> PcOverHttps:
    token = lab.product.run("addtoken", "sam", "--scope", "upload", "--days", "1").stdout
    return PcOverHttps(
        tmp_path / "pc", f"https://127.0.0.1:{lab.port}", tmp_path / "tls" / "portal.pem", token
    )


def started(lab: Served, command: str) -> subprocess.Popen[str]:
    """Once its portal takes connections."""
    process = lab.product.start(command)

    wait_until(lambda: is_open(lab.port), deadline_seconds=60, what="the portal")
    return process


def states(pc: Pc) -> dict[str, str]:
    return {row["file"].rpartition("/")[2]: row["state"] for row in pc.sent()}


@pytest.mark.crash
def test_what_was_sent_by_a_process_that_was_killed_again_and_again_is_delivered_exactly(
    product: Product, lab: Served, pc: Pc
) -> None:
    process = started(lab, "run")
    files = {f"s{number:03}.edat3": os.urandom(number * 500) for number in range(100)}
    files["large.bin"] = os.urandom(20_000_000)
    for name, content in files.items():
        pc.write(name, content)
    for _ in range(3):
        sending = pc.start(
            "send", pc.data, "--subfolder", "eprime", *pc.signed_in, "--limit", "10MB/s", "--no-wait"
        )
        before = _received(lab)
        goal = before + random.randrange(1_000_000, 5_000_000)
        wait_until(
            lambda goal=goal: _received(lab) > goal,  # type: ignore[misc]
            deadline_seconds=60,
            what="bytes at the portal",
        )
        sending.kill()
        sending.communicate()
    done = pc.send("--wait")
    assert product.delivered() == {f"heart/eprime/{name}": content for name, content in files.items()}
    assert set(states(pc).values()) == {"delivered"}, done.stdout
    assert "Nothing is new" in pc.send().stdout
    pc.write("late.edat3", b"late")
    pc.write("copy.bin", files["s099.edat3"])
    pc.send("--wait")
    assert states(pc)["late.edat3"] == "delivered"
    assert process.poll() is None


def _received(lab: Served) -> int:
    """What lies in the inbox under a hidden name."""
    return sum(path.stat().st_size for path in lab.product.folder("inbox").rglob("*") if path.is_file())


def test_an_upload_that_somebody_removed_at_the_server_is_sent_again(lab: Served, pc: Pc) -> None:
    started(lab, "run")
    for number in range(3):
        pc.write(f"s{number}.edat3", os.urandom(3_000_000))
    sending = pc.start(
        "send", pc.data, "--subfolder", "eprime", *pc.signed_in, "--limit", "2MB/s", "--no-wait"
    )
    wait_until(lambda: _received(lab) > 4_000_000, deadline_seconds=60, what="bytes at the portal")
    sending.kill()
    sending.communicate()
    (hidden,) = lab.product.folder("inbox").glob(".dropslot-upload-*")
    shutil.rmtree(hidden)
    pc.send("--wait")
    assert states(pc) == {f"s{number}.edat3": "delivered" for number in range(3)}


def test_a_certificate_that_this_pc_does_not_trust_stops_everything(
    lab: Served, pc: PcOverHttps, tmp_path: Path
) -> None:
    started(lab, "portal")
    pc.write("s01.edat3")
    pc.trusted = make_certificate(tmp_path / "other", "stranger", address="127.0.0.1")
    wait_until(
        lambda: "is not trusted" in (pc.send(status=1).stderr), deadline_seconds=60, what="the refusal"
    )
    assert pc.sent() == []


@pytest.fixture
def proxy() -> Iterator[Apache]:
    """A forward proxy, as hospitals have them."""
    apache = Apache("ProxyRequests On\nAllowCONNECT 1-65535", ("proxy", "proxy_connect"))
    apache.start()
    yield apache
    apache.stop()


def test_a_proxy_of_the_environment_is_used(lab: Served, pc: PcOverHttps, proxy: Apache) -> None:
    started(lab, "run")
    pc.write("s01.edat3")
    pc.more = {"HTTPS_PROXY": f"http://127.0.0.1:{proxy.port}", "no_proxy": ""}
    pc.send("--wait")
    assert states(pc) == {"s01.edat3": "delivered"}
    connected = f'"CONNECT 127.0.0.1:{lab.port} HTTP'
    wait_until(lambda: connected in proxy.access_log.read_text(), what="the proxy's log")
