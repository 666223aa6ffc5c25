"""Acknowledgments: evidence, from the access logs of servers, that a recipient fetched a delivery."""
