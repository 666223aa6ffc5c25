"""A database that was lost, or is older than what was delivered: noticed, and made again from what is on the disks."""
