"""Notices that the database was lost, or is older than the deliveries, and rebuilds it from the disks."""
