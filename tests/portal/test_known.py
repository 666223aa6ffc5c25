"""The portal knows a file by its SHA-256, for those who see its delivery."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
from pathlib import Path

import pytest
from django.urls import reverse

from browsing import Faults, SignedIn, findings_in_each_look
from payloads import body, delivery_of
from portals import Served, Site

SCRIPT = Path(__file__).parents[2] / "src" / "dropslot" / "portal" / "static" / "dropslot" / "sha256.js"


def _asked(site: Site, name: str, sha256: str) -> str:
    response = site.client(name).get(reverse("dropslot:known"), {"sha256": sha256})
    assert response.status_code == 200
    return body(response).decode()


def _answer(page: str) -> str:
    """Without what is new in each page."""
    return page.split('<div id="answer"')[1].split("<details")[0]


def test_it_says_when_and_where_a_file_was_delivered(site: Site) -> None:
    site.drop("results", "north-1.pdf", b"content")
    site.deliver("sam")
    row = delivery_of("north-1.pdf")
    for name in ("rita", "sam", "olga"):
        page = _asked(site, name, row.sha256.upper())
        assert "Known." in page and "north-1.pdf" in page and str(site.root / "clinics" / "north") in page
        assert ("See the file" in page) == (name != "sam")


@pytest.mark.parametrize("name", ["stella", "nobody"])
def test_who_does_not_see_the_delivery_learns_nothing(site: Site, name: str) -> None:
    site.drop("results", "north-1.pdf", b"content")
    site.deliver("sam")
    sha256 = delivery_of("north-1.pdf").sha256
    known, unknown = (_answer(_asked(site, name, each)) for each in (sha256, "0" * 64))
    assert "Not known to you" in known
    assert known.replace(sha256, "0" * 64) == unknown


@pytest.mark.parametrize("text", ["x", "0" * 63, "0" * 65, "g" * 64, "<script>", "0" * 64 + "\n1"])
def test_what_is_no_sha256_is_named(site: Site, text: str) -> None:
    page = _asked(site, "olga", text)
    assert "This is not a SHA-256" in page and "<script>alert" not in page


def test_the_beginning_of_a_sha256_is_not_enough(site: Site) -> None:
    site.drop("results", "north-1.pdf", b"content")
    site.deliver()
    assert "north-1.pdf" not in _asked(site, "olga", delivery_of("north-1.pdf").sha256[:40])


def test_the_browser_s_sha256_is_that_of_hashlib(tmp_path: Path) -> None:
    """Lengths around each border of a block, in pieces of any size."""
    chance = random.Random(7)
    lengths = [
        *range(200),
        *(64 * n + more for n in (15, 16, 1024) for more in (-9, -8, -1, 0, 1, 55, 56, 63)),
    ]
    texts = [chance.randbytes(length) for length in lengths]
    (tmp_path / "texts.json").write_text(json.dumps([text.hex() for text in texts]))
    program = """
      const { Sha256 } = require(process.argv[1]);
      const texts = JSON.parse(require("fs").readFileSync(process.argv[2]));
      console.log(JSON.stringify(texts.map(function (text, number) {
        const bytes = Buffer.from(text, "hex"), hash = new Sha256(), step = 1 + (number * 37) % 150;
        for (let at = 0; at < bytes.length; at += step) hash.update(bytes.subarray(at, at + step));
        return hash.hex();
      })));
    """
    command = ["node", "-e", program, str(SCRIPT), str(tmp_path / "texts.json")]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert json.loads(said) == [hashlib.sha256(text).hexdigest() for text in texts]


def test_a_browser_hashes_a_file_by_itself(
    signed_in: SignedIn, served: Served, tmp_path: Path, faults: Faults
) -> None:
    content = b"a result " * 700_000  # more than one step
    (served.product.root / "results" / "inbox" / "north-1.pdf").write_bytes(content)
    served.product.run("drain", "--now")
    page = signed_in("operator")
    page.goto("/known/")
    assert findings_in_each_look(page) == []
    sent = []
    page.on("request", lambda request: sent.append((request.url, request.post_data)))
    (tmp_path / "renamed by somebody.pdf").write_bytes(content)
    page.set_input_files("#file", tmp_path / "renamed by somebody.pdf")
    page.get_by_text("Known.", exact=True).wait_for()
    assert page.get_by_text("north-1.pdf").first.is_visible()
    assert findings_in_each_look(page) == []
    digest = hashlib.sha256(content).hexdigest()
    assert [url.split("?")[1] for url, _ in sent if "?" in url] == [f"sha256={digest}"]
    assert not any(posted for _, posted in sent)
    (tmp_path / "other.pdf").write_bytes(content[:-1])
    page.set_input_files("#file", tmp_path / "other.pdf")
    page.get_by_text("Not known to you.", exact=True).wait_for()
