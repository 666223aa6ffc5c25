"""A large arrival's items, staged by several workers: the holder of the arrival, and helpers."""
