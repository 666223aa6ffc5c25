"""Opens folders by descriptor, one component after the other, so that no link is ever followed."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import resource
import secrets
import stat
from types import TracebackType

_NOT_OURS = (FileNotFoundError, NotADirectoryError, PermissionError)
_TRIES = 1000
_MANY_FILES = 65_536
NOT_EMPTY = (errno.ENOTEMPTY, errno.EEXIST)
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
TRUSTED_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC  # the operator's own path: may be or hold links


def allow_many_files() -> None:
    """Raise the soft limit of open files to the hard one: a batch holds several descriptors for each arrival."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (min(hard, _MANY_FILES) if hard > 0 else _MANY_FILES, hard)
        )


class ClosesItself:
    """Owns the open descriptor `fd` until nobody holds this any more."""

    __slots__ = ("fd",)

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def close(self) -> None:
        """Close the descriptor. May be called again."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        self.close()


class Folder(ClosesItself):
    """An open folder that closes itself; `fd` is its descriptor."""

    __slots__ = ()

    @classmethod
    def trusted(cls, path: str) -> Folder:
        """The folder at a path that the operator wrote; links in it are followed."""
        return cls(os.open(path, TRUSTED_FOLDER))

    def beneath(self, path: str) -> Folder:
        """The folder at `path` ("" or "a/b"). Fails with ELOOP or ENOTDIR if a component is a link."""
        if not path:
            return Folder(os.dup(self.fd))
        folder = self
        for name in path.split("/"):
            folder = Folder(os.open(_inner(name), FOLDER, dir_fd=folder.fd))
        return folder

    def __enter__(self) -> Folder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Descent:
    """Opens many folders beneath a root. Folders that lead to the last requested one stay open.

    Holds at most one descriptor for each level. `root` belongs to the caller.
    """

    __slots__ = ("_fds", "_parts", "_path", "_root")

    def __init__(self, root: int) -> None:
        self._root = root
        self._path = ""
        self._parts: list[str] = []
        self._fds: list[int] = []

    def fd(self, path: str) -> int:
        """Descriptor of the folder `path` ("" is the root), valid until the next call. Never follows a link."""
        if path == self._path:
            return self._fds[-1] if self._fds else self._root
        parts = path.split("/") if path else []
        self._climb(parts)
        for name in parts[len(self._parts) :]:
            self._fds.append(os.open(_inner(name), FOLDER, dir_fd=self._fds[-1] if self._fds else self._root))
            self._parts.append(name)
            self._path = "/".join(self._parts)
        return self._fds[-1] if self._fds else self._root

    def _climb(self, parts: list[str]) -> None:
        common = 0
        for ours, theirs in zip(self._parts, parts, strict=False):
            if ours != theirs:
                break
            common += 1
        while len(self._fds) > common:
            os.close(self._fds.pop())
            self._parts.pop()
        self._path = "/".join(self._parts)

    def close(self) -> None:
        """Close every descriptor except the root's."""
        self._climb([])

    def __del__(self) -> None:
        self.close()


def _inner(name: str) -> str:
    """Raise ValueError for an unsafe name. A last line of defence: names are checked long before."""
    if name in ("", ".", ".."):
        raise ValueError(f"'{name}' does not lead into a folder")
    return name


def exists(folder: int, name: str) -> bool:
    """Whether anything has this name, including a dangling link."""
    return look(folder, name) is not None


def look(folder: int, name: str) -> os.stat_result | None:
    """lstat of `name`; None if there is nothing."""
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def make(folder: int, name: str, mode: int = 0o777) -> bool:
    """Make a folder; False if the name was taken."""
    try:
        os.mkdir(name, mode, dir_fd=folder)
    except FileExistsError:
        return False
    return True


def remove_tree(folder: int, name: str) -> None:
    """Remove the file or folder at `name`, even if another process still writes there. It may be gone already.

    Each folder that is not empty first gets a random name. A worker that still wants to publish it then finds nothing,
    so it can never publish a folder with missing contents.
    """
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return
    except (IsADirectoryError, PermissionError):  # POSIX allows EPERM for a folder
        seen = look(folder, name)
        if seen and not stat.S_ISDIR(seen.st_mode):
            raise
        if _remove_empty(folder, name):
            return
        aside = f"gone-{secrets.token_hex(8)}"
        try:
            os.rename(name, aside, src_dir_fd=folder, dst_dir_fd=folder)
        except FileNotFoundError:
            return
        remove_folder(folder, aside)


def remove_folder(folder: int, name: str) -> None:
    """Remove the folder at `name` under its own name, even while another process fills it. It may be gone already.

    Raises ENOTEMPTY if it never gets empty. On NFS and FUSE a file that a program has open stays under another name
    (`.nfs…`, `.fuse_hidden…`).
    """
    for left in reversed(range(_TRIES)):
        try:
            with Folder(os.open(name, FOLDER, dir_fd=folder)) as inner:
                for entry in os.listdir(inner.fd):
                    remove_tree(inner.fd, entry)
        except FileNotFoundError:
            return
        if _remove_empty(folder, name, last_try=not left):
            return


def _remove_empty(folder: int, name: str, *, last_try: bool = False) -> bool:
    try:
        os.rmdir(name, dir_fd=folder)
    except FileNotFoundError:
        return True
    except OSError as error:
        if error.errno not in NOT_EMPTY or last_try:
            raise
        return False  # a new entry appeared meanwhile
    return True


def make_locked(parent: Folder, prefix: str) -> tuple[str, Folder]:
    """A new private folder with a random name, locked until the returned descriptor is closed. A folder without a lock
    was left by a killed process (`remove_unlocked`). Some network file systems cannot lock folders."""
    while True:
        name = f"{prefix}{secrets.token_hex(8)}"
        os.mkdir(name, 0o700, dir_fd=parent.fd)
        with contextlib.suppress(FileNotFoundError):  # removed before it was locked, as one of a dead process
            folder = parent.beneath(name)
            lock(folder)
            if exists(parent.fd, name):
                return name, folder


def remove_unlocked(parent: Folder, prefix: str) -> None:
    """Remove folders of `make_locked` that killed processes have left. Folders of others stay."""
    for name in os.listdir(parent.fd):
        if name.startswith(prefix):
            with contextlib.suppress(*_NOT_OURS), parent.beneath(name) as folder:
                if os.fstat(folder.fd).st_uid == os.geteuid() and lock(folder):
                    remove_folder(parent.fd, name)


def lock(folder: Folder) -> bool:
    """Whether this process has the folder's lock now, which it keeps until the descriptor is closed."""
    try:
        fcntl.flock(folder.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
