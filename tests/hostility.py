# mypy: disable-error-code="misc"
"""Arrivals that senders could make on purpose: each with what its refusal must name."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import bagit

SECRET = b"the secret of somebody else\n"
GOOD = b"a good file beside the bad one\n"
DEEP = 1_000
TERABYTE = 1 << 40

Build = Callable[[Path, Path], object]


@dataclass(frozen=True)
class Hostile:
    """`build(path, outside)` makes the arrival at `path`; its refusal says `names` (of the item) and `why`."""

    key: str
    build: Build
    names: str
    why: str
    arrival: bytes = b""  # its name in the inbox; the key unless given
    route: str = "study"

    @property
    def name(self) -> str:
        return os.fsdecode(self.arrival) if self.arrival else self.key


def folder_with(make: Build) -> Build:
    """A folder that has a good file besides what `make` puts into it."""

    def build(path: Path, outside: Path) -> None:
        path.mkdir()
        (path / "a-good.txt").write_bytes(GOOD)
        make(path, outside)

    return build


def _link(name: str, target: str) -> Build:
    return folder_with(lambda path, outside: (path / name).symlink_to(target.format(outside=outside)))


def _top_link(target: str) -> Build:
    return lambda path, outside: path.symlink_to(target.format(outside=outside))


def _hard_link(path: Path, outside: Path) -> None:
    os.link(outside / "secret.txt", path / "harmless.txt")


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    """A socket of that name; the path may be of any length."""
    with socket.socket(socket.AF_UNIX) as made:
        # By its folder's descriptor: a socket's own path has at most 108 bytes.
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        made.bind(f"/proc/self/fd/{folder}/{path.name}")
        os.close(folder)


def _device(kind: int) -> Callable[[Path], None]:
    return lambda path: os.mknod(path, 0o666 | kind, os.makedev(1, 3))


def _special(make: Callable[[Path], None]) -> Build:
    return folder_with(lambda path, outside: make(path / "special"))


def _with_bit(bit: int) -> Build:
    def make(path: Path, outside: Path) -> None:
        (path / "tool").write_bytes(b"#!/bin/sh\n")
        (path / "tool").chmod(0o755 | bit)

    return folder_with(make)


def _named(name: bytes) -> Build:
    return folder_with(lambda path, outside: (path / os.fsdecode(name)).write_bytes(b"x"))


def _plain(path: Path, outside: Path) -> None:
    path.write_bytes(b"x")


def _reserved(path: Path, outside: Path) -> None:
    (path / "inner/.DropSlot/manifests").mkdir(parents=True)
    (path / "inner/.DropSlot/manifests/x.sha256").write_bytes(b"x")


def _down(path: Path, name: str, times: int) -> None:
    """`times` folders inside each other, made by going down: the whole path may be longer than any call takes."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(times):
        os.mkdir(name, dir_fd=folder)
        below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
        os.close(folder)
        folder = below
    os.close(os.open("bottom.txt", os.O_CREAT | os.O_WRONLY, 0o600, dir_fd=folder))
    os.close(folder)


def depth_of(path: Path) -> int:
    """How many folders lie inside each other below `path`, down to bottom.txt."""
    folder, depth = os.open(path, os.O_RDONLY | os.O_DIRECTORY), 0
    while "bottom.txt" not in (names := os.listdir(folder)):
        [inner] = [name for name in names if name != "a-good.txt"]
        below = os.open(inner, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
        os.close(folder)
        folder, depth = below, depth + 1
    os.close(folder)
    return depth


def _sparse(path: Path, outside: Path) -> None:
    (path / "sparse.img").touch()
    os.truncate(path / "sparse.img", TERABYTE)


def _bag(spoil: Callable[[Path], None]) -> Build:
    def build(path: Path, outside: Path) -> None:
        path.mkdir()
        (path / "a.txt").write_bytes(b"alpha")
        (path / "b.txt").write_bytes(b"beta")
        bagit.make_bag(str(path), checksums=["sha256"])
        spoil(path)

    return build


def _escaping(path: Path) -> None:
    line = f"{hashlib.sha256(SECRET).hexdigest()}  ../../outside/secret.txt\n"
    with (path / "manifest-sha256.txt").open("a") as manifest:
        manifest.write(line)


def _malformed(path: Path) -> None:
    (path / "manifest-sha256.txt").write_text("no digest here\n")


def everything() -> Iterator[Hostile]:
    """All that is refused by a route that takes anything."""
    yield from _links()
    yield from _special_files()
    yield from _names()
    yield Hostile("deep", folder_with(lambda p, _: _down(p, "d", DEEP)), "d/d/d", "deep")
    yield Hostile("long-path", folder_with(lambda p, _: _down(p, "n" * 200, 25)), "nnnn", "bytes")
    yield Hostile("sparse", folder_with(_sparse), "sparse.img", "whole file system", route="small")
    yield from _bags()


def _links() -> Iterator[Hostile]:
    targets = {
        "file": "{outside}/secret.txt",
        "folder": "{outside}/folder",
        "etc": "/etc",
        "passwd": "/etc/passwd",
        "parent": "..",
        "itself": "link",
        "dangling": "{outside}/nothing",
    }
    for what, target in targets.items():
        yield Hostile(f"link-to-{what}", _link("link", target), "link", "symbolic link")
        top = f"top-link-to-{what}"
        yield Hostile(top, _top_link(top if what == "itself" else target), top, "symbolic link")
    yield Hostile("hard-link", folder_with(_hard_link), "harmless.txt", "hard links")
    link = lambda path, outside: os.link(outside / "linked.txt", path)  # noqa: E731
    yield Hostile("top-hard-link", link, "top-hard-link", "hard links")


class _Special(NamedTuple):
    what: str
    make: Callable[[Path], None]
    why: str


def _special_files() -> Iterator[Hostile]:
    for what, make, why in (
        _Special("fifo", _fifo, "FIFO"),
        _Special("socket", make_socket, "socket"),
        _Special("character-device", _device(stat.S_IFCHR), "character device"),
        _Special("block-device", _device(stat.S_IFBLK), "block device"),
    ):
        yield Hostile(what, _special(make), "special", why)
        yield Hostile(f"top-{what}", lambda path, outside, make=make: make(path), f"top-{what}", why)
    yield Hostile("setuid", _with_bit(stat.S_ISUID), "tool", "setuid")
    yield Hostile("setgid", _with_bit(stat.S_ISGID), "tool", "setuid or setgid")


def _names() -> Iterator[Hostile]:
    for what, name, shown in (
        ("newline", b"two\nlines", r"two\x0alines"),
        ("carriage-return", b"over\rwritten", r"over\x0dwritten"),
        ("escape", b"red\x1b[31m\x1b]0;title\x07", r"red\x1b[31m"),
        ("delete", b"rub\x7fout", r"rub\x7fout"),
        ("c1-control", "csi\u009b31m".encode(), r"csi\u009b31m"),
        ("bidi", "gpj\u202eexe.txt".encode(), r"gpj\u202eexe.txt"),
        ("isolate", "a\u2066b".encode(), r"a\u2066b"),
        ("line-separator", "a\u2028b".encode(), r"a\u2028b"),
        ("invalid-utf-8", b"bad\xff\xfe.dat", r"bad\xff\xfe.dat"),
        ("overlong-utf-8", b"a\xc0\xafb", r"a\xc0\xafb"),
    ):
        yield Hostile(f"name-{what}", _named(name), shown, "the name")
        yield Hostile(f"top-name-{what}", _plain, shown, "the name", arrival=b"top-" + name)
    yield Hostile("name-reserved", folder_with(_reserved), "inner/.DropSlot", "reserved")


def _bags() -> Iterator[Hostile]:
    extra = lambda p: (p / "data/extra.txt").write_bytes(b"x")  # noqa: E731
    changed = lambda p: (p / "data/b.txt").write_bytes(b"BETA")  # noqa: E731
    yield Hostile("bag-missing", _bag(lambda p: (p / "data/b.txt").unlink()), "data/b.txt", "")
    yield Hostile("bag-extra", _bag(extra), "data/extra.txt", "")
    yield Hostile("bag-changed", _bag(changed), "data/b.txt", "")
    yield Hostile("bag-escaping", _bag(_escaping), "../../outside/secret.txt", "")
    yield Hostile("bag-malformed", _bag(_malformed), "manifest-sha256.txt", "")
    folder = lambda p: shutil.rmtree(p / "data")  # noqa: E731
    yield Hostile("bag-without-payload", _bag(folder), "data/", "")


# Odd names that harm nobody: delivered as they are, and never run, expanded or taken for an option.
HARMLESS = (
    "...",
    ".. ",
    "..\\..\\etc",
    "~root",
    "-rf",
    "$(touch pwned)",
    "`touch pwned`",
    "a;touch pwned",
    "%s%n%x",
    "<img src=x onerror=alert(1)>",
    "[bold red]markup",
    "CON",
    "{study}",
    "x' OR 1=1 --",
    " blanks ",
    "ÄÖ😀.txt",
    ".hidden",
    "n" * 251 + ".txt",
)


def plant_outside(root: Path) -> Path:
    """Files of somebody else beside the product, which nothing may touch."""
    outside = root / "outside"
    (outside / "folder").mkdir(parents=True)
    (outside / "secret.txt").write_bytes(SECRET)
    (outside / "folder/inner.txt").write_bytes(SECRET + b"inner\n")
    (outside / "linked.txt").write_bytes(SECRET)
    (outside / "secret.txt").chmod(0o640)
    os.chown(outside / "secret.txt", 2, 2)
    return outside


def look_of(folder: Path) -> dict[str, tuple[object, ...]]:
    """Bytes, owner, modes and times of everything in a folder; ctime too, which nobody can set back. The moves of its
    other link leave a trace in that of linked.txt, which is left out."""
    seen: dict[str, tuple[object, ...]] = {}
    for path in sorted([folder, *folder.rglob("*")]):
        status = path.lstat()
        data = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
        changed = 0 if path.name == "linked.txt" else status.st_ctime_ns
        owner = (status.st_uid, status.st_gid, status.st_mode)
        seen[str(path)] = (*owner, status.st_mtime_ns, changed, status.st_ino, data)
    return seen


# Names of arrivals and items that a page, header, export or mail may break on. `hx-evil` is no element of any page.
PAGE_BREAKERS = (
    "<hx-evil>",
    "<hx-evil onclick=alert(1)>",
    "<script>alert(1)<",
    '"><hx-evil x="',
    "'><hx-evil x='",
    "' onmouseover='alert(1)",
    '" onfocus="alert(1)" autofocus="',
    "`onfocus=alert(1)",
    "<!--",
    "--><hx-evil>",
    "]]><hx-evil>",
    "<hx-evil",
    "<img src=x onerror=alert(1)>",
    "<iframe srcdoc=x>",
    "<style>@import x",
    "<base href=x>",
    "<meta http-equiv=refresh>",
    "&lt;hx-evil&gt;",
    "&#60;hx-evil&#62;",
    "javascript:alert(1)",
    "data:text,x",
    "tpl{{7*7}}",
    "tpl{% now 'Y' %}",
    "{# comment",
    "${7*7}",
    "%(name)s %s %n",
    "{0.__class__}",
    "=1+1",
    "+1+1",
    "-1+1",
    "@SUM(1)",
    "=cmd|' C'!A0",
    "a\u00a0b",
    "\u0645\u0644\u0641",
    "e\u0301\u0301\u0301\u0301",
    "\U0001f4a9\U0001f468\u200d\U0001f469",
    "%0d%0aSet-Cookie: x=1",
    "..%2f..%2fetc%2fpasswd",
    "?q=1&x=2#part",
    "a;b,c\\d",
    "x" * 200,
)
# These are refused, and shown with their reason.
REFUSED_BREAKERS = (
    b"two\nlines<hx-evil>",
    b"over\rwritten",
    b"tab\there",
    "gpj\u202eexe".encode(),
    b"bad\xff\xfe<hx-evil>",
    b"red\x1b[31m",
    "line\u2028sep".encode(),
)
