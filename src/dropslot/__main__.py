"""`python -m dropslot` is the command `dropslot`."""

from __future__ import annotations

from dropslot.cli import main

if __name__ == "__main__":
    main()
