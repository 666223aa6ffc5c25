"""Mistakes in a file of presets, in words: the key, its value, what was expected, an example."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from typing import Any

from dropslot.core.errors import DropslotError
from dropslot.core.settings.config_errors import NO_VALUE, Location, Problem, key_of
from dropslot.core.settings.yaml_text import Document


class PresetMistakes(DropslotError):
    """The presets cannot be used as they are; nothing was sent."""

    code = "presets"

    def __init__(self, problems: list[Problem], source: str) -> None:
        self.problems = problems
        count = len(problems)
        super().__init__(
            f"{source or 'The presets'} has {count} mistake{'s' if count != 1 else ''}",
            where="Nothing was sent",
            next_step="Correct them, then try again",
        )

    def __str__(self) -> str:
        lines = [f"{self.what}:", *(f"  {problem}" for problem in self.problems), f"{self.where}."]
        return "\n".join(lines)


class Checked:
    """A mapping of the file. Each value is asked for once; what is wrong becomes a problem, and the default counts."""

    def __init__(self, document: Document, location: Location, value: Any) -> None:
        self.document, self.location = document, location
        self.values: Mapping[str, Any] = value if isinstance(value, Mapping) else {}
        if not isinstance(value, Mapping):
            self.add((), value, "expected keys with values")

    def text(self, key: str, *, example: str, default: str | None = "") -> str:
        """A text; None as default: it must be there."""
        value = self.values.get(key)
        if value is None:
            if default is None:
                self.add((key,), NO_VALUE, "expected this key", example)
            return default or ""
        if not isinstance(value, str) or not value.strip() or "\0" in value:
            self.add((key,), value, "expected a text", example)
            return default or ""
        return value.strip()

    def texts(self, key: str, *, example: str) -> tuple[str, ...]:
        """A list of texts; one text alone is a list, too."""
        value = self.values.get(key)
        found = [value] if isinstance(value, str) else value or []
        if not isinstance(found, list) or not all(isinstance(each, str) and each for each in found):
            self.add((key,), value, "expected a list of patterns of names", example)
            return ()
        return tuple(found)

    def flag(self, key: str, *, default: bool) -> bool:
        """true or false."""
        value = self.values.get(key, default)
        if not isinstance(value, bool):
            self.add((key,), value, "expected true or false", f"{key}: false")
            return default
        return value

    def read(self, key: str, how: Callable[[Any], Any], *, example: str, default: Any) -> Any:
        """What `how` makes of the value; its ValueError says what was expected."""
        value = self.values.get(key)
        if value is None:
            return default
        try:
            return how(value)
        except ValueError as error:
            self.add((key,), value, str(error), example)
            return default

    def below(self, key: str) -> Checked:
        """The mapping under a key; an empty one when it is missing."""
        return Checked(self.document, (*self.location, key), self.values.get(key) or {})

    def only(self, known: Collection[str]) -> None:
        """Every other key is a mistake."""
        for key in self.values:
            if key not in known:
                near = get_close_matches(key, known, 1)
                expected = (
                    f"is not a key here; did you mean {near[0]}?"
                    if near
                    else f"expected one of {', '.join(known)}"
                )
                self.add((key,), NO_VALUE, expected)

    def add(self, below: Location, value: Any, expected: str, example: str = "") -> None:
        """One mistake more."""
        location = (*self.location, *below)
        line = self.document.line_of(location)
        self.document.problems.append(Problem(key_of(location), value, expected, line, example))
