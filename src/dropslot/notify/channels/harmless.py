"""What senders wrote, made harmless for mails and services: nothing in it ends a header, turns a line around or moves a
cursor. Markup is left to whoever writes markup.
"""

from __future__ import annotations

import re

from dropslot.core.names import escape

_MOST = 1000  # characters of one text: a reason may list many files
_CUT = " …"
_SIGN = re.compile(r"[@<\]]")


def harmless(text: str, most: int = _MOST) -> str:
    """On one line, printable, and not too long. A text that is escaped already stays as it is."""
    text = text if text.isprintable() else "".join(c if c.isprintable() else escape(c) for c in text)
    return text if len(text) <= most else text[: most - len(_CUT)] + _CUT


def without_markup(text: str) -> str:
    """For chats: `@everyone` and `<!channel>` in a name call nobody, and `[here](https://…)` hides no address. A space
    of no width parts the signs."""
    return _SIGN.sub("\\g<0>\u200b", text)
