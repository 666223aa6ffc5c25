"""A Django project of someone else, with its own users and sign-in, that has dropslot's portal under a prefix."""
