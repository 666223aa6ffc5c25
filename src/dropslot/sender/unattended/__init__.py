"""Sending without a person: watching for finished recordings, and the service that does it from each sign-in on."""
