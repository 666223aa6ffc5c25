"""The window of a PC without Python: what `dropslot desktop` opens."""

import os
import sys

from dropslot.cli import main

# A program without a console has no streams on Windows; commands write to them all the same.
sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
sys.stderr = sys.stderr or sys.stdout
if sys.argv[1:] != ["--version"]:
    sys.argv.insert(1, "desktop")
main()
