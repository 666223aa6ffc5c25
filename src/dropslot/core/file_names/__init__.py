"""Names that say what a file is: litter of file managers, and what a transfer program has not finished."""
