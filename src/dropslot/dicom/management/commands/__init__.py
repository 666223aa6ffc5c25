"""Each hands over to the command line."""
