"""What the technician uploads: through the portal's API, as a sending program does."""

from __future__ import annotations

import subprocess
import time
from base64 import b64encode
from pathlib import Path
from urllib.request import Request, urlopen

import portal
import results
from installation import Installation, say


def demonstrate(installation: Installation) -> None:
    """Upload two results, one of them of another specimen than its name says, and wait for both."""
    say("[bold]Uploads.[/bold] The account technician uploads two results through the portal's API.")
    before, number = installation.ids(), int(time.time()) % 1_000_000
    token = _token(installation)
    names = [f"066-12{number:06}-{last}.pdf" for last in (5, 6)]
    for name in names:
        file = installation.folder / name
        results.write(file, names[0].removesuffix(".pdf"))
        _upload(f"{portal.address(installation)}/api/v1/tus/", token, file)
        file.unlink()
    for row in installation.wait_for_arrivals(set(names), before):
        say(f"  {row['name']}, sent by {row['sender']}: {row['state']}")
    say()


def _token(installation: Installation) -> str:
    command = installation.command("addtoken", "technician", "--scope", "upload", "--days", "1")
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _upload(url: str, token: str, file: Path) -> None:
    """In one request, which is enough for a small file."""
    content = file.read_bytes()
    said = {"route": "results", "filename": file.name}
    headers = {
        "Authorization": f"Bearer {token}",
        "Tus-Resumable": "1.0.0",
        "Upload-Length": str(len(content)),
        "Upload-Metadata": ",".join(f"{key} {b64encode(said[key].encode()).decode()}" for key in said),
        "Content-Type": "application/offset+octet-stream",
    }
    with urlopen(Request(url, content, headers, method="POST"), timeout=60):
        pass
