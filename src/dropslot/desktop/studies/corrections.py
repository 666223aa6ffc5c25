"""Mistakes in the form of a study, by the names of its fields: who fills it in has never seen settings.yaml."""

from __future__ import annotations

from collections.abc import Sequence

from dropslot.core.errors import DropslotError
from dropslot.core.names import escape
from dropslot.core.settings.config_errors import NO_VALUE, Problem
from dropslot.sender.presets.mistakes import PresetMistakes

_FIELDS = {
    "": "Which study?",
    "to": "Where to?",
    "route": "Route:",
    "folders": "Which folders of this computer?",
    "exclude": "Leave out:",
}


class FormMistakes(DropslotError):
    """What is in the form cannot be saved; `problems` has a sentence for each field."""

    code = "form"

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("Please correct this", where="Nothing was saved")
        self.problems = problems


def in_the_form(error: DropslotError, study: str) -> DropslotError:
    """The error by the names of the fields, if all of it is about what the form says of this study."""
    if not isinstance(error, PresetMistakes):
        return error
    fields = [_field(problem, f"presets.{escape(study)}") for problem in error.problems]
    if not all(fields):
        return error
    return FormMistakes(list(map(_sentence, fields, error.problems)))


def _field(problem: Problem, preset: str) -> str:
    if problem.key != preset and not problem.key.startswith(f"{preset}."):
        return ""
    key = problem.key.removeprefix(preset).removeprefix(".").partition(".")[0]
    return _FIELDS.get("" if key == "study" else key, "")


def _sentence(field: str, problem: Problem) -> str:
    if problem.value is NO_VALUE:
        return f"{field} Please answer this."
    expected = f"{problem.expected[:1].upper()}{problem.expected[1:]}"
    example = "" if "{" in problem.example else problem.example.partition(": ")[2]
    return f"{field} {expected}.{f' For example: {example}' if example else ''}"
