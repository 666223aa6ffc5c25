"""Group and modes of delivered files and folders."""

from __future__ import annotations

import grp
import os
import secrets
import stat
from contextlib import suppress
from dataclasses import dataclass

from dropslot.core.errors import DestinationUnready, DropslotError, Unsupported
from dropslot.core.names import escape
from dropslot.files import faults
from dropslot.files.descriptors import FOLDER, Folder, remove_folder

_KEPT = "Nothing of the arrival was delivered there"


@dataclass(frozen=True, slots=True)
class Modes:
    """`None`: the folder above (setgid bit, default ACL) and the umask decide, as for any new file."""

    gid: int | None = None
    group: str = ""
    file_mode: int | None = None
    folder_mode: int | None = None

    @classmethod
    def resolve(cls, group: str | None, file_mode: int | None, folder_mode: int | None) -> Modes:
        """Raises DestinationUnready if this machine has no such group."""
        if group is None:
            return cls(None, "", file_mode, folder_mode)
        try:
            gid = grp.getgrnam(group).gr_gid
        except (KeyError, ValueError) as error:
            raise DestinationUnready(
                f"There is no group '{escape(group)}' on this machine",
                where=_KEPT,
                next_step=f"Make it (groupadd {escape(group)}) or correct `group`; it is retried",
            ) from error
        return cls(gid, group, file_mode, folder_mode)

    @property
    def of_folders(self) -> bool:
        """Whether anything must be set on folders."""
        return self.gid is not None or self.folder_mode is not None

    @property
    def new_folder(self) -> int:
        """The mode for mkdir. Often nothing is left to set after it; setting it requires membership of the group."""
        return 0o777 if self.folder_mode is None else self.folder_mode & 0o777

    def of_folder(self, parent: int, name: str) -> None:
        """Give a folder that we just made its group and mode; an inherited setgid bit stays, as chmod(1) keeps it.

        Correct values are not set again: then the service need not be a member of the group.
        """
        if not self.of_folders:
            return
        with_doing = f"setting group and mode of folder {escape(name)}"
        try:
            seen = os.stat(name, dir_fd=parent, follow_symlinks=False)
            inherited = seen.st_mode & stat.S_ISGID
            wanted = stat.S_IMODE(seen.st_mode) if self.folder_mode is None else self.folder_mode | inherited
            regroup = self.gid is not None and seen.st_gid != self.gid
            if regroup:
                os.chown(name, -1, self.gid or 0, dir_fd=parent, follow_symlinks=False)
            if regroup or stat.S_IMODE(seen.st_mode) != wanted:
                os.chmod(name, wanted, dir_fd=parent)
                now = os.stat(name, dir_fd=parent, follow_symlinks=False)
                self._prove(now, wanted, f"folder {escape(name)}")
        except OSError as error:
            raise self.denied(error, with_doing) from error

    def of_file(self, fd: int) -> None:
        """Give an open file that we just made its group and mode. Raises OSError (see `denied`)."""
        if self.gid is not None:
            os.fchown(fd, -1, self.gid)  # before the mode, because fchown clears bits
        if self.file_mode is not None:
            os.fchmod(fd, self.file_mode)

    def left_to_do(self, seen: os.stat_result) -> Modes:
        """The modes that remain to be set if new files come out like `seen`."""
        gid = None if self.gid == seen.st_gid else self.gid
        mode = None if self.file_mode == stat.S_IMODE(seen.st_mode) and gid is None else self.file_mode
        return Modes(gid, self.group, mode, self.folder_mode)

    def must_be_kept(self, folder: int) -> None:
        """Raise Unsupported if the file system of `folder`, a private one of ours, does not keep these modes or this
        group.

        The staging checks whether the service may set the group: that can be fixed without a restart.
        """
        name = f"modes-{secrets.token_hex(4)}"
        os.mkdir(name, self.new_folder, dir_fd=folder)
        try:
            with Folder(os.open(name, FOLDER, dir_fd=folder)) as made:
                self._must_stay(made.fd, self.folder_mode)
                fd = os.open(
                    "file", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=made.fd
                )
                with open(fd, "wb"):
                    self._must_stay(fd, self.file_mode)
        finally:
            remove_folder(folder, name)

    def _must_stay(self, fd: int, mode: int | None) -> None:
        with suppress(PermissionError):  # EPERM for our own file: the comparison below finds the reason
            if mode is not None:
                os.fchmod(fd, mode & 0o777)
        regrouped = False
        with suppress(PermissionError):
            if self.gid is not None:
                os.fchown(fd, -1, self.gid)
                regrouped = True
        seen = os.fstat(fd)
        if mode is not None and seen.st_mode & 0o777 != mode & 0o777:
            what = f"a mode of {mode & 0o777:o} is {seen.st_mode & 0o777:o} there"
        elif regrouped and seen.st_gid != self.gid:
            what = f"a file set to group {escape(self.group)} has group {seen.st_gid} there"
        else:
            return
        raise Unsupported(
            f"The file system does not store modes or groups: {what}, so others could read the delivered files",
            next_step="Leave out `group`, `file_mode` and `folder_mode`, and set owner, group and modes when it is "
            "mounted (for ntfs-3g, exFAT and FAT: uid=, gid=, fmask=, dmask=; for ntfs-3g also: permissions)",
        )

    def denied(self, error: OSError, doing: str) -> DropslotError:
        """The typed error. EPERM nearly always means that the service is not a member of the group."""
        if isinstance(error, PermissionError) and self.group:
            return self._no_member(f"{doing} failed: {os.strerror(error.errno or 0)}")
        return faults.at_destination(error, doing)

    def _prove(self, seen: os.stat_result, wanted: int, what: str) -> None:
        mode = stat.S_IMODE(seen.st_mode)
        if mode == wanted:
            return
        if (
            mode == wanted & ~stat.S_ISGID
        ):  # chmod drops the bit without an error if the caller is not in the group
            raise self._no_member(f"The setgid bit of {what} was not kept")
        raise DestinationUnready(
            f"The mode of {what} is {mode:o} after it was set to {wanted:o}: this file system does not store modes",
            where=_KEPT,
            next_step="Leave out file_mode and folder_mode, or set them when it is mounted",
        )

    def _no_member(self, what: str) -> DestinationUnready:
        group = escape(self.group) or "the folder's group"
        return DestinationUnready(
            f"{what}: the service's account is not a member of {group}",
            where=_KEPT,
            next_step=f"Add the account to it (usermod -aG {group} ACCOUNT) and restart the service. Or give the "
            "folder above that group and the setgid bit, and start the service with umask 027, so that nothing has to "
            "be set. It is retried",
        )
