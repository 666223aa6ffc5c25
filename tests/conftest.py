"""Fixtures that every room of the tests may use."""

from __future__ import annotations

pytest_plugins = ["databases"]
