"""Tables of folders, and the field that is looked up in them (a Django app)."""
