"""Acknowledgments: evidence, from the access logs of servers, that a recipient fetched a delivery."""

# First: the models of config.yaml include this app's section, and the section uses their values.
import dropslot.config.models  # noqa: F401
