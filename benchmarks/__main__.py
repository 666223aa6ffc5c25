"""`python -m benchmarks [--only GROUP] [--trials N] [--scratch DIR]`; needs root, for the disks it makes."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks import (
    celery_rate,
    databases,
    desktop,
    desktop_frames,
    dicom_deidentify,
    dicom_headers,
    dicom_import,
    dicom_receive,
    explorer,
    first_page,
    fixity,
    flood,
    growth,
    growth_model,
    latency,
    logs,
    memory,
    month,
    notify,
    pdfs,
    portal,
    queue,
    random_kills,
    rate,
    remote,
    report,
    s3,
    sender_https,
    sender_scan,
    sender_sftp,
    shares,
    space,
    starts,
    trees,
    uploads,
    watched,
)

GROUPS: dict[str, Callable[[Path, int], list[report.Row]]] = {
    "trees": trees.measure,
    "trees-cached": partial(trees.measure, direct=False),
    "starts": starts.measure,
    "desktop-start": desktop.measure,
    "desktop-frames": desktop_frames.measure,
    "latency": latency.measure,
    "rate": rate.measure,
    "space": space.measure,
    "celery": celery_rate.measure,
    "notify": notify.measure,
    "memory": memory.measure,
    "month": month.measure,
    "growth": growth.measure,
    "migrate-data": databases.measure_move,
    "idle": databases.measure_idle,
    "growth-model": growth_model.measure,
    "fixity": fixity.measure,
    "flood": flood.measure,
    "queue": queue.measure,
    "pdfs": pdfs.measure,
    "logs": logs.measure,
    "remote": remote.measure,
    "s3": s3.measure,
    "shares": shares.measure,
    "portal": portal.measure,
    "explorer": explorer.measure,
    "first-page": first_page.measure,
    "uploads": uploads.measure,
    "sender-https": sender_https.measure,
    "watched": watched.measure,
    "random-kills": random_kills.measure,
    "sender-scan": sender_scan.measure,
    "sender-sftp": sender_sftp.measure,
    "dicom-headers": dicom_headers.measure,
    "dicom-import": dicom_import.measure,
    "dicom-receive": dicom_receive.measure,
    "dicom-deidentify": dicom_deidentify.measure,
}
# Parts of `trees` and `remote`, to work on one of them; the page is written by a whole group only.
_PARTS = {key: partial(trees.measure_one, key) for key in ("mixed", "big", "small")} | {
    f"remote-{key}": partial(remote.measure_one, key) for key in remote.CASES
}
_PARTS |= {f"s3-{key}": partial(s3.measure_one, key) for key in s3.CASES}
_PARTS |= {f"sender-sftp-{key}": partial(sender_sftp.measure_one, key) for key in sender_sftp.CASES}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--only", choices=[*GROUPS, *_PARTS], help="one group instead of all")
    parser.add_argument(
        "--trials", type=int, default=5, help="trials a median is taken of; fewer write no page"
    )
    parser.add_argument(
        "--scratch", type=Path, help="a folder with 10 GB free; default: one in the temporary folder"
    )
    return parser.parse_args()


def main() -> None:
    """Measure, print, and write the page; exit status 1 when a limit was missed."""
    arguments = _arguments()
    if os.geteuid() != 0:
        sys.exit("The benchmarks mount a fresh file system for each trial: run them as root.")
    with tempfile.TemporaryDirectory(prefix="dropslot-bench-", dir=arguments.scratch) as scratch:
        missed = _measure_all(arguments, Path(scratch))
    sys.exit(f"Limits missed: {', '.join(missed)}" if missed else 0)


def _measure_all(arguments: argparse.Namespace, scratch: Path) -> list[str]:
    chosen = [arguments.only] if arguments.only else list(GROUPS)
    missed: list[str] = []
    for group in chosen:
        print(f"{group} …", flush=True)
        rows = (GROUPS | _PARTS)[group](scratch, arguments.trials)
        report.show(group, rows)
        if group in GROUPS and arguments.trials >= 5:
            report.write(group, rows)
        missed += [row.what for row in rows if not row.within]
    print(report.machine())
    return missed


if __name__ == "__main__":
    main()
