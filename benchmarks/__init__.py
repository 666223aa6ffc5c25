"""Times and rates, each with its peer's figure from the same run. `make bench`, or `make bench ONLY=trees`.

Nothing here is a test: a slow machine fails no build. docs/performance.md says what is measured and how.
"""
