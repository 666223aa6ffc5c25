"""Syncs during the copying, so that little is left for the sync at the end."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from dropslot.files import faults, syscalls
from dropslot.files.descriptors import FOLDER

EVERY_BYTES = 32 * 1024 * 1024

EVERY_BYTES_OF_FILE = 128 * 1024 * 1024


class EarlySync:
    """Syncs a file system now and then, in a thread. Leaving the block waits for it and raises its error, if `waits`.

    The sync at the end still decides: its descriptor was opened before the first write. The thread has a descriptor of
    its own, because an error is reported only once to each open descriptor.
    """

    def __init__(self, fd: int, sync: Callable[[int], None], every_bytes: int, *, waits: bool = True) -> None:
        self._fd, self._sync_fd, self._every_bytes, self._waits = fd, sync, every_bytes, waits
        self._thread: threading.Thread | None = None
        self._pending_bytes = 0
        self._error: OSError | None = None

    @classmethod
    def of_file_system(cls, stage: int) -> EarlySync:
        """For many items: syncs the file system of this folder.

        Leaving the block does not wait: the kernel reports errors of writing to the sync at the end too, which can
        begin with the rest meanwhile.
        """
        return cls(os.open(".", FOLDER, dir_fd=stage), syscalls.syncfs, EVERY_BYTES, waits=False)

    @classmethod
    def of_file(cls, out: int) -> EarlySync:
        """For one big item that is being written; it does not wait for the writes of others."""
        return cls(
            os.open(f"/proc/self/fd/{out}", os.O_RDONLY | os.O_CLOEXEC), os.fdatasync, EVERY_BYTES_OF_FILE
        )

    def __enter__(self) -> EarlySync:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        os.close(self._fd)
        if self._thread and (self._waits or kind):  # after an error, what was staged is removed
            self._thread.join()
        if self._error and kind is None:
            raise faults.sync_failed(self._error) from self._error

    def staged(self, cost_bytes: int) -> None:
        """Report how much was staged since the last call. Starts a sync if that is enough and none is running."""
        self._pending_bytes += cost_bytes
        if (
            self._pending_bytes < self._every_bytes
            or self._error
            or (self._thread and self._thread.is_alive())
        ):
            return
        self._pending_bytes = 0
        own = (os.dup(self._fd),)
        self._thread = threading.Thread(target=self._sync, args=own, name="dropslot-sync", daemon=True)
        self._thread.start()

    def _sync(self, fd: int) -> None:
        try:
            self._sync_fd(fd)
        except OSError as error:
            self._error = error
        finally:
            os.close(fd)
