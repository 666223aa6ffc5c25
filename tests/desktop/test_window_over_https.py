"""The window through a portal with a certificate: a token in place of a password, and the second tick."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from certificates import make_certificate
from collecting import ROUTE
from desktop.opened import Opened
from desktop.test_window import recording
from portals import installed
from ports import is_open
from product import Product
from waiting import wait_until


def test_a_folder_goes_through_a_portal_and_gets_its_second_tick(
    opened: Callable[..., Opened], sqlite_product: Product, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = make_certificate(tmp_path / "tls", "portal", address="127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    tls = {"certificate": str(certificate), "key": str(certificate.with_suffix(".key"))}
    lab = installed(sqlite_product, {"study": ROUTE}, **tls)
    lab.account("sam", "sender")
    token = lab.product.run("addtoken", "sam", "--scope", "upload", "--days", "1").stdout.strip()
    lab.product.start("run")
    file = recording(tmp_path / "eprime", "run1.edat3")
    to = f"https://127.0.0.1:{lab.port}"
    window = opened({"heart": {"to": to, "folders": {"eprime": str(tmp_path / "eprime")}}})
    wait_until(lambda: is_open(lab.port), deadline_seconds=60, what="the portal")
    window.press("Send 1 file (300 kB)")
    window.types("Token:", token)
    window.press("Sign in")
    window.sees("✓✓ Delivered · 1 file")
    assert lab.product.delivered() == {"heart/eprime/run1.edat3": file.read_bytes()}
