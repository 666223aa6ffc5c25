"""From a request in a log to the delivery that it fetched."""
