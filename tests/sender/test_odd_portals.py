"""What answers at the address of a portal and is none, such as a proxy's page: words, and nothing is sent."""

from __future__ import annotations

import http.server
import threading
from dataclasses import dataclass

import pytest

from at_pc import Answers
from dropslot.core.errors import DropslotError
from dropslot.sender.connecting import Access
from dropslot.sender.over_https.inbox import HttpsInbox


@dataclass
class WithToken(Answers):
    """Has a token for everybody."""

    def token(self, server: str, *, again: bool) -> str | None:
        return "token"


ME, ROUTES = '{"scopes": ["upload"]}', '{"items": []}'
ODD = {
    "a page of a proxy": ("<p>Sign in</", ROUTES),
    "a list": ("[]", ROUTES),
    "a number": ('{"scopes": 5}', ROUTES),
    "many levels": ("[" * 100_000, ROUTES),
    "no routes": (ME, "null"),
    "routes of another kind": (ME, '{"items": [{"key": "study"}, 7]}'),
}


@pytest.mark.parametrize(("me", "routes"), ODD.values(), ids=ODD)
def test_what_answers_in_another_form_is_no_portal(me: str, routes: str) -> None:
    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = (me if self.path.endswith("/me") else routes).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        with pytest.raises(DropslotError, match="something else than a portal"):
            HttpsInbox(Access(f"http://127.0.0.1:{server.server_address[1]}"), WithToken())
        server.shutdown()
        thread.join()
