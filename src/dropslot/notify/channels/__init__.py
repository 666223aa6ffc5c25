"""How a message leaves dropslot: by mail, or by a service that apprise speaks to."""
