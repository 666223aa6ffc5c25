"""`send --watch`, the service that runs it, and what is taken over from dittohead."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from dropslot.cli.output.failures import UsageError
from dropslot.cli.sending import wanted
from dropslot.cli.sending.asking import Silent
from dropslot.cli.sending.telling import Changes, Json
from dropslot.cli.sending.wanted import Options
from dropslot.core.names import escape
from dropslot.sender.engine.control import Control
from dropslot.sender.home import settings_file
from dropslot.sender.presets.loading import load
from dropslot.sender.presets.preset import Preset


def watch(words: Sequence[str], options: Options, settle_seconds: float, *, as_json: bool) -> None:
    """Send by itself what is done. Returns never."""
    from dropslot.sender.unattended import watching

    presets = _presets(words, options)
    told = Json() if as_json else Changes()
    told.say(f"Watching {', '.join(escape(each.name) for each in presets)}. Ctrl-C ends it.")
    watching.watch(presets, Silent(), told, Control(), settle_seconds)


def install_service(words: Sequence[str], options: Options, settle_seconds: float) -> None:
    """Install the service that watches, for this account."""
    from dropslot.sender.unattended import installing, service

    presets = _presets(words, options)
    if options.to:
        raise UsageError(
            "A service sends presets, and --to was given",
            where="Nothing was installed",
            next_step=f"Write a preset into {escape(str(settings_file()))}, or make one in the window, and name it",
        )
    command = [*service.program(), "send", *(each.name for each in presets), "--watch"]
    command += [f"--settle={settle_seconds:g}", *_as_words(options)]
    _say(installing.install(service.service(command)))


def uninstall_service() -> None:
    """Stop it, and remove it."""
    from dropslot.sender.unattended import installing, service

    _say(installing.uninstall(service.service(service.program())))


def import_dittohead(presets: Path, options: Options) -> None:
    """Take over presets of dittohead, and what it sent."""
    from dropslot.sender.dittohead.importing import Importing
    from dropslot.sender.engine.recovering import open_ledger

    ledger = open_ledger(Changes())
    try:
        _say(Importing(presets, options.settings or settings_file(), ledger, options.to).run())
    finally:
        ledger.close()


def _presets(words: Sequence[str], options: Options) -> list[Preset]:
    """Those that are named; all, if none is."""
    found = wanted.presets(words or list(load(options.settings).presets), options)
    if not found:
        raise UsageError(
            "There is no preset to watch",
            next_step=f"Write one into {escape(str(settings_file()))}, or make one in the window",
        )
    return found


def _as_words(options: Options) -> Iterator[str]:
    """The options once more, with whole paths: a service is started elsewhere."""
    for key, value in asdict(options).items():
        is_path = key in ("key", "known_hosts", "token_file", "settings")
        name = "subfolder" if key == "subfolders" else key.replace("_", "-")
        for each in value if isinstance(value, tuple) else [value] if value else []:
            yield f"--{name}={os.path.abspath(os.path.expanduser(each)) if is_path else each}"


def _say(sentences: Iterable[str]) -> None:
    for sentence in sentences:
        sys.stdout.write(f"{sentence}\n")
        sys.stdout.flush()
