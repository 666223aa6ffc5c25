"""What the window remembers from one time to the next, in `window.ini` beside the settings. Never a password."""

from __future__ import annotations

from PySide6.QtCore import QByteArray, QSettings

from dropslot.sender.home_folder import home

_RECENT = 8  # names


class Memory:
    """Sizes, the study that was shown last, and who sent what."""

    def __init__(self) -> None:
        self._kept = QSettings(str(home() / "window.ini"), QSettings.Format.IniFormat)

    def geometry(self) -> QByteArray:
        """The window's place and size; empty: never kept."""
        kept = self._kept.value("geometry")
        return kept if isinstance(kept, QByteArray) else QByteArray()

    def keep_geometry(self, geometry: QByteArray) -> None:
        self._kept.setValue("geometry", geometry)

    def study(self) -> str:
        """The preset that was chosen last."""
        return self._text("study")

    def keep_study(self, preset: str) -> None:
        self._kept.setValue("study", preset)

    def text_size(self) -> float:
        """In points; 0: the system's."""
        text = self._text("text_size")
        return float(text) if text.replace(".", "", 1).isdigit() else 0.0

    def keep_text_size(self, points: float) -> None:
        self._kept.setValue("text_size", str(points))

    def user(self, preset: str) -> str:
        """Who sent this study last."""
        return self._text(f"users/{preset}")

    def users(self) -> list[str]:
        """Who sent from this PC, the last one first."""
        return [name for name in self._text("recent").split("\n") if name]

    def keep_user(self, preset: str, name: str) -> None:
        others = [each for each in self.users() if each != name]
        self._kept.setValue("recent", "\n".join([name, *others][:_RECENT]))
        self._kept.setValue(f"users/{preset}", name)

    def forget_users(self) -> None:
        """All names, of every study."""
        self._kept.remove("recent")
        self._kept.remove("users")
        self._kept.sync()  # at once: somebody wants them to be gone

    def _text(self, key: str) -> str:
        kept = self._kept.value(key, "")
        return kept if isinstance(kept, str) else ""
