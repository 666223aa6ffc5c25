"""Debian's chromium, driven by playwright, on a portal that runs as a real process.

`page`        a window before anybody has signed in, at 1280 pixels; relative addresses are those of `served`.
`signed_in`   `signed_in("operator")` is a window of an account with that role; it is made if it is missing.
`faults`      what a window must not have: errors in its console, broken rules of the content security policy, requests
              to other hosts, failed scripts. The test fails at its end if there are any, unless it has said
              `faults.expects("404")` of them.

The tests of a module that use the browser run in one process, one after the other: it is started once for them.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, sync_playwright

from portals import PASSWORD, Served

WIDE, NARROW = (1280, 900), (390, 844)
LOOKS = tuple((colours, size) for colours in ("light", "dark") for size in (WIDE, NARROW))
# Each of the colours and each of the widths, for half the time.
TWO_LOOKS = (("light", WIDE), ("dark", NARROW))
# One loop makes the rows of a table: what the first thirty have right, the four hundredth has, too.
_RUN_AXE = """axe.run({exclude: [["tbody tr:nth-child(n+31)"]]}, {resultTypes: ["violations"]})
    .then(report => report.violations)"""
_GRAVE = frozenset({"serious", "critical"})

SignedIn = Callable[..., Page]


@dataclass
class Faults:
    """What went wrong in the windows of one test."""

    found: list[str] = field(default_factory=list)
    _expected: list[str] = field(default_factory=list)

    def expects(self, pattern: str) -> None:
        """Faults that match this regular expression are what the test is about."""
        self._expected.append(pattern)

    @property
    def unexpected(self) -> list[str]:
        return [fault for fault in self.found if not any(re.search(one, fault) for one in self._expected)]

    def watch(self, context: BrowserContext, own_host: str) -> None:
        """Note from now on what goes wrong in these windows."""

        def asked(request: Request) -> None:
            parts = urlsplit(request.url)
            if parts.scheme in ("http", "https", "ws", "wss") and parts.netloc != own_host:
                self.found.append(f"another host is asked: {request.url}")

        def said(message: ConsoleMessage) -> None:
            if message.type == "error":
                self.found.append(f"console: {message.text} {message.location}")

        context.on("request", asked)
        context.on("weberror", lambda error: self.found.append(f"script: {error.error}"))
        context.on("console", said)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "chromium" in getattr(item, "fixturenames", ()) and not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(item.path.stem.removeprefix("test_")))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for the tests of a module."""
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("chromium is not installed (apt-get install chromium)")
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        # playwright's own event loop counts as running, but nothing of ours runs in it.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        browser = playwright.chromium.launch(executable_path=path, args=sandbox)
        yield browser
        browser.close()


@pytest.fixture
def faults() -> Iterator[Faults]:
    faults = Faults()
    yield faults
    assert faults.unexpected == []


@pytest.fixture
def windows(chromium: Browser, served: Served, faults: Faults) -> Iterator[Callable[..., BrowserContext]]:
    """Make a browser with cookies of its own, for the portal `served`, which is started if it does not run; options are
    those of playwright's `new_context`."""
    made: list[BrowserContext] = []

    def make(**options: Any) -> BrowserContext:
        if served.process is None:
            served.start()
        made.append(new_context(chromium, served.url, **options))
        faults.watch(made[-1], urlsplit(served.url).netloc)
        return made[-1]

    yield make
    for context in made:
        context.close()


def new_context(browser: Browser, url: str, **options: Any) -> BrowserContext:
    """A browser with cookies of its own; relative addresses are below `url`."""
    size = options.pop("size", WIDE)
    wanted = {"base_url": url, "viewport": {"width": size[0], "height": size[1]}, "locale": "en-GB"}
    return browser.new_context(**wanted | options)


@pytest.fixture
def page(windows: Callable[..., BrowserContext]) -> Page:
    return windows().new_page()


@pytest.fixture
def signed_in(windows: Callable[..., BrowserContext], served: Served) -> SignedIn:
    """`signed_in(role, *options_of_adduser, name=…, **options_of_new_context)`: the home page of an account, which has
    the role's name unless it is given one."""
    have: set[str] = set()

    def sign_in(role: str, *more: str, name: str = "", **options: Any) -> Page:
        name = name or role
        page = windows(**options).new_page()
        if name not in have:
            served.account(name, role, *(more or bounds(role)))
            have.add(name)
        enter(page, name)
        return page

    return sign_in


def bounds(role: str) -> tuple[str, ...]:
    """Options of `adduser` for roles that see only a part: as rita and stella of `Site`."""
    return {
        "recipient": ("--route", "results", "--folder", "north"),
        "study-runner": ("--study", "heart"),
    }.get(role, ())


def enter(page: Page, name: str, password: str = PASSWORD) -> None:
    """Sign in as people do; on return the home page is there."""
    page.goto("/account/login/")
    page.locator("input[name=login]").fill(name)
    page.locator("input[name=password]").fill(password)
    page.locator("input[name=password]").press("Enter")
    page.wait_for_url(lambda url: "/account/login" not in url)


def findings(page: Page) -> list[str]:
    """What axe calls serious or critical on the page as it is now, with the places."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(Axe().axe_script)
    # Only what is wrong: to bring over all that is right takes a third of the time.
    violations = page.evaluate(_RUN_AXE)
    return [
        f"{one['impact']} {one['id']}: {one['help']}: {', '.join(str(node['target']) for node in one['nodes'][:5])}"
        for one in violations
        if one["impact"] in _GRAVE
    ]


def findings_in_each_look(page: Page, looks: Sequence[tuple[Any, tuple[int, int]]] = TWO_LOOKS) -> list[str]:
    """The same for the page in light and dark, wide and narrow (`LOOKS`: each with each); nothing may need scrolling to
    the side."""
    found = []
    for colours, (width, height) in looks:
        page.emulate_media(color_scheme=colours, reduced_motion="reduce")
        page.set_viewport_size({"width": width, "height": height})
        here = f"{urlsplit(page.url).path} {colours} {width}"
        found += [f"{here}: {finding}" for finding in findings(page)]
        if (needed := page.evaluate("document.documentElement.scrollWidth")) > width:
            found.append(f"{here}: the page is {needed} pixels wide")
    return found
