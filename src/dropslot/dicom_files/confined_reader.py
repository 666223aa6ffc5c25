"""Asks a process without rights that sees one file and ends: a file that takes it over changes what is seen of no
other file."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from dropslot.core.errors import DropslotError
from dropslot.parsing.process import BreaksParser, NotParsed, Parser

# Limits this process, and remembers nothing: it is not in the context.
_AT_ONCE = threading.BoundedSemaphore(2)


class CannotLook(DropslotError):
    """The file cannot be shown; it says why."""

    code = "cannot-be-shown"


def memory(stack: ExitStack, name: str, size_bytes: int) -> int:
    """Memory that the other process writes into."""
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC)
    stack.callback(os.close, descriptor)
    os.ftruncate(descriptor, size_bytes)
    return descriptor


def asked(
    module: str, descriptors: Sequence[int], question: Mapping[str, Any], seconds: float, memory_bytes: int
) -> dict[str, Any]:
    """What `parse` of the module says, if it is a dictionary. Raises CannotLook."""
    with _AT_ONCE:
        parser = Parser(module, memory_bytes)
        try:
            said = parser.ask(descriptors, question, seconds)
        except BreaksParser as error:
            raise CannotLook("It is damaged, or needs too much time or memory") from error
        except NotParsed as error:
            raise CannotLook("It cannot be shown now; try again in a minute") from error
        finally:
            parser.close()
    return said if isinstance(said, dict) else {}
