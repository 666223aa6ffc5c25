"""The sender: a PC with a preset, whose new files go to the server by SFTP and come back with two ticks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from installation import Installation, say, shown
from servers import Servers

_NO_RECEIPTS, _RECEIPTS = (
    "    # receipts: ./study/receipts/{sender}",
    "    receipts: ./study/receipts/{sender}",
)
_TICKS = {"uploaded": "✓", "delivered": "✓✓", "unchanged": "✓✓", "refused": "✗"}


def prepare(installation: Installation, servers: Servers) -> None:
    """Once: receipts for senders, and the settings of a PC that sends."""
    config, receipts = installation.config, installation.folder / "study" / "receipts"
    config.write_text(config.read_text().replace(_NO_RECEIPTS, _RECEIPTS))
    receipts.mkdir(mode=0o711, exist_ok=True)
    home = _home(installation)
    home.mkdir(exist_ok=True)
    preset = {
        "to": f"{servers.address}{installation.folder}/study/inbox",
        "key": f"{servers.folder}/key",
        "known_hosts": f"{servers.folder}/known_hosts",
        "folders": {"eprime": str(_data(installation))},
    }
    settings = {"location": "Brogden A", "presets": {"heart": preset}}
    (home / "settings.yaml").write_text(json.dumps(settings, indent=2))  # JSON is YAML


def demonstrate(installation: Installation) -> None:
    """Record something on the PC, send what is new, and show its ticks."""
    say("[bold]The sender.[/bold] A PC has recorded something; `dropslot send heart` sends what is new.")
    data = _data(installation)
    data.mkdir(exist_ok=True)
    recorded = data / f"s{int(time.time()) % 1_000_000:06}.edat3"
    recorded.write_text(f"reaction times of {recorded.stem}\n")
    say(_run(installation, "send", "heart", "--wait").strip())
    for row in map(json.loads, _run(installation, "sent", "--json").splitlines()):
        say(f"  {_TICKS.get(row['state'], ' ')} {row['file']}: {row['state']}")
    say()


def hint(installation: Installation) -> str:
    """What people may try on that PC; empty, if there is none."""
    if not _home(installation).exists():
        return ""
    return f"""\
The PC of the demonstration sends by SFTP:

  export DROPSLOT_SENDER_HOME={shown(_home(installation))}
  cp SOME_FILE {shown(_data(installation))}/
  .venv/bin/dropslot send heart
  .venv/bin/dropslot sent
  .venv/bin/dropslot desktop

"""


def _home(installation: Installation) -> Path:
    return installation.folder / "sender"


def _data(installation: Installation) -> Path:
    return installation.folder / "collected"


def _run(installation: Installation, *words: str) -> str:
    environment = os.environ | {"DROPSLOT_SENDER_HOME": str(_home(installation))}
    done = subprocess.run(
        [sys.executable, "-m", "dropslot", *words], env=environment, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"dropslot {' '.join(words)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout
