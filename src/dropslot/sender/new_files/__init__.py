"""What is new on this PC: looking through folders, comparing with the ledger, naming what cannot be sent now."""
