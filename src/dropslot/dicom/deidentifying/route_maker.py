"""The maker of a route, from its keys."""

from __future__ import annotations

from pathlib import Path

from dropslot.config import Config, Route, load_dotted
from dropslot.config.mistakes.remedies import in_words
from dropslot.config.plugins import make_named
from dropslot.core.errors import BadOption
from dropslot.dicom.deidentifying.config_keys import Deidentify, deidentify_of
from dropslot.dicom.deidentifying.maker import DeidentifyingMaker
from dropslot.dicom.deidentifying.pseudonyms import PseudonymService
from dropslot.dicom.deidentifying.secret_key import SecretKey
from dropslot.dicom_files.deidentifier import recipes


def maker_of(config: Config, route: Route) -> DeidentifyingMaker | None:
    """What de-identifies the items of a route; None: nothing does. Raises BadOption."""
    wanted = deidentify_of(route)
    if wanted is None:
        return None
    recipe = recipe_of(route.key, wanted.recipe)
    question = {
        "options": list(wanted.options),
        "dates": wanted.dates,
        "accept": list(wanted.accept),
        "recipe": [list(rule) for rule in recipe.rules],
        "labels": [list(label) for label in recipe.labels],
        "method": _method(wanted),
    }
    return DeidentifyingMaker(
        route.key, question, SecretKey(config.keys), _service(route.key, wanted.pseudonyms)
    )


def _method(wanted: Deidentify) -> list[str]:
    lines = ["dropslot: DICOM PS3.15 Annex E, Basic Profile", *wanted.options, f"dates: {wanted.dates}"]
    if wanted.recipe:
        lines.append("changed by a recipe")
    return lines


def recipe_of(route: str, path: Path | None) -> recipes.Recipe:
    """The recipe of a route; an empty one if it has none. Raises BadOption."""
    if path is None:
        return recipes.Recipe()
    title = f"`recipe` of route {route}, {path},"
    try:
        return recipes.read(path.read_text("utf-8"))
    except OSError as error:
        raise BadOption(f"{title} cannot be read: {in_words(error, path)}") from error
    except (recipes.BadRecipe, UnicodeDecodeError) as error:
        raise BadOption(f"{title} cannot be followed: {error}", next_step="Correct it") from error


def _service(route: str, dotted: str | None) -> PseudonymService | None:
    if dotted is None:
        return None
    title = f"`pseudonyms` of route {route}, {dotted!r},"
    return make_named(lambda: load_dotted(dotted)(), (PseudonymService,), title, "Correct it in config.yaml")
