"""How long a look at the space of 1,000 studies takes, each with a folder, a count and a quota; its peer is one run of
`du -s` over the same folders."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from benchmarks.report import Row, seconds

_SOURCE = Path(__file__).parent.parent / "src"
_STUDIES = 1_000
_LIMIT_SECONDS = 1.0
_CONFIG = """
data: ./var
routes:
  study:
    folders: ./study
    name: '(?P<study>[^-]+)-(?P<sent>.+)'
    deliver: [{to: './studies/{study}/{sent}', space: {of: './studies/{study}', quota: 1GB}}]
"""
_LOOK = """
import json, sys, time
from pathlib import Path
from dropslot.cli.startup import started
config = started(Path("config.yaml"))
from dropslot.arrivals.space import spaces
from dropslot.arrivals.space.watch import SpaceWatch
SpaceWatch(config).round(lambda: True)
times = []
for _ in range(int(sys.argv[1])):
    begun = time.monotonic()
    found = spaces.look(config)
    times.append(time.monotonic() - begun)
print(json.dumps([len(found), times]))
"""


def measure(scratch: Path, trials: int) -> list[Row]:
    """Seconds of one look, as `health`, the portal and Prometheus have it."""
    folder = scratch / "space"
    (folder / "study/inbox").mkdir(parents=True)
    (folder / "config.yaml").write_text(_CONFIG)
    for number in range(_STUDIES):
        (folder / f"studies/s{number:04}/v1").mkdir(parents=True)
        (folder / f"studies/s{number:04}/v1/a.dat").write_bytes(bytes(1000))
    command = [sys.executable, "-c", _LOOK, str(trials)]
    environment = os.environ | {"PYTHONPATH": str(_SOURCE)}
    done = subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, text=True)
    count, times = json.loads(done.stdout.splitlines()[-1])
    if count < _STUDIES:
        raise RuntimeError(f"only {count} spaces were found")
    begun = time.monotonic()
    subprocess.run(
        ["du", "-s", *sorted(map(str, (folder / "studies").iterdir()))], check=True, capture_output=True
    )
    theirs = time.monotonic() - begun
    took = median(times)
    what = f"one look at the space of {_STUDIES:,} studies"
    return [Row(what, seconds(took), "du -s", seconds(theirs), took, _LIMIT_SECONDS, "s")]
