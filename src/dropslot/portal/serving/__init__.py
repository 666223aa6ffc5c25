"""The process that serves the portal: what it needs, its threads and connections, its certificate."""
