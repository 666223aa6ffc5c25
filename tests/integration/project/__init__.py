"""A Django project of someone else, with its own users, database and pages, that has dropslot's apps among its own."""
