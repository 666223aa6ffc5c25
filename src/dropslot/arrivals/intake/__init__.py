"""From the inbox to a row: claim, seal, record; entries that wait, and claims that have no row."""
