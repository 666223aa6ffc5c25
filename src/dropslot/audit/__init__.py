"""The chain of events, receipts and their verification (a Django app)."""
