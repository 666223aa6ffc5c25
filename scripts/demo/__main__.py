"""What `make run` shows: dropslot at work on study data, results and images, in a folder of its own.

Everything goes through the commands that an operator has: init, run, arrivals, history. Run again on the same folder
it sends the same study data again, which is then recorded as unchanged, and new results.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import images
import portal
import results
import sending
import states
import study
import uploads
from installation import Installation, say, shown
from servers import Servers, missing


def main() -> None:
    """Make the folder named by the first argument, deliver into it, and stay until Ctrl-C."""
    installation = Installation(Path(sys.argv[1] if len(sys.argv) > 1 else "demo").resolve())
    installation.make()
    portal.prepare(installation)
    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # a closed terminal ends all of it, too
        signal.signal(ending, signal.default_int_handler)
    try:
        with _served(installation) as servers, _archived(installation) as archive, installation.running():
            portal.show(installation)
            study.demonstrate(installation)
            if servers:
                results.demonstrate(installation, servers)
                sending.demonstrate(installation)
            if archive:
                images.demonstrate(installation, archive)
            uploads.demonstrate(installation)
            states.demonstrate(installation)
            _show_next_steps(installation)
            sys.exit(installation.ended())
    except KeyboardInterrupt:
        say("\ndropslot has stopped; nothing is lost.")


@contextmanager
def _served(installation: Installation) -> Iterator[Servers | None]:
    """The clinics' servers; None, and why, where there are none."""
    if why := _without_servers(installation):
        say(f"Results to clinics are not shown: {why}")
        yield None
        return
    servers = Servers(installation.folder / "server")
    results.prepare(installation, servers)
    sending.prepare(installation, servers)
    states.prepare(installation, servers)
    say(
        "Started the clinics' machine: sshd, which takes results, and Apache, from which clinics fetch them.\n"
    )
    with servers.running():
        yield servers


@contextmanager
def _archived(installation: Installation) -> Iterator[images.Archive | None]:
    """The archive that images are sent on to; None, and why, where there is none."""
    if why := _without_images(installation):
        say(f"Images are not shown: {why}")
        yield None
        return
    archive = images.prepare(installation)
    with archive.running():
        yield archive


def _without_images(installation: Installation) -> str:
    if packages := images.missing():
        return f"install {' '.join(packages)}, then run it again"
    return _of_earlier(installation, "dicom")


def _of_earlier(installation: Installation, route: str) -> str:
    if (installation.folder / route).exists():
        return ""
    return f"{shown(installation.folder)} is of an earlier demonstration; move it away, then run it again"


def _without_servers(installation: Installation) -> str:
    if packages := missing():
        return f"install {' '.join(packages)}, then run it again"
    return _of_earlier(installation, "results")


def _show_next_steps(installation: Installation) -> None:
    config, folder, pc = shown(installation.config), shown(installation.folder), sending.hint(installation)
    portal.show(installation)
    say(f"""\
[bold]dropslot is running.[/bold] Its log is {folder}/run.log. Try next in a browser, or in another terminal:

  cp -r SOME_FOLDER {folder}/study/inbox/heart-me-visit1
  .venv/bin/dropslot history -c {config}
  .venv/bin/dropslot latest study -c {config}
  .venv/bin/dropslot history --unacknowledged -c {config}
  .venv/bin/dropslot series -c {config}
  .venv/bin/dropslot verify --fixity -c {config}

The first is delivered once it has been quiet for 5 s; the others show what went where, the newest version of each
file, what no clinic has fetched yet, the series of images with their verdicts, and that every delivered file still is
what it was.

{pc}A folder whose name is not STUDY-VISIT or STUDY-PC-VISIT, and a file, are not delivered; `dropslot arrivals
--state failed` and {folder}/study/failed say why. Any word will do for STUDY, until `must_exist` in config.yaml asks
for its folder.
Ctrl-C ends it; `make run` starts it again with the same folder.""")


if __name__ == "__main__":
    main()
