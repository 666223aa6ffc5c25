"""Acknowledgments: evidence, from the access logs of servers, that a recipient fetched a delivery."""

# First: the models of config.yaml take this app's section in, and the section is made of their values.
import dropslot.config.models  # noqa: F401
