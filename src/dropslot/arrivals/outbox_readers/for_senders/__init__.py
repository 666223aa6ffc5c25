"""Receipts that senders fetch: what each says, where it lies, and who writes it."""
