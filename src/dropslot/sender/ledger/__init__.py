"""What this PC sent: one SQLite file, made anew from receipts if it is lost; and the lock of the one sender at work."""
