"""From fields to targets: where the items of an arrival go, and the legs that lead there."""
