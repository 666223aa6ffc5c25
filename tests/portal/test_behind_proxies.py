"""The portal behind nginx and Apache, with the very texts of their pages in the documentation."""

from __future__ import annotations

import random
import re
import socket
import ssl
import subprocess
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
import requests
import yaml

from apache import Apache, NoApache
from documents import REPOSITORY, blocks
from nginx import Nginx
from portals import PASSWORD, Served, begin_with_static_files, routes
from ports import free_port
from product import Product
from waiting import wait_until

HOST = "drop.lab.example"
_SERVERS = ("nginx", "apache")
_MODULES = ("ssl", "http2", "proxy", "proxy_http", "headers", "reqtimeout", "alias", "socache_shmcb")
_LARGE = 3_000_000_000  # bytes; more than any server takes by itself
_PART = 1_000_000
_UPLOAD = 80_000_000


@dataclass
class Front:
    """The server in front, and the ports that it has in place of 80, 443 and 8070."""

    name: str
    http: int
    https: int
    portal: int
    certificate: Path

    @property
    def url(self) -> str:
        return f"https://localhost:{self.https}"

    def session(self) -> requests.Session:
        session = requests.Session()
        session.verify = str(self.certificate)
        session.trust_env = False
        return session

    def changed(self, text: str) -> str:
        """A text of the documentation, with our host, ports and certificate."""
        text = text.replace(f"https://{HOST}", self.url).replace(HOST, "localhost")
        text = text.replace("/etc/ssl/drop.pem", str(self.certificate))
        text = text.replace("/etc/ssl/drop.key", str(self.certificate.with_suffix(".key")))
        return text.replace("127.0.0.1:8070", f"127.0.0.1:{self.portal}")


def page(server: str, file: str) -> str:
    """What the page of this server tells people to write into this file."""
    found = blocks(REPOSITORY / "docs" / f"{server}.md")
    return next(block.text for block in found if block.mark == f"file: {file}")


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of `localhost`, with its key beside it."""
    file = tmp_path_factory.mktemp("certificate") / "drop.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ]
    command += ["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    command += ["-keyout", str(file.with_suffix(".key")), "-out", str(file)]
    subprocess.run(command, check=True, capture_output=True)
    return file


@contextmanager
def in_front(server: str, certificate: Path) -> Iterator[Front]:
    """nginx or Apache as its page says; nothing listens yet where it expects the portal."""
    made = Front(server, free_port(), free_port(), free_port(), certificate)
    text = made.changed(page(server, "dropslot.conf"))
    program: Nginx | Apache
    if server == "nginx":
        text = re.sub(r"listen \[::\]:\d+.*;\n", "", text)
        text = text.replace("listen 80;", f"listen 127.0.0.1:{made.http};")
        program = Nginx(text.replace("listen 443", f"listen 127.0.0.1:{made.https}"))
    else:
        text = text.replace("*:80>", f"*:{made.http}>").replace("*:443>", f"*:{made.https}>")
        listen = f"Listen 127.0.0.1:{made.http}\nListen 127.0.0.1:{made.https}\n"
        try:
            program = Apache(listen + text, [module for module in _MODULES if _is_loadable(module)])
        except NoApache as error:
            pytest.skip(str(error))
    try:
        program.start()
        yield made
    finally:
        program.stop()


@pytest.fixture(
    scope="module",
    params=[pytest.param(server, marks=pytest.mark.xdist_group(f"behind-{server}")) for server in _SERVERS],
)
def front(request: pytest.FixtureRequest, certificate: Path) -> Iterator[Front]:
    """One for the tests of this module."""
    with in_front(request.param, certificate) as made:
        yield made


def _is_loadable(module: str) -> bool:
    return Path(f"/usr/lib/apache2/modules/mod_{module}.so").exists()


@pytest.fixture(scope="module")
def portal(front: Front, tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Served]:
    """The portal behind it, configured as the page says, for the tests of this module."""
    product = Product(tmp_path_factory.mktemp("behind"))
    keys = yaml.safe_load(front.changed(page(front.name, "portal.yaml")))
    product.configure(routes(product.root), **keys)
    product.begin_with(sqlite_template)
    begin_with_static_files(product)
    for place in ("studies", "clinics"):
        (product.root / place).mkdir(exist_ok=True)
    made = Served(product, front.portal)
    made.account("olga", "operator")
    try:
        yield made.start()
    finally:
        product.close()


def sign_in(
    front: Front, session: requests.Session, account: str = "olga", **headers: str
) -> requests.Response:
    """As a browser does: the form, then its answer with the Origin of the page."""
    url = f"{front.url}/account/login/"
    form = session.get(url, timeout=30).text
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form)
    assert token, form
    data = {"csrfmiddlewaretoken": token[1], "login": account, "password": PASSWORD}
    sent = {"Origin": front.url, "Referer": url, **headers}
    return session.post(url, data=data, headers=sent, timeout=30, allow_redirects=False)


def test_people_sign_in_and_stay_on_the_https_address(front: Front, portal: Served) -> None:
    session = front.session()
    answer = sign_in(front, session)
    assert answer.status_code == 302
    home = session.get(urljoin(answer.url, answer.headers["Location"]), timeout=30)
    assert home.status_code == 200
    assert home.url.startswith(front.url)
    assert "olga" in home.text


def test_cookies_go_by_https_only_and_browsers_are_told_to_stay_there(front: Front, portal: Served) -> None:
    session = front.session()
    answer = sign_in(front, session)
    assert {cookie.name for cookie in session.cookies if not cookie.secure} == set()
    assert "dropslot_session" in {cookie.name for cookie in session.cookies}
    assert answer.headers["Strict-Transport-Security"].startswith("max-age=")


def test_a_form_of_another_site_is_refused(front: Front, portal: Served) -> None:
    answer = sign_in(front, front.session(), Origin="https://elsewhere.example")
    assert answer.status_code == 403


def test_plain_http_leads_to_https(front: Front, portal: Served) -> None:
    answer = requests.get(
        f"http://localhost:{front.http}/history/?q=a%20b", timeout=30, allow_redirects=False
    )
    assert answer.status_code == 301
    assert answer.headers["Location"] == f"{front.url}/history/?q=a%20b"


def test_static_files_come_through(front: Front, portal: Served) -> None:
    session = front.session()
    (style, *_) = re.findall(
        r'href="([^"]+portal[^"]*\.css)"', session.get(f"{front.url}/account/login/").text
    )
    assert session.get(urljoin(front.url, style), timeout=30).status_code == 200


def test_another_host_name_is_not_answered(front: Front, portal: Served) -> None:
    answer = front.session().get(f"{front.url}/account/login/", headers={"Host": "evil.example"}, timeout=30)
    assert answer.status_code in (400, 404, 421)


def test_http_2_is_spoken(front: Front, portal: Served) -> None:
    command = ["curl", "-sS", "--http2", "--cacert", str(front.certificate), "-o", "/dev/null"]
    command += ["-w", "%{http_version} %{http_code}", f"{front.url}/account/login/"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "2 200"


def test_the_trail_has_the_address_that_the_server_in_front_saw(front: Front, portal: Served) -> None:
    portal.account("otto", "operator")
    answer = sign_in(front, front.session(), "otto", **{"X-Forwarded-For": "6.6.6.6"})
    assert answer.status_code == 302, answer.text

    def events() -> list[dict[str, Any]]:
        found = portal.product.listing("events", "--kind", "signed-in")
        return [event for event in found if event["data"]["by"] == "otto"]

    (event,) = wait_until(events, deadline_seconds=60, what="the event")
    assert event["data"]["address"] == "127.0.0.1"


def test_a_large_file_is_uploaded_through_it(front: Front, portal: Served) -> None:
    portal.account("sam", "sender")
    token = portal.product.run("addtoken", "sam", "--scope", "upload", "--days", "1").stdout.strip()
    content = random.Random(7).randbytes(_UPLOAD)
    said = {"route": "results", "filename": "north-large.txt"}
    headers = {
        "Authorization": f"Bearer {token}",
        "Tus-Resumable": "1.0.0",
        "Upload-Length": str(len(content)),
        "Upload-Metadata": ",".join(f"{key} {b64encode(said[key].encode()).decode()}" for key in said),
        "Content-Type": "application/offset+octet-stream",
    }
    url = f"{front.url}/api/v1/tus/"
    answer = front.session().post(url, data=content, headers=headers, timeout=120)
    assert answer.status_code == 201, answer.text
    assert answer.headers["Location"].startswith(url)  # where the client goes on after a cut
    portal.product.drain()
    (row,) = portal.product.history()
    assert (row["size_bytes"], row["sender"]) == (_UPLOAD, "sam")
    assert row["sha256"] == sha256(content).hexdigest()


@contextmanager
def listening(port: int) -> Iterator[list[Any]]:
    """Something in place of the portal that tells what it has received: [head, bytes of the body]."""
    seen: list[Any] = [b"", 0]
    with socket.create_server(("127.0.0.1", port)) as listener:
        thread = threading.Thread(target=_receive, args=(listener, seen), daemon=True)
        thread.start()
        yield seen


def _receive(listener: socket.socket, seen: list[Any]) -> None:
    connection, _ = listener.accept()
    with connection:
        data = b""
        while b"\r\n\r\n" not in data and (more := connection.recv(65536)):
            data += more
        seen[0], _, body = data.partition(b"\r\n\r\n")
        seen[1] = len(body)
        while more := connection.recv(65536):
            seen[1] += len(more)


@pytest.mark.parametrize("server", _SERVERS)
def test_a_large_upload_reaches_the_portal_while_it_is_sent(server: str, certificate: Path) -> None:
    with in_front(server, certificate) as front:
        _send_in_parts(front)


def _send_in_parts(front: Front) -> None:
    head = f"PATCH /api/v1/tus/one HTTP/1.1\r\nHost: localhost:{front.https}\r\nContent-Length: {_LARGE}\r\n"
    head += "Content-Type: application/offset+octet-stream\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n"
    context = ssl.create_default_context(cafile=str(front.certificate))
    with (
        listening(front.portal) as seen,
        socket.create_connection(("127.0.0.1", front.https), 30) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as client,
    ):
        client.sendall(head.encode() + b"\0" * _PART)
        # What is not sent yet cannot be waited for: the servers pass on what they have.
        wait_until(lambda: seen[1] > _PART * 9 // 10, what=f"the first part, of which came {seen}")
    told = seen[0].decode().lower()
    assert f"\r\nhost: localhost:{front.https}\r\n" in f"{told}\r\n"
    assert "\r\nx-forwarded-proto: https" in told
    # From its end, since what is before it is the client's word.
    assert re.search(r"\r\nx-forwarded-for: .*127\.0\.0\.1(\r\n|$)", told)
