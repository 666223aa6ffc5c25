"""Logs of this machine."""

from __future__ import annotations

import os
import stat

from dropslot.acknowledgments.logs.log_sources import LogFile, Source, no_file, unlistable, unready
from dropslot.core.names import escape


class LocalFolder(Source):
    """The folder of the log at `path`."""

    def __init__(self, path: str) -> None:
        self._folder, self.name = os.path.split(path)

    def names(self) -> list[str]:
        try:
            return os.listdir(self._folder)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise unlistable(self._folder, error.strerror or escape(str(error))) from error

    def open(self, name: str) -> LogFile:
        path = os.path.join(self._folder, name)
        try:
            # Without waiting: somebody may have put a named pipe there.
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise unready(path, error) from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise no_file(path)
        return _LocalFile(descriptor, path)


class _LocalFile(LogFile):
    def __init__(self, descriptor: int, path: str) -> None:
        self._descriptor, self._path = descriptor, path

    def size(self) -> int:
        return os.fstat(self._descriptor).st_size

    def read(self, offset: int, length: int) -> bytes:
        try:
            return os.pread(self._descriptor, length, offset)
        except OSError as error:
            raise unready(self._path, error) from error

    def close(self) -> None:
        os.close(self._descriptor)
