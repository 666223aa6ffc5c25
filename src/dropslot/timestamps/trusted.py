"""The root certificates that may stand behind a time stamp."""

from __future__ import annotations

import ssl
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from dropslot.config import Config
from dropslot.core.errors import BadOption
from dropslot.core.names import escape
from dropslot.timestamps.section import authority_of

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

BUNDLE = "ca-certificates.crt"


def roots(config: Config) -> list[Certificate]:
    """Those of `timestamp.certificates`, else those that this system trusts. Raises BadOption."""
    from cryptography import x509

    authority = authority_of(config)
    path = (authority.certificates if authority else None) or _of_system()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # systems trust a few old roots with odd serial numbers
            return x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or "it holds no certificates in PEM"
        raise BadOption(
            f"The root certificates of the time-stamping authority cannot be read from {escape(str(path))}: {why}",
            next_step="Correct `timestamp.certificates` in config.yaml",
        ) from error


def _of_system() -> Path:
    """The file of this system's authorities; certifi's if it has none."""
    import certifi

    paths = ssl.get_default_verify_paths()
    bundle = Path(paths.openssl_capath) / BUNDLE
    return Path(paths.cafile) if paths.cafile else bundle if bundle.is_file() else Path(certifi.where())
