"""A time-stamping authority on loopback: openssl's own (`openssl ts -reply`) behind a web server, with the faults that
authorities have.

`tsa`   a running one; `tsa.root` is the file with its root certificate. `tsa.fault` names what it does wrong:
        `expired` (its certificate was over long before), `stranger` (another root), `replay` (`tsa.earlier`, the
        answer to another request), `refuses`, `500`, `redirect`, `noise`, `cut` (half of an answer), `silent`
        (no answer at all), `drips` (a header that never ends)
"""

from __future__ import annotations

import http.server
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_CONFIG = """[tsa]
serial = {folder}/serial
signer_cert = {folder}/{name}.pem
certs = {folder}/{root}.pem
signer_key = {folder}/{name}.key
signer_digest = sha256
default_policy = 1.3.6.1.4.1.99999.1
digests = {digest}
ess_cert_id_alg = sha256
clock_precision_digits = 3
"""
_Key = ec.EllipticCurvePrivateKey
_CERTIFICATES = {"expired": "expired", "stranger": "stranger"}


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _certificate(folder: Path, name: str, issuer: tuple[str, _Key] | None, begins: int) -> _Key:
    """FOLDER/NAME.pem and NAME.key, valid for 30 days that begin so many days ago; without an issuer a root."""
    key = ec.generate_private_key(ec.SECP256R1())
    start = datetime.now(UTC) - timedelta(days=begins)
    made = (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name(issuer[0] if issuer else name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    if issuer is not None:
        made = made.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
    signed = made.sign(issuer[1] if issuer else key, hashes.SHA256())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / f"{name}.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    (folder / f"{name}.key").write_bytes(private)
    return key


class Authority:
    """The running server."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.fault = ""
        self.asked = 0
        self.earlier = b""  # an answer to another request
        self.released = threading.Event()
        root = _certificate(folder, "root", None, 1)
        other = _certificate(folder, "other", None, 1)
        _certificate(folder, "good", ("root", root), 1)
        _certificate(folder, "expired", ("root", root), 60)
        _certificate(folder, "stranger", ("other", other), 1)
        (folder / "serial").write_text("01\n")
        authority = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                authority._respond(self)

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/tsa"

    @property
    def root(self) -> Path:
        return self._folder / "root.pem"

    def close(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, query: bytes) -> bytes:
        """What openssl answers."""
        name = _CERTIFICATES.get(self.fault, "good")
        root = "other" if name == "stranger" else "root"
        digest = "sha512" if self.fault == "refuses" else "sha256"  # ours is not among them
        config, asked = self._folder / "tsa.cnf", self._folder / "query.tsq"
        config.write_text(_CONFIG.format(folder=self._folder, name=name, root=root, digest=digest))
        asked.write_bytes(query)
        options = ["-config", str(config), "-section", "tsa", "-queryfile", str(asked)]
        return subprocess.run(["openssl", "ts", "-reply", *options], capture_output=True, check=False).stdout

    def _respond(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        self.asked += 1
        query = handler.rfile.read(int(handler.headers["Content-Length"]))
        if self.fault == "silent":
            self.released.wait()
            return
        if self.fault == "drips":
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
            with suppress(OSError):
                while not self.released.wait(0.05):
                    handler.wfile.write(b"x")
            return
        if self.fault == "redirect":
            handler.send_response(302)
            handler.send_header("Location", f"{self.url}/elsewhere")
            handler.end_headers()
            return
        if self.fault == "500":
            handler.send_error(500)
            return
        body = b"<html>not a time stamp</html>" if self.fault == "noise" else self.answer(query)
        if self.fault == "replay":
            body = self.earlier
        handler.send_response(200)
        handler.send_header("Content-Type", "application/timestamp-reply")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[: len(body) // 2] if self.fault == "cut" else body)


@pytest.fixture
def tsa(tmp_path: Path) -> Iterator[Authority]:
    folder = tmp_path / "tsa"
    folder.mkdir()
    authority = Authority(folder)
    yield authority
    authority.close()
