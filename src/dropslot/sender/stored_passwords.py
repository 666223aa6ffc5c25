"""Passwords in the system's keyring, for people who ask for it."""

from __future__ import annotations

from dropslot.core.errors import DropslotError
from dropslot.core.names import escape

_SERVICE = "dropslot"


class NotKept(DropslotError):
    """The system's keyring took no password."""

    code = "not-kept"


def stored_password(account: str) -> str | None:
    """The password of an account (`user@host`, or a server for its token); None: there is none, or no keyring."""
    import keyring
    from keyring.errors import KeyringError

    try:
        return keyring.get_password(_SERVICE, account)
    except (KeyringError, RuntimeError):  # locked, or none on this system
        return None


def keep_password(account: str, password: str) -> None:
    """Keep it. Raises NotKept."""
    import keyring
    from keyring.errors import KeyringError

    try:
        keyring.set_password(_SERVICE, account, password)
    except (KeyringError, RuntimeError) as error:
        raise NotKept(
            f"The password of {escape(account)} is right, but the keyring cannot keep it: {escape(str(error))}",
            next_step="Send without --remember, or set up a keyring (on Linux: GNOME Keyring or KWallet)",
        ) from error


def forget_password(account: str) -> None:
    """Forget it; fine if there is none."""
    import keyring
    from keyring.errors import KeyringError

    try:
        keyring.delete_password(_SERVICE, account)
    except (KeyringError, RuntimeError):
        return
