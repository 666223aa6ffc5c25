"""Numbers, sizes and dates as people read them, and values that a spreadsheet may open."""
