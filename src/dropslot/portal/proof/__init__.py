"""The proof of a delivery or an arrival: a sheet of paper, and a bundle that verifies without dropslot."""
