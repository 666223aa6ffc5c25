"""`send --watch`, the service that runs it, and what is taken over from dittohead."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from dropslot.cli.output.exit_status import UsageError
from dropslot.cli.sending import preset_options
from dropslot.cli.sending.preset_options import Options
from dropslot.cli.sending.telling import Changes, Json
from dropslot.cli.sending.terminal_prompts import Silent
from dropslot.core.names import escape
from dropslot.sender.connecting import PATHS
from dropslot.sender.engine.control import Control
from dropslot.sender.home_folder import VARIABLE, home, settings_file
from dropslot.sender.local_paths import shown_path
from dropslot.sender.new_files.preset_scan import Wish
from dropslot.sender.presets.load_presets import load
from dropslot.sender.presets.preset import Preset


@dataclass(frozen=True, slots=True)
class Unattended:
    """What was asked for: presets by their names (none: all), and how to send them."""

    words: tuple[str, ...]
    options: Options
    wish: Wish
    settle_seconds: float

    def watch(self, *, as_json: bool) -> None:
        """Send by itself what is done. Returns never."""
        from dropslot.sender.unattended import send_watch

        gc.enable()
        presets = self._presets()
        told = Json() if as_json else Changes()
        told.say(f"Watching {', '.join(escape(each.name) for each in presets)}. Ctrl-C ends it.")
        send_watch.watch(presets, Silent(), told, Control(), self.settle_seconds, self.wish)

    def install_service(self) -> None:
        """Install the service that watches, for this account."""
        from dropslot.sender.unattended import install_login_service, login_service

        presets = self._presets()
        if self.options.access.to:
            raise UsageError(
                "A service sends presets, and --to was given",
                where="Nothing was installed",
                next_step=f"Write a preset into {shown_path(settings_file())}, or make one in the window, and name it",
            )
        command = [*login_service.program(), "send", *(each.name for each in presets), "--watch"]
        command += [f"--settle={self.settle_seconds:g}", *self._as_words()]
        _say(install_login_service.install(login_service.service(command)))

    def uninstall_service(self) -> None:
        """Stop it, and remove it."""
        from dropslot.sender.unattended import install_login_service, login_service

        _say(install_login_service.uninstall(login_service.service(login_service.program())))

    def import_dittohead(self, presets: Path) -> None:
        """Take over presets of dittohead, and what it sent."""
        from dropslot.sender.dittohead.preset_import import Importing
        from dropslot.sender.engine.recovering import open_ledger

        ledger = open_ledger(Changes())
        settings = self.options.settings or settings_file()
        try:
            _say(Importing(presets, settings, ledger, self.options.access.to).run())
        finally:
            ledger.close()

    def _presets(self) -> list[Preset]:
        if self.wish.everything or self.wish.again or self.wish.since:
            raise UsageError(
                "--all, --again and --since are for one send",
                where="Nothing was sent",
                next_step="Leave them out, or leave out --watch and --install-service",
            )
        found = preset_options.presets(self.words or list(load(self.options.settings).presets), self.options)
        if not found:
            raise UsageError(
                "There is no preset to watch",
                next_step=f"Write one into {shown_path(settings_file())}, or make one in the window",
            )
        return found

    def _as_words(self) -> Iterator[str]:
        """The options once more, with whole paths: a service is started elsewhere."""
        if os.environ.get(VARIABLE):  # not every system lets a service have an environment
            yield f"--home={home()}"
        options = asdict(self.options)
        for key, value in {**options.pop("access"), **options, "exclude": self.wish.exclude}.items():
            is_path = key in (*PATHS, "settings")
            name = "subfolder" if key == "subfolders" else key.replace("_", "-")
            for each in value if isinstance(value, tuple) else [value] if value else []:
                yield f"--{name}={os.path.abspath(os.path.expanduser(each)) if is_path else each}"


def _say(sentences: Iterable[str]) -> None:
    for sentence in sentences:
        sys.stdout.write(f"{sentence}\n")
        sys.stdout.flush()
