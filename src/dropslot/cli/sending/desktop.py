"""The command that opens the window of the sender."""

from __future__ import annotations

import typer

from dropslot.core.errors import DropslotError

commands = typer.Typer()


class NoWindow(DropslotError):
    """The packages of the window are not installed, or this computer cannot show one."""

    code = "no-window"


@commands.command()
def desktop() -> None:
    """Open the window that sends what is new, and shows what arrived."""
    try:
        from dropslot.desktop.window_program import run
    except ImportError as error:
        raise NoWindow(
            f"The window cannot be opened: {error}",
            where="Nothing was sent",
            next_step="Install its packages: pip install 'dropslot[desktop]'; `dropslot send` works without them",
        ) from error
    raise typer.Exit(run())
