"""Django app of mail: gives `doctor` its findings. It has no tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dropslot.arrivals import registry

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dropslot.config import Config


class MailConfig(registry.DropslotApp):
    """Tests the mail server for `doctor`."""

    default = True
    name = "dropslot.mail"
    label = "dropslot_mail"
    verbose_name = "dropslot: mail"

    def examine(self, config: Config) -> Iterable[registry.Finding]:
        from dropslot.mail import doctor

        return doctor.examine(config)
