"""For the tests of DICOM."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _sockets_of_cut_connections_are_gone(little_to_collect: None) -> Iterator[None]:
    """pynetdicom leaves sockets of cut connections to the garbage collector. Collected later, they would fail another
    test, whose warnings are errors."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
