"""The command of a PC without Python."""

from dropslot.cli import main

main()
