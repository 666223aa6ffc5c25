#!/usr/bin/env python3
"""`python manage.py COMMAND` does what `dropslot COMMAND` does, and Django's own commands besides."""

import os
import sys
from pathlib import Path

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dropslot.settings")
    os.environ.setdefault("DROPSLOT_CONFIG", str(Path(__file__).resolve().with_name("config.yaml")))
    from dropslot.cli.manage import main

    sys.exit(main(sys.argv))
