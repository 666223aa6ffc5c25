"""A receiver that only acknowledges, as C-STORE and STOW do: nothing can be listed, read back or asked for there.

It appends to a journal what it acknowledged. Tests put this file among the plugins of an installation: nothing here but
what a plugin may use.
"""

from __future__ import annotations

import hashlib
import json
import os
from functools import cache
from pathlib import Path
from typing import BinaryIO

from deadly import deadly
from dropslot.config import Deliver
from dropslot.core.errors import DestinationUnready
from dropslot.destinations.base import Kind, Target
from dropslot.destinations.whole_items import Receiver


class Courier(Receiver):
    """`courier://NAME`. While `JOURNAL.away` is there, it answers nothing; `JOURNAL.deadly` is as in `deadly`."""

    def __init__(self, journal: Path, spool: Path | None = None) -> None:
        super().__init__(spool)
        self.journal = journal

    def check(self, target: Target) -> None:
        if os.path.exists(f"{self.journal}.away"):
            raise DestinationUnready("The courier does not answer", next_step="It is retried")

    def send(self, target: Target, name: str, data: BinaryIO, sha256: str) -> bool:
        self.check(target)
        whole = data.read()
        assert hashlib.sha256(whole).hexdigest() == sha256
        with deadly(Path(f"{self.journal}.deadly")), self.journal.open("a") as journal:
            journal.write(json.dumps({"to": target.url, "name": name, "sha256": sha256}) + "\n")
            journal.flush()
            os.fsync(journal.fileno())
        return True


class CourierKind(Kind):
    """`options` is the path of the journal."""

    def for_rule(self, rule: Deliver) -> Courier:
        return _courier(str(rule.options))


@cache
def _courier(journal: str) -> Courier:
    return Courier(Path(journal))
