"""Time stamps of the chain's head by an authority elsewhere (RFC 3161): they prove to others what was there when."""
