"""`migrate_data`: an installation's database copied into another one, row by row, and compared."""
