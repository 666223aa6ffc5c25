"""The keys of config.yaml about other servers, and about the addresses that dropslot itself listens on."""
