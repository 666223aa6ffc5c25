"""What answers at the address of a portal and is none, such as a proxy's page: words, and nothing is sent."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from at_pc import BAG, Answers, tags, unnoted
from dropslot.core.errors import DropslotError
from dropslot.sender.connecting import Access
from dropslot.sender.over_https.inbox import HttpsInbox
from dropslot.sender.receipts.verify_receipt import BadReceipt


@dataclass
class WithToken(Answers):
    """Has a token for everybody."""

    def token(self, server: str, *, again: bool) -> str | None:
        return "token"


ME, ROUTES = '{"scopes": ["upload"]}', '{"items": []}'
PAGE = "<p>Sign in</"
ODD = {
    "a page of a proxy": (PAGE, ROUTES),
    "a list": ("[]", ROUTES),
    "a number": ('{"scopes": 5}', ROUTES),
    "many levels": ("[" * 100_000, ROUTES),
    "no routes": (ME, "null"),
    "routes of another kind": (ME, '{"items": [{"key": "study"}, 7]}'),
}


@contextmanager
def answering(said: Mapping[str, str]) -> Iterator[Access]:
    """The address of what gives these answers, by the last part of a path, and else a page."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = said.get(self.path.partition("?")[0].rpartition("/")[2], PAGE).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield Access(f"http://127.0.0.1:{server.server_address[1]}")
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(("me", "routes"), ODD.values(), ids=ODD)
def test_what_answers_in_another_form_is_no_portal(me: str, routes: str) -> None:
    with (
        answering({"me": me, "routes": routes}) as access,
        pytest.raises(DropslotError, match="something else than a portal"),
    ):
        HttpsInbox(access, WithToken())


ROUTE = '{"items": [{"key": "study", "may_upload": true, "takes": "directories"}]}'


BAD = {"a page": PAGE, "many levels": "[" * 100_000, "no texts": '{"body": {}, "signature": "", "files": ""}'}


@pytest.mark.parametrize("receipt", BAD.values(), ids=BAD)
def test_a_receipt_of_another_form_is_one_that_proves_nothing(receipt: str) -> None:
    with answering({"me": ME, "routes": ROUTE, "receipts": receipt}) as access:
        inbox = HttpsInbox(access, WithToken())
        with pytest.raises(BadReceipt, match="cannot be read"):
            inbox.receipt(BAG)
        inbox.close()


def test_a_page_finishes_no_bag() -> None:
    there = '{"finished_as": null, "files": []}'
    with answering({"me": ME, "routes": ROUTE, BAG: there, "uploads": '{"items": []}'}) as access:
        inbox = HttpsInbox(access, WithToken())
        with pytest.raises(DropslotError, match="something else than a portal"):
            inbox.finish(BAG, tags({}, 0), unnoted, may_be_named=False)
        inbox.close()
