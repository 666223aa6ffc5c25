"""One-way delivery of files that matter: they arrive once, whole, for good, and you can prove it.

`Route`, `Deliver`, `Select`, `Config` and `Server` are loaded when they are used: the sender on a collection
PC is installed without Django and pydantic.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dropslot.core.release import VERSION

if TYPE_CHECKING:
    from dropslot.config import Config, Deliver, Route, Select
    from dropslot.server import Server

__all__ = ["Config", "Deliver", "Route", "Select", "Server"]
__version__ = VERSION

_HOMES = dict.fromkeys(("Config", "Deliver", "Route", "Select"), "dropslot.config") | {
    "Server": "dropslot.server"
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'dropslot' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
