"""Fixtures that every test may use, and the rule that CI skips nothing."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Generator
from pathlib import Path

import hypothesis
import pytest

pytest_plugins = [
    "apache",
    "brokers",
    "databases",
    "exim",
    "lanes",
    "mounts",
    "nodes",
    "people",
    "hosts",
    "postbox",
    "product",
    "prometheus",
    "moving",
    "losing",
    "portals",
    "browsing",
    "samba",
    "slapd",
    "sshd",
    "stores",
    "nginx",
    "tracing",
    "tsa",
    "user_manager",
    "webhooks",
]

# Times are in no test: on a busy machine any example may take longer than hypothesis' 200 ms.
hypothesis.settings.register_profile(
    "unhurried", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("unhurried")

SOURCE = Path(__file__).parent.parent / "src"


def pytest_configure(config: pytest.Config) -> None:
    # A shell without job control starts what is in the background with Ctrl-C ignored, and children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # A checkout that is not installed is tested all the same, in child processes too.
    if str(SOURCE) not in sys.path:
        sys.path.insert(0, str(SOURCE))
    # Compiled once: otherwise each of a thousand commands, and each test process, compiles all that it imports.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _refuse_skip(item, report)
    return report


def _refuse_skip(item: pytest.Item, report: pytest.TestReport) -> None:
    """In CI a test that cannot run has failed, unless it is marked `may_skip` with the reason."""
    expected_failure = hasattr(report, "wasxfail")
    if (
        report.skipped
        and os.environ.get("CI")
        and not expected_failure
        and not item.get_closest_marker("may_skip")
    ):
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI does not allow: {report.longrepr}"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that use up a machine-wide resource take turns on one worker. So do those with systemd's user manager: two
    managers of one account have one place for the processes of a service, and end each other's."""
    for item in items:
        if item.get_closest_marker("exclusive"):
            item.add_marker(pytest.mark.xdist_group("exclusive"))
        elif "user_manager" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("user-manager"))


def pytest_collection_finish() -> None:
    # Five thousand tests stay until the end: no garbage collection needs to look at them again.
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _process_that_has_just_started() -> None:
    """Each test finds nothing of what this process kept for an earlier one."""
    from dropslot.core import context

    context.renew()


@pytest.fixture(scope="module")
def little_to_collect() -> None:
    """For tests that collect garbage: that takes a tenth of a second of all that is loaded, and next to nothing of what
    the tests of one module have made."""
    gc.collect()
    gc.freeze()
