"""What `doctor` says about the portal."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from dropslot.config import from_mapping
from dropslot.portal import doctor
from portals import routes


def findings(folder: Path, **portal: Any) -> list[tuple[str, str]]:
    config = from_mapping({"data": str(folder / "var"), "portal": portal, "routes": routes(folder)}, folder)
    return [(finding.level, f"{finding.what}. {finding.remedy}") for finding in doctor.examine(config)]


def certificate(folder: Path, days: int) -> dict[str, str]:
    file, key = folder / "drop.pem", folder / "drop.key"
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
    command += ["-days", str(days), "-subj", "/CN=localhost", "-keyout", str(key), "-out", str(file)]
    subprocess.run(command, check=True, capture_output=True)
    return {"certificate": str(file), "key": str(key)}


def test_a_portal_for_this_machine_alone_is_fine(tmp_path: Path) -> None:
    assert findings(tmp_path) == [("ok", "listens on 127.0.0.1:8070; people type http://127.0.0.1:8070. ")]


@pytest.mark.parametrize("listen", ["0.0.0.0:8070", "[::]:8070", "192.0.2.1:80"])
def test_one_that_others_reach_without_https_is_named(listen: str, tmp_path: Path) -> None:
    ((level, words),) = findings(tmp_path, listen=listen)
    assert level == "warning"
    assert "without HTTPS" in words
    assert "portal.certificate" in words


def test_one_that_believes_the_addresses_of_everybody_is_named(tmp_path: Path) -> None:
    keys = certificate(tmp_path, 90)
    ((level, words),) = findings(tmp_path, listen="0.0.0.0:8070", proxies=1, **keys)
    assert level == "warning"
    assert "name any address as theirs" in words


def test_a_certificate_is_named_before_it_ends(tmp_path: Path) -> None:
    ((level, words),) = findings(tmp_path, listen="0.0.0.0:8070", **certificate(tmp_path, 5))
    assert level == "warning"
    assert "ends in 4 days" in words


def test_a_file_that_is_no_certificate_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "drop.pem"
    file.write_text("nothing")
    ((level, words),) = findings(tmp_path, certificate=str(file), key=str(file))
    assert level == "error"
    assert "no certificate in PEM" in words


def test_a_certificate_that_is_missing_is_an_error(tmp_path: Path) -> None:
    ((level, words),) = findings(tmp_path, certificate="/none.pem", key="/none.key")
    assert level == "error"
    assert "cannot be read" in words


def test_without_a_portal_nothing_is_said(tmp_path: Path) -> None:
    config = from_mapping(
        {"data": str(tmp_path / "var"), "portal": "off", "routes": routes(tmp_path)}, tmp_path
    )
    assert list(doctor.examine(config)) == []
