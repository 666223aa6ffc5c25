"""Dotted paths: found without running anything, imported when they are used."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from dropslot.config.mistakes import blame
from dropslot.core.errors import BadOption

FOLDER = "plugins"
T = TypeVar("T")


class _PluginsFinder:
    """Makes a package of the folders `plugins` beside config.yaml, where no other package has that name."""

    def __init__(self) -> None:
        self.folders: list[str] = []

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None = None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        if name != FOLDER:
            return None
        spec = ModuleSpec(name, None, is_package=True)
        # The list itself: a folder that is added later belongs to the package too.
        spec.submodule_search_locations = self.folders
        return spec


# Not in the process's context: sys.meta_path, which is Python's, holds it.
_FINDER = _PluginsFinder()


def make_importable(base: Path) -> None:
    """Let what is in `base`/plugins be imported, as `mylab.tasks` and as `plugins.mylab.tasks`.

    It comes after everything that is installed, so that it replaces nothing. `base` itself is not importable:
    folders beside config.yaml are where senders put files.
    """
    folder = str(base / FOLDER)
    if not os.path.isdir(folder):
        return
    if folder not in sys.path:
        sys.path.append(folder)
    if folder not in _FINDER.folders:
        _FINDER.folders.append(folder)
    if _FINDER not in sys.meta_path:
        sys.meta_path.append(_FINDER)


def load_dotted(dotted: str) -> Any:
    """What the dotted path names, imported. Raises ImportError in words."""
    module_name, _, name = dotted.rpartition(".")
    module = import_module(module_name)
    try:
        return getattr(module, name)
    except AttributeError as error:
        raise ImportError(f"module {module_name} has no {name}", name=module_name) from error


def make_named(make: Callable[[], object], bases: tuple[type[T], ...], title: str, remedy: str) -> T:
    """Make something that config.yaml names. Raises BadOption if that fails, or if it is none of the `bases`."""
    try:
        made = make()
    except BadOption:
        raise
    except Exception as error:
        raise BadOption(f"{title} cannot be created: {blame.in_words(error)}", next_step=remedy) from error
    if not isinstance(made, bases):
        wanted = " or ".join(f"{base.__module__}.{base.__qualname__}" for base in bases)
        raise BadOption(f"{title} is not a {wanted}", next_step=remedy)
    return made


def fault_of_dotted(dotted: str) -> str | None:
    """Why a dotted path cannot be imported; None when its module is there. Whether that has the name is seen when the
    service starts, and imports it.

    Nothing is imported: every command reads the configuration, `--help` and listings too, and none of them is to run
    other people's code; nor can models be imported while Django's settings are read.
    """
    module_name = dotted.rpartition(".")[0]
    if _find(module_name) is None:
        return f"expected something that can be imported, but there is no module {module_name}"
    return None


def _find(module_name: str) -> ModuleSpec | None:
    loaded = sys.modules.get(module_name)
    if loaded is not None and loaded.__spec__ is not None:
        return loaded.__spec__
    path: Sequence[str] | None = None
    spec: ModuleSpec | None = None
    parts = module_name.split(".")
    for depth in range(len(parts)):
        spec = _find_part(".".join(parts[: depth + 1]), path)
        if spec is None or (depth + 1 < len(parts) and spec.submodule_search_locations is None):
            return None
        path = list(spec.submodule_search_locations or ())
    return spec


def _find_part(full_name: str, path: Sequence[str] | None) -> ModuleSpec | None:
    loaded = sys.modules.get(full_name)
    if loaded is not None and loaded.__spec__ is not None:
        return loaded.__spec__
    if path is not None:
        return PathFinder.find_spec(full_name, path)
    finders = (finder.find_spec(full_name, None) for finder in sys.meta_path if hasattr(finder, "find_spec"))
    return next((spec for spec in finders if spec is not None), None)
