"""Who may see and do what: roles of accounts, tokens of programs, and the querysets that follow from them."""

# First, whoever is imported first: the models ask each app's section for its keys.
import dropslot.config.models  # noqa: F401
